import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { ROOT } from '../../src/cli/files/project.ts'
import { startWorkerd } from '../../src/cli/local/workerd.ts'
import { type PackedModel, packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { type Connection, type RequestParts, requestBytes } from '../lib/connection.ts'
import type { Read } from '../lib/slow-reads.ts'
import { type Summary, summarise } from '../lib/stats.ts'
import { writerFor } from '../lib/storage.ts'
import { ask, connected } from '../lib/worker-client.ts'
import type { Bench, Effort } from './context.ts'

/** Put on each read of KV and R2. */
export const READ_MS = 50

/** Where a model's records and weights are, beside R2. */
export const COPIES = ['KV has copies', 'KV is empty'] as const

/** What a request to an isolate that has read nothing waits for. */
export interface ColdReadsRow {
  readonly model: string
  readonly copies: (typeof COPIES)[number]
  /** Reads of which each began only after another had ended. */
  readonly rounds: number
  /** All reads. */
  readonly reads: number
  /** Milliseconds to the answer, with `READ_MS` on each read. */
  readonly answer: Summary
}

interface ColdRequest {
  readonly model: string
  readonly packed: PackedModel
  readonly request: RequestParts
}

/** A picture, a text, and a chat's first token: to a model without files, with a tokenizer, and with a chat template beside. */
async function requests(): Promise<ColdRequest[]> {
  const folder = (name: string): string => join(ROOT, 'models', name)
  const picture = await readFile(join(folder('digits'), 'samples/two.png'))
  const json = (path: string, body: unknown): RequestParts => ({
    method: 'POST',
    path,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const chat = { model: 'abacus', messages: [{ role: 'user', content: 'What is 27 plus 58?' }], max_tokens: 1 }
  const image: RequestParts = {
    method: 'POST',
    path: '/run/digits',
    headers: { 'content-type': 'image/png' },
    body: picture,
  }
  return [
    { model: 'digits', packed: await packFolder(folder('digits')), request: image },
    {
      model: 'reviews',
      packed: await packFolder(folder('reviews')),
      request: json('/run/reviews', { inputs: 'A wonderful film.' }),
    },
    { model: 'abacus', packed: await packFolder(folder('abacus')), request: json('/v1/chat/completions', chat) },
  ]
}

export async function measureColdReads({ bundles, effort, progress }: Bench): Promise<ColdReadsRow[]> {
  const given = await requests()
  const models = given.map(({ packed }) => packed)
  return withSlowStores(bundles.slow, { models }, async (connection) => {
    const rows: ColdReadsRow[] = []
    for (const { model, request } of given) {
      progress(`reads of a cold isolate: ${model}`)
      for (const copies of COPIES) {
        const { answer, reads, rounds } = await coldAnswer(connection, request, copies, effort)
        rows.push({ model, copies, rounds, reads: reads.length, answer })
      }
    }
    return rows
  })
}

interface SlowStores {
  readonly models: readonly PackedModel[]
  /** Where the stores are kept; gone at the end if left out. */
  readonly storage?: string
}

/**
 * Works with Verge behind slow stores that hold some models. All in one process, whose isolate forgets everything before
 * each request but what V8 has compiled: `cold` measures what that takes.
 */
export async function withSlowStores<T>(
  bundle: string,
  { models, ...options }: SlowStores,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const worker = await startWorkerd(bundle, { direct: true, ...options })
  try {
    const writer = await writerFor(worker)
    for (const model of models) await publish(writer, model)
    return await connected(worker, work)
  } finally {
    await worker.miniflare.dispose()
  }
}

interface ColdAnswer extends Pick<ColdReadsRow, 'rounds' | 'answer'> {
  readonly reads: readonly Pick<Read, 'keys'>[]
  readonly body: Buffer
}

/** What a request to an isolate that has read nothing reads, and how long its answer takes. */
export async function coldAnswer(
  connection: Connection,
  request: RequestParts,
  copies: ColdReadsRow['copies'],
  { coldRounds }: Pick<Effort, 'coldRounds'>,
): Promise<ColdAnswer> {
  const bytesOf = (more: Readonly<Record<string, string>>): Buffer => {
    const state = copies === 'KV is empty' ? { 'bench-kv': 'empty' } : {}
    return requestBytes({ ...request, headers: { ...request.headers, ...state, ...more } })
  }
  // Reads are counted where they wait for each other, and not for a time: whatever else the machine does.
  const { body, headers } = await ask(connection, bytesOf({}))
  const reads: readonly Read[] = JSON.parse(headers.get('bench-reads') ?? '[]')
  const timed = bytesOf({ 'bench-delay': String(READ_MS) })
  const times: number[] = []
  for (let round = 0; round < coldRounds; round++) {
    const begun = performance.now()
    await ask(connection, timed)
    times.push(performance.now() - begun)
  }
  return { body, reads, rounds: Number(headers.get('bench-rounds')), answer: summarise(times) }
}
