import { processTable } from '../../src/cli/local/processes.ts'
import { median } from '../../src/cli/statistics.ts'
import type { RequestParts } from '../lib/connection.ts'
import { type LoadResult, load } from '../lib/load.ts'
import { binaryParts, binaryRequest, type Input } from '../lib/oip.ts'
import { type Rig, startRig } from '../lib/origin-rig.ts'
import { signedRequest } from '../lib/signing.ts'

const BATCHED_MODEL = 'encoder-fp32'
const BATCHED_TOKENS = 16

/** An origin that batches, or one that does not, asked itself or through the Worker. Medians over the rounds. */
export interface HttpBatchingRow {
  readonly way: 'directly' | 'through the Worker'
  readonly maxBatch: number
  readonly callers: number
  readonly perSecond: number
  readonly p50: number
  readonly p95: number
  /** Anything but an answer, of all rounds together. */
  readonly failed: number
  /** How busy the client was, 1 being a whole core. */
  readonly clientBusy: number
}

export interface HttpBatchingFigures {
  readonly rows: readonly HttpBatchingRow[]
  /** Throughput with batches by that without: medians of the ratios within a round. */
  readonly gain: Readonly<Record<HttpBatchingRow['way'], number>>
}

const WAYS = ['directly', 'through the Worker'] as const
const WARM_UP_SECONDS = 1.5
/** More than any round here answers in a second. */
const MOST_A_SECOND = 1_500
const TEXTS = 512
const FIRST_ID = 1_000
const IDS = 29_000

export interface HttpBatchingSettings {
  /** Bundle of the Worker. */
  readonly directory: string
  readonly maxBatch: number
  readonly callers: number
  readonly rounds: number
  readonly seconds: number
}

/** Two origins, each with its Worker, that differ in the size of their batches alone; in turns. */
export async function measureHttpBatching(settings: HttpBatchingSettings): Promise<HttpBatchingFigures> {
  const { callers, directory, maxBatch, rounds, seconds } = settings
  const rigs = new Map<number, Rig>()
  try {
    for (const batch of [1, maxBatch]) {
      rigs.set(batch, await startRig({ directory, models: [BATCHED_MODEL], args: ['--max-batch', String(batch)] }))
    }
    const found = new Map<string, LoadResult[]>()
    for (let round = -1; round < rounds; round++) {
      for (const way of WAYS) {
        for (const [batch, rig] of rigs) {
          const result = await ask(rig, way, callers, round < 0 ? WARM_UP_SECONDS : seconds)
          if (round >= 0) found.set(`${way} ${batch}`, [...(found.get(`${way} ${batch}`) ?? []), result])
        }
      }
    }
    const of = (way: string, batch: number): LoadResult[] => found.get(`${way} ${batch}`) ?? []
    const gain = (way: string): number => {
      const single = of(way, 1)
      return median(of(way, maxBatch).map(({ perSecond }, at) => perSecond / (single[at]?.perSecond ?? Number.NaN)))
    }
    return {
      rows: WAYS.flatMap((way) => [...rigs.keys()].map((batch) => row(way, batch, callers, of(way, batch)))),
      gain: { directly: gain('directly'), 'through the Worker': gain('through the Worker') },
    }
  } finally {
    for (const rig of rigs.values()) await rig.stop()
  }
}

async function ask(rig: Rig, way: (typeof WAYS)[number], callers: number, seconds: number): Promise<LoadResult> {
  let next = 0
  if (way === 'through the Worker') {
    const hint = { 'verge-place': 'origin' }
    const requests = Array.from({ length: TEXTS }, (_, seed) => binaryRequest(BATCHED_MODEL, text(seed), hint))
    return load({ worker: rig.worker, request: () => requests[next++ % TEXTS] as Buffer, callers, seconds })
  }
  // Signed beforehand, and each used once: nobody measures the client's signatures.
  const signed: Buffer[] = []
  for (let seed = 0; seed < seconds * MOST_A_SECOND; seed++) {
    signed.push(await signedRequest(rig.key, partsOf(seed)))
  }
  const request = (): Buffer => {
    const found = signed[next++]
    if (found === undefined) throw new Error('there were more answers than requests had been signed for')
    return found
  }
  const pid = rig.origin.process.pid ?? 0
  return load({ worker: { url: rig.origin.url, cpuMs: () => processTable.cpuMs(pid) }, request, callers, seconds })
}

function partsOf(seed: number): RequestParts {
  return binaryParts(BATCHED_MODEL, text(seed))
}

function row(way: HttpBatchingRow['way'], maxBatch: number, callers: number, of: readonly LoadResult[]) {
  const middle = (part: 'perSecond' | 'p50' | 'p95' | 'clientBusy'): number => median(of.map((each) => each[part]))
  return {
    way,
    maxBatch,
    callers,
    perSecond: middle('perSecond'),
    p50: middle('p50'),
    p95: middle('p95'),
    failed: of.reduce((sum, { failed, refused }) => sum + failed + refused, 0),
    clientBusy: middle('clientBusy'),
  }
}

/** A text of its own for every `seed`. */
function text(seed: number): Input[] {
  const shape = [1, BATCHED_TOKENS]
  const data = BigInt64Array.from({ length: BATCHED_TOKENS }, (_, at) =>
    BigInt(FIRST_ID + ((seed * 7919 + at * 104_729) % IDS)),
  )
  return [
    { name: 'input_ids', datatype: 'INT64', shape, data },
    { name: 'attention_mask', datatype: 'INT64', shape, data: new BigInt64Array(BATCHED_TOKENS).fill(1n) },
  ]
}
