import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { JSON_LENGTH_HEADER } from '../../src/protocols/oip/headers.ts'
import { forgetPeak, peakBytes } from '../lib/peak.ts'
import { LARGE_BYTES, SIZE_HEADER, type StandIn } from '../lib/stand-in.ts'
import { type Summary, summarise } from '../lib/stats.ts'
import { startWorker, type WorkerProcess } from '../lib/worker-process.ts'

/** One way of a hundred megabytes through a Worker. */
export interface LargeRow {
  readonly what: string
  readonly residentBefore: number
  /** Growth of the process's greatest resident size by the first passage in a fresh process; of several processes. */
  readonly first: { readonly median: number; readonly most: number }
  /** The same after several more passages. */
  readonly after: { readonly median: number; readonly most: number }
  /** Of all passages, in milliseconds. */
  readonly time: Summary
}

/** Our names of the stand-in's model: by a server of another project, and by one of Verge's own. */
export const LARGE_MODELS = { renamed: 'tensors', same: 'tensors-of-our-own' } as const

interface Passage {
  readonly what: string
  readonly model: string
  readonly sendBytes: number
  readonly answerBytes: number
  /** Wait after each piece of the answer, now and then: a reader who is slower than the origin. */
  readonly slow?: boolean
}

const PASSAGES: readonly Passage[] = [
  { what: 'answer, as it is', model: LARGE_MODELS.same, sendBytes: 0, answerBytes: LARGE_BYTES },
  { what: 'answer, its header rewritten', model: LARGE_MODELS.renamed, sendBytes: 0, answerBytes: LARGE_BYTES },
  { what: 'answer, a slow reader', model: LARGE_MODELS.renamed, sendBytes: 0, answerBytes: LARGE_BYTES, slow: true },
  { what: 'request', model: LARGE_MODELS.same, sendBytes: LARGE_BYTES, answerBytes: 0 },
  { what: 'both ways', model: LARGE_MODELS.same, sendBytes: LARGE_BYTES, answerBytes: LARGE_BYTES },
]
/** Small requests first: what the Worker's first requests take is not that of a large one. */
const WARM_UP_RUNS = 200
const MORE_PASSAGES = 4
/** 100 MB at 50 MB/s. */
const SLOW_BYTES = 1_000_000
const SLOW_MS = 20

/** @param directory bundle of the Worker. @param vars that name the stand-in among its origins */
export async function measureLarge(
  directory: string,
  vars: Readonly<Record<string, string>>,
  processes: number,
): Promise<LargeRow[]> {
  const rows: LargeRow[] = []
  for (const passage of PASSAGES) {
    const found: { before: number; first: number; after: number }[] = []
    const times: number[] = []
    for (let process = 0; process < processes; process++) {
      const worker = await startWorker(directory, { vars, direct: true })
      try {
        found.push(await watched(worker, passage, times))
      } finally {
        await worker.stop()
      }
    }
    const of = (part: 'before' | 'first' | 'after') => summarise(found.map((each) => each[part])).p50
    const most = (part: 'first' | 'after') => Math.max(...found.map((each) => each[part]))
    rows.push({
      what: passage.what,
      residentBefore: of('before'),
      first: { median: of('first'), most: most('first') },
      after: { median: of('after'), most: most('after') },
      time: summarise(times),
    })
  }
  return rows
}

/** Entries of `ORIGINS`. */
export function largeOrigins(standIn: StandIn): readonly object[] {
  const { url, models } = standIn
  return [
    { name: 'renamed', kind: 'oip', url, models: { [LARGE_MODELS.renamed]: models.tensors } },
    { name: 'same', kind: 'verge', url, models: [LARGE_MODELS.same] },
  ]
}

async function watched(worker: WorkerProcess, passage: Passage, times: number[]) {
  for (let run = 0; run < WARM_UP_RUNS; run++) {
    await pass(worker.url, { ...passage, sendBytes: 1_000, answerBytes: 1_000, slow: false })
  }
  forgetPeak(worker.pid)
  const before = worker.residentBytes()
  const once = async (): Promise<void> => {
    const begun = performance.now()
    await pass(worker.url, passage)
    times.push(performance.now() - begun)
  }
  await once()
  const first = peakBytes(worker.pid) - before
  for (let more = 0; more < MORE_PASSAGES; more++) await once()
  return { before, first, after: peakBytes(worker.pid) - before }
}

/** @throws Error unless every byte has come, both ways */
async function pass(url: string, { answerBytes, model, sendBytes, slow = false }: Passage): Promise<void> {
  const request = httpRequest(`${url}/v2/models/${model}/infer`, {
    method: 'POST',
    headers: {
      'content-type': 'application/octet-stream',
      'content-length': sendBytes,
      [SIZE_HEADER]: `max-age=${answerBytes}`,
    },
  })
  const answered = once(request, 'response') as Promise<[IncomingMessage]>
  answered.catch(() => {})
  const piece = Buffer.alloc(256 * 1024)
  for (let sent = 0; sent < sendBytes; sent += piece.length) {
    if (!request.write(piece.subarray(0, Math.min(piece.length, sendBytes - sent)))) await once(request, 'drain')
  }
  request.end()
  const [response] = await answered
  const headLength = Number(response.headers[JSON_LENGTH_HEADER])
  let head = Buffer.alloc(0)
  let received = 0
  let pause = SLOW_BYTES
  for await (const part of response as AsyncIterable<Buffer>) {
    received += part.length
    if (head.length < headLength || Number.isNaN(headLength)) head = Buffer.concat([head, part])
    if (slow && received > pause) {
      pause += SLOW_BYTES
      await sleep(SLOW_MS)
    }
  }
  const text = head.subarray(0, headLength || 500).toString()
  if (response.statusCode !== 200) throw new Error(`HTTP ${response.statusCode}: ${text}`)
  if (received !== headLength + answerBytes) throw new Error(`${received} bytes came of ${headLength + answerBytes}`)
  if (!text.includes(`"data":[${sendBytes}]`)) throw new Error(`the origin did not get ${sendBytes} bytes: ${text}`)
}
