import { performance } from 'node:perf_hooks'
import { median, percentile } from '../../src/cli/statistics.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { type Tensors, tensor } from '../../src/core/tensors.ts'
import { BatchingEngine } from '../../src/engine/batching/engine.ts'
import type { Session } from '../../src/engine/engine.ts'
import { NativeEngine } from '../../src/engine/native/engine.ts'
import { InferenceSession, Tensor as OrtTensor } from '../../src/engine/native/runtime.ts'
import { artifactOf, never, sourceOf } from '../../synthetic/source.ts'
import { madeModel } from '../models/index.ts'

export const BATCHING_MODEL = 'encoder-fp32'
export const BATCHING_TOKENS = 16
/** Answers compared with the runs' own. */
const COMPARED = 64
const WARM_UP_MS = 1_500
/** Of the encoder's 30,522; the first thousand are rare in texts. */
const FIRST_ID = 1_000
const IDS = 29_000

export interface BatchingSettings {
  readonly threads: number
  readonly maxBatch: number
  readonly maxWaitMs: number
  readonly callers: readonly number[]
  readonly rounds: number
  readonly seconds: number
}

/** One way to serve so many callers. Medians over the rounds, each of which measures every way. */
export interface WayRow {
  /** `bare`: onnxruntime-node itself, called in a loop by one caller. */
  readonly way: 'bare' | 'one by one' | 'batched'
  readonly callers: number
  readonly perSecond: number
  /** Latency, in milliseconds. */
  readonly p50: number
  readonly p95: number
  /** Runs in one turn, on average. */
  readonly runsEach: number
}

export interface BatchingFigures {
  readonly rows: readonly WayRow[]
  /** Throughput batched by throughput one by one, by callers: medians of the ratios within a round. */
  readonly gain: Readonly<Record<number, number>>
  /** Between an answer from a batch and the same run's alone, over all elements of `COMPARED` answers. */
  readonly largestDifference: number
}

interface Way {
  readonly name: WayRow['way']
  readonly callers: number
  run(inputs: Tensors): Promise<unknown>
  /** Turns so far. */
  turns(): number
}

/** Throughput and latency of callers who each ask again as soon as they are answered, in this process. */
export async function measureBatching(settings: BatchingSettings): Promise<BatchingFigures> {
  const { bytes, file } = await madeModel(BATCHING_MODEL)
  const engine = new NativeEngine({
    clock: systemClock,
    threads: settings.threads,
    maxArtifactBytes: LIMITS.nativeArtifactBytes,
    turnLeaseMs: LIMITS.turnLeaseMs,
  })
  const artifact = await artifactOf(bytes)
  const turns = { 'one by one': 0, batched: 0 }
  const queued = async (name: 'one by one' | 'batched', maxBatch: number): Promise<Session> => {
    const onBatch = (): void => {
      turns[name]++
    }
    const { maxWaitMs } = settings
    const batching = new BatchingEngine(engine, {
      clock: systemClock,
      logger: silentLogger,
      maxBatch,
      maxWaitMs,
      maxQueue: LIMITS.batchQueue,
      maxElements: LIMITS.inputElements,
      onBatch,
    })
    return batching.load(artifact, sourceOf(bytes), { signal: never() })
  }
  const single = await queued('one by one', 1)
  const batched = await queued('batched', settings.maxBatch)
  const bare = await InferenceSession.create(file, { intraOpNumThreads: settings.threads, interOpNumThreads: 1 })
  const way = (name: 'one by one' | 'batched', session: Session, callers: number): Way => ({
    name,
    callers,
    run: (inputs) => session.run(inputs, { signal: never() }),
    turns: () => turns[name],
  })
  let bareRuns = 0
  const ways: Way[] = [
    {
      name: 'bare',
      callers: 1,
      run(inputs) {
        bareRuns++
        return bare.run(feeds(inputs))
      },
      turns: () => bareRuns,
    },
    ...settings.callers.flatMap((callers) => [way('one by one', single, callers), way('batched', batched, callers)]),
  ]
  try {
    const largestDifference = await compare(single, batched)
    for (const each of ways) await load(each, WARM_UP_MS)
    const found = new Map<Way, WayRow[]>(ways.map((each) => [each, []]))
    for (let round = 0; round < settings.rounds; round++) {
      for (const each of ways) found.get(each)?.push(await load(each, settings.seconds * 1000))
    }
    const rates = (name: WayRow['way'], callers: number): number[] => {
      const of = ways.find((each) => each.name === name && each.callers === callers)
      return (of && found.get(of)?.map(({ perSecond }) => perSecond)) ?? []
    }
    const gains = settings.callers.map((callers) => {
      const alone = rates('one by one', callers)
      return [callers, median(rates('batched', callers).map((rate, round) => rate / (alone[round] ?? Number.NaN)))]
    })
    return {
      rows: ways.map((each) => middle(each, found.get(each) ?? [])),
      gain: Object.fromEntries(gains),
      largestDifference,
    }
  } finally {
    single.dispose()
    batched.dispose()
    await bare.release()
  }
}

