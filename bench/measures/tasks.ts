import { performance } from 'node:perf_hooks'
import * as z from 'zod'
import { encodeJpeg, largePicture } from '../../synthetic/node/jpeg.ts'
import { type Answer, type Connection, requestBytes } from '../lib/connection.ts'
import { hitsAndMisses, timed } from '../lib/hits-and-misses.ts'
import { forgetPeak, peakBytes } from '../lib/peak.ts'
import { type Summary, summarise } from '../lib/stats.ts'
import { ask, connected, timingsOf } from '../lib/worker-client.ts'
import { startWorker, type WorkerProcess } from '../lib/worker-process.ts'

export const TEXT_TOKENS = 128

/** Where the time of an answer goes, in milliseconds; shares are of each answer by itself. */
export interface EngineShare {
  /** The engine's, by `Server-Timing`. */
  readonly run: Summary
  /** From the request to the answer's last byte, by the Worker. */
  readonly inside: Summary
  /** The same by the client. */
  readonly outside: Summary
  readonly shareInside: Summary
  readonly shareOutside: Summary
  /** Of all answers' time together: the Worker's clock ticks in milliseconds, which blur single shares and their median. */
  readonly totalInside: number
  readonly totalOutside: number
}

export interface LargePicture {
  readonly kind: 'sequential' | 'progressive'
  readonly bytes: number
  readonly residentBefore: number
  /** At most, while they were answered. */
  readonly extraBytes: number
  readonly time: Summary
}

export interface HitAndMiss {
  readonly miss: Summary
  readonly hit: Summary
}

/** V8 compiles WebAssembly once more, and better, after some runs. */
const WARM_UP_RUNS = 40
const LARGE_ROUNDS = 5
const QUALITY = 85

/** @param directory bundle of the Worker that tells its own time; the result cache is off */
export async function measureShares(
  directory: string,
  names: { readonly text: string; readonly picture: string },
  rounds: number,
): Promise<{ readonly text: EngineShare; readonly picture: EngineShare }> {
  const jpeg = await encodeJpeg(largePicture(640, 480), { quality: QUALITY, progressive: false })
  const worker = await startWorker(directory)
  try {
    return await connected(worker, async (connection) => {
      const words = await wordsOf(connection, names.text, TEXT_TOKENS)
      const text = (number: number): Buffer => textRequest(names.text, rotated(words, number))
      const picture = pictureRequest(names.picture, jpeg)
      for (let run = 0; run < WARM_UP_RUNS; run++) {
        await ask(connection, text(run))
        await ask(connection, picture)
      }
      const texts: Sample[] = []
      const pictures: Sample[] = []
      // In turns, so that a disturbance of the machine hits both.
      for (let round = 0; round < rounds; round++) {
        texts.push(await sample(connection, text(round)))
        pictures.push(await sample(connection, picture))
      }
      return { text: shares(texts), picture: shares(pictures) }
    })
  } finally {
    await worker.stop()
  }
}

/** A picture of twelve megapixels, in a process that has answered small ones before. */
export async function measureLargePictures(directory: string, model: string): Promise<LargePicture[]> {
  const rows: LargePicture[] = []
  for (const kind of ['sequential', 'progressive'] as const) {
    const options = { quality: QUALITY, progressive: kind === 'progressive' }
    const small = await encodeJpeg(largePicture(640, 480), options)
    const large = await encodeJpeg(largePicture(4000, 3000), options)
    const worker = await startWorker(directory)
    try {
      rows.push({ kind, bytes: large.length, ...(await watched(worker, model, small, large)) })
    } finally {
      await worker.stop()
    }
  }
  return rows
}

/** The same text again, and texts never sent before, in turns. */
export async function measureCache(directory: string, model: string, rounds: number): Promise<HitAndMiss> {
  const worker = await startWorker(directory, { vars: { RESULT_CACHE_TTL_SECONDS: '3600' } })
  try {
    return await connected(worker, async (connection) => {
      const words = await wordsOf(connection, model, TEXT_TOKENS)
      let next = 1
      const fresh = (): Buffer => textRequest(model, distinct(words, next++))
      const kept = fresh()
      for (let run = 0; run < WARM_UP_RUNS; run++) await timed(connection, run === 0 ? kept : fresh(), 'miss')
      const { hits, misses } = await hitsAndMisses(connection, { fresh, kept, rounds })
      return { miss: summarise(misses), hit: summarise(hits) }
    })
  } finally {
    await worker.stop()
  }
}

