import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { startWorkerd } from '../../src/cli/local/workerd.ts'
import { type PackedModel, pack } from '../../src/cli/pack/packer.ts'
import { median } from '../../src/cli/statistics.ts'
import { inventedWords } from '../../synthetic/vocabularies.ts'
import type { Connection } from '../lib/connection.ts'
import { binaryRequest } from '../lib/oip.ts'
import { type Summary, summarise } from '../lib/stats.ts'
import { ask, connected, wasmHeapBytes } from '../lib/worker-client.ts'
import { OPERATOR_KEY } from '../lib/worker-process.ts'
import type { EncoderShape } from '../models/encoder.ts'
import { CACHE } from '../models/index.ts'
import { E5_SMALL, multilingualModel } from '../models/multilingual.ts'
import { tokens } from '../models/subjects.ts'
import { COPIES, coldAnswer, withSlowStores } from './cold-reads.ts'
import type { Bench, Effort } from './context.ts'

/** Whether the isolate has the rows that a text needs. */
export const ROWS = ['all rows hot', 'rows in pages'] as const

/** The first answer of an isolate that has read nothing. */
export interface ColdPagesRow {
  readonly text: (typeof ROWS)[number]
  readonly copies: (typeof COPIES)[number]
  readonly tokens: number
  readonly pages: number
  /** Reads of which each began only after another had ended. */
  readonly rounds: number
  /** Milliseconds to the answer, with `READ_MS` on each read. */
  readonly answer: Summary
}

/** A model of multilingual-e5-small's shape, whose table is in pages. */
export interface PagesResult {
  /** Of the artifact, and of the file of pages beside it. */
  readonly artifactBytes: number
  readonly pagesBytes: number
  /** WebAssembly memory of an isolate that serves this model alone, after an answer of so many tokens. */
  readonly memory: readonly { readonly tokens: number; readonly heapBytes: number }[]
  /** Milliseconds of a warm answer of 128 tokens whose rows are hot, by models of the same layers with `WARM_ROWS` rows. */
  readonly warm: { readonly whole: Summary; readonly paged: Summary; readonly ratio: number }
  readonly cold: readonly ColdPagesRow[]
}

const NAME = 'many-languages'
/** Both forms of a model with so many rows fit an isolate together. */
export const WARM_ROWS = 20_000
const WARM: EncoderShape = { ...E5_SMALL, vocabulary: WARM_ROWS }
const STORAGE = join(CACHE, 'pages-storage')
/** Words of a text, of a token each. */
const WORDS = 100
const LENGTH = 128

export async function measurePages({ bundles, effort, progress }: Bench): Promise<PagesResult> {
  progress('pages: packing an encoder of 250,037 rows')
  const large = await packed(E5_SMALL, NAME)
  const whole = await packed(WARM, 'whole', { pages: 'off' })
  const paged = await packed(WARM, 'paged', { pages: 'on', hotRows: WARM_ROWS / 2 })
  const [artifact] = large.manifest.artifacts
  if (artifact?.pages === undefined) throw new Error(`${NAME} is not packed with pages: ${large.notes.join('; ')}`)
  await rm(STORAGE, { recursive: true, force: true })
  try {
    return {
      artifactBytes: artifact.bytes,
      pagesBytes: artifact.pages.bytes,
      cold: await coldRows(bundles.slow, [large, whole, paged], effort, progress),
      ...(await warmAnswers(bundles.verge, effort, progress)),
    }
  } finally {
    await rm(STORAGE, { recursive: true, force: true })
  }
}

function packed(shape: EncoderShape, name: string, more: object = {}): Promise<PackedModel> {
  const { description, files } = multilingualModel(shape, name, { engines: ['verge'], ...more })
  return pack(description, '.', files)
}