async function load(way: Way, milliseconds: number): Promise<WayRow> {
  const latencies: number[] = []
  const turnsBefore = way.turns()
  const begun = performance.now()
  const end = begun + milliseconds
  const call = async (caller: number): Promise<void> => {
    let asked = caller
    for (let now = performance.now(); now < end; ) {
      await way.run(text(asked))
      asked += way.callers
      const after = performance.now()
      latencies.push(after - now)
      now = after
    }
  }
  await Promise.all(Array.from({ length: way.callers }, (_, caller) => call(caller)))
  return {
    way: way.name,
    callers: way.callers,
    perSecond: (latencies.length * 1000) / (performance.now() - begun),
    p50: percentile(latencies, 0.5),
    p95: percentile(latencies, 0.95),
    runsEach: latencies.length / (way.turns() - turnsBefore),
  }
}

function middle({ name, callers }: Way, rows: readonly WayRow[]): WayRow {
  const of = (figure: 'perSecond' | 'p50' | 'p95' | 'runsEach'): number => median(rows.map((row) => row[figure]))
  return { way: name, callers, perSecond: of('perSecond'), p50: of('p50'), p95: of('p95'), runsEach: of('runsEach') }
}

async function compare(single: Session, batched: Session): Promise<number> {
  const asked = Array.from({ length: COMPARED }, (_, seed) => text(seed))
  // Asked for together and more than once, so that batches of several sizes are among them.
  const answers = await Promise.all(asked.map((inputs) => batched.run(inputs, { signal: never() })))
  let largest = 0
  for (const [index, inputs] of asked.entries()) {
    const expected = (await single.run(inputs, { signal: never() })).get('last_hidden_state')?.data ?? []
    const found = answers[index]?.get('last_hidden_state')?.data ?? []
    if (expected.length === 0 || found.length !== expected.length) throw new Error('the encoder gave no vectors')
    for (let at = 0; at < expected.length; at++) {
      largest = Math.max(largest, Math.abs(Number(found[at]) - Number(expected[at])))
    }
  }
  return largest
}

/** A text of its own for every `seed`. */
function text(seed: number): Tensors {
  const shape = [1, BATCHING_TOKENS]
  const ids = BigInt64Array.from({ length: BATCHING_TOKENS }, (_, at) =>
    BigInt(FIRST_ID + ((seed * 7919 + at * 104_729) % IDS)),
  )
  return new Map([
    ['input_ids', tensor('INT64', shape, ids)],
    ['attention_mask', tensor('INT64', shape, new BigInt64Array(BATCHING_TOKENS).fill(1n))],
  ])
}

function feeds(inputs: Tensors): Record<string, OrtTensor> {
  return Object.fromEntries(
    [...inputs].map(([name, { shape, data }]) => [name, new OrtTensor('int64', data as BigInt64Array, shape)]),
  )
}