export interface Sample {
  readonly run: number
  readonly inside: number
  readonly outside: number
}

export async function sample(connection: Connection, request: Buffer): Promise<Sample> {
  const begun = performance.now()
  const answer = await ask(connection, request)
  const outside = performance.now() - begun
  const { run } = timingsOf(answer)
  const inside = Number(answer.headers.get('bench-inside'))
  if (run === undefined || !(inside > 0)) throw new Error('an answer did not tell what its run and the whole took')
  return { run, inside, outside }
}

export function shares(samples: readonly Sample[]): EngineShare {
  const sum = (part: keyof Sample): number => samples.reduce((total, one) => total + one[part], 0)
  return {
    run: summarise(samples.map(({ run }) => run)),
    inside: summarise(samples.map(({ inside }) => inside)),
    outside: summarise(samples.map(({ outside }) => outside)),
    shareInside: summarise(samples.map(({ run, inside }) => 1 - run / inside)),
    shareOutside: summarise(samples.map(({ run, outside }) => 1 - run / outside)),
    totalInside: 1 - sum('run') / sum('inside'),
    totalOutside: 1 - sum('run') / sum('outside'),
  }
}

async function watched(worker: WorkerProcess, model: string, small: Uint8Array, large: Uint8Array) {
  const [first, request] = [pictureRequest(model, small), pictureRequest(model, large)]
  return connected(worker, async (connection) => {
    for (let run = 0; run < WARM_UP_RUNS; run++) await ask(connection, first)
    forgetPeak(worker.pid)
    const residentBefore = worker.residentBytes()
    const times: number[] = []
    for (let round = 0; round < LARGE_ROUNDS; round++) {
      const begun = performance.now()
      await ask(connection, request)
      times.push(performance.now() - begun)
    }
    const extraBytes = peakBytes(worker.pid) - residentBefore
    return { residentBefore, extraBytes, time: summarise(times) }
  })
}

const PROSE =
  'The story takes its time, and the two leads carry every scene; what begins as a quiet portrait of a family by the ' +
  "sea turns, without anybody's noticing, into a film about debts that cannot be repaid. The photography is splendid, " +
  'the soundtrack rather less so: it underlines everything twice. I could have done without the lighthouse (again!), ' +
  'the flashbacks of 1974 and the uncle who explains it all, but the last twenty minutes are as good as anything that ' +
  'this director has made, and they make up for an overlong middle. Gladly seen a second time, in better company.'
/** One token in every vocabulary of English. */
const FILLER = 'the'

const embeddings = z.object({ usage: z.object({ prompt_tokens: z.number() }) })

/** Words that are so many tokens for the model, by its own count; in any order, since each is split by itself. */
async function wordsOf(connection: Connection, model: string, tokens: number): Promise<string[]> {
  const count = async (some: readonly string[]): Promise<number> => {
    const answer: Answer = await ask(connection, textRequest(model, some.join(' ')))
    return embeddings.parse(JSON.parse(answer.body.toString())).usage.prompt_tokens
  }
  const words = PROSE.split(' ')
  while ((await count(words)) > tokens) words.pop()
  words.push(...Array.from({ length: tokens - (await count(words)) }, () => FILLER))
  const got = await count(words)
  if (got !== tokens) throw new Error(`a text of ${got} tokens came out where ${tokens} were meant`)
  return words
}

function rotated(words: readonly string[], by: number): string {
  const from = by % words.length
  return [...words.slice(from), ...words.slice(0, from)].join(' ')
}

/** Two rotations at once, of the even and of the odd places: as many texts as the square of half the words. */
function distinct(words: readonly string[], number: number): string {
  const even = words.filter((_, place) => place % 2 === 0)
  const odd = words.filter((_, place) => place % 2 === 1)
  return `${rotated(even, number)} ${rotated(odd, Math.floor(number / even.length))}`
}

function textRequest(model: string, text: string): Buffer {
  return requestBytes({
    method: 'POST',
    path: '/v1/embeddings',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, input: text }),
  })
}

export function pictureRequest(model: string, jpeg: Uint8Array, query = ''): Buffer {
  return requestBytes({
    method: 'POST',
    path: `/run/${model}${query}`,
    headers: { 'content-type': 'image/jpeg' },
    body: jpeg,
  })
}