/** Publishes the models in the storage that all Workers of this measure share, too. */
async function coldRows(
  bundle: string,
  models: readonly PackedModel[],
  effort: Effort,
  progress: Bench['progress'],
): Promise<ColdPagesRow[]> {
  return withSlowStores(bundle, { models, storage: STORAGE }, async (connection) => {
    const rows: ColdPagesRow[] = []
    for (const text of ROWS) {
      for (const copies of COPIES) {
        progress(`pages: first answer, ${text}, ${copies}`)
        rows.push({ text, copies, ...(await coldAnswers(connection, textOf(text), copies, effort)) })
      }
    }
    return rows
  })
}

/** Every so many words of a text that has as many pages as it can. A third of all words only come inside of others. */
const APART = 997

/** Words that the tokenizer expects most, or hardly at all. */
function textOf(rows: ColdPagesRow['text']): string {
  const [from, apart] = rows === 'all rows hot' ? [0, 1] : [E5_SMALL.vocabulary / 2, APART]
  return inventedWords(E5_SMALL.vocabulary)
    .filter((_, index) => index >= from && index % apart === 0 && index % 3 !== 0)
    .slice(0, WORDS)
    .join(' ')
}

async function coldAnswers(
  connection: Connection,
  input: string,
  copies: ColdPagesRow['copies'],
  effort: Effort,
): Promise<Omit<ColdPagesRow, 'text' | 'copies'>> {
  const request = {
    method: 'POST',
    path: '/v1/embeddings',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: NAME, input }),
  } as const
  const { answer, body, reads, rounds } = await coldAnswer(connection, request, copies, effort)
  const pages = new Set(reads.flatMap(({ keys }) => keys.filter((key) => key.startsWith('page/'))))
  const { usage } = JSON.parse(body.toString()) as { readonly usage: { readonly prompt_tokens: number } }
  return { tokens: usage.prompt_tokens, pages: pages.size, rounds, answer }
}

async function warmAnswers(
  bundle: string,
  effort: Effort,
  progress: Bench['progress'],
): Promise<Pick<PagesResult, 'memory' | 'warm'>> {
  progress('pages: memory and warm answers')
  const memory = await withWorker(bundle, async (connection) => {
    const found: { tokens: number; heapBytes: number }[] = []
    for (const length of [LENGTH, E5_SMALL.positions]) {
      await ask(connection, binaryRequest(NAME, tokens(length)))
      found.push({ tokens: length, heapBytes: await wasmHeapBytes(connection, 'verge') })
    }
    return found
  })
  return { memory, warm: await withWorker(bundle, (connection) => alternating(connection, effort)) }
}

/** Answers that do not count: V8 compiles a kernel again, and better, after some calls. */
const WARM_UP = 30
/** A median of fewer ratios says nothing of a hundredth. */
const LEAST_TURNS = 40

/** The two take turns, so that a disturbance of the machine hits both. */
async function alternating(connection: Connection, { warmRounds, warmSamples }: Effort): Promise<PagesResult['warm']> {
  const requests = { whole: binaryRequest('whole', tokens(LENGTH)), paged: binaryRequest('paged', tokens(LENGTH)) }
  const times = { whole: [] as number[], paged: [] as number[] }
  for (let turn = -WARM_UP; turn < Math.max(LEAST_TURNS, warmRounds * warmSamples); turn++) {
    for (const form of turn % 2 === 0 ? (['whole', 'paged'] as const) : (['paged', 'whole'] as const)) {
      const begun = performance.now()
      await ask(connection, requests[form])
      if (turn >= 0) times[form].push(performance.now() - begun)
    }
  }
  const ratio = median(times.whole.map((time, turn) => (times.paged[turn] ?? time) / time))
  return { whole: summarise(times.whole), paged: summarise(times.paged), ratio }
}

async function withWorker<T>(bundle: string, work: (connection: Connection) => Promise<T>): Promise<T> {
  const worker = await startWorkerd(bundle, { vars: { VERGE_API_KEY: OPERATOR_KEY }, storage: STORAGE })
  try {
    return await connected(worker, work)
  } finally {
    await worker.miniflare.dispose()
  }
}
