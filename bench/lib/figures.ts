import { LIMITS } from '../../src/core/limits.ts'
import { READ_MS } from '../measures/cold-reads.ts'
import { FEW, MANY } from '../measures/models.ts'
import type { TelemetrySides } from '../measures/telemetry.ts'
import { engineFigures } from './engine-figures.ts'
import { pageFigures } from './page-figures.ts'
import type { BenchResult } from './result.ts'

/** A figure that Verge sets itself, and what this run says. */
export interface Figure {
  readonly name: string
  readonly target: string
  readonly value: string
  readonly reached: boolean
  /** Of a figure that has an aim beyond its target. */
  readonly aimReached?: boolean
}

export const FIGURE_MODEL = 'encoder-int8'
const MOST_HEAP = 1.8
const MOST_CHUNKS = 2
const MOST_PROTOCOL_MS = 0.3
/** What learning who calls may add, of the millisecond that limits and usage share with it. */
const MOST_CALLER_MS = 1
const MOST_WRONG_KEY_MS = 0.3
const MOST_LIMITS_MS = 1
const MOST_LEDGER_CALLS = 1
const LEAST_ROUTER = 0.5
const LEAST_SPEEDUP = 5
const MOST_ROUNDS = 3

const MB = 1e6

/** Those figures whose parts were measured in this run. */
export function figures(result: BenchResult): Figure[] {
  const found: Figure[] = []
  const cold = result.cold?.find(({ model, way }) => model === FIGURE_MODEL && way === 'onnxruntime')
  const runtimeBytes = result.fit?.find(({ model }) => model === FIGURE_MODEL)?.runtimeBytes
  if (cold && runtimeBytes) {
    const ratio = cold.heapBytes / runtimeBytes
    found.push({
      name: `wasm heap after loading ${FIGURE_MODEL} on ONNX Runtime, by its artifact`,
      target: `at most ${MOST_HEAP}x`,
      value: `${ratio.toFixed(2)}x (${(cold.heapBytes / MB).toFixed(1)} of ${(runtimeBytes / MB).toFixed(1)} MB)`,
      reached: ratio <= MOST_HEAP,
    })
  }
  if (result.loading) {
    const chunks = result.loading.extraBytes / LIMITS.chunkBytes
    found.push({
      name: 'JavaScript heap beside it while loading, in chunks of 8 MiB',
      target: `at most ${MOST_CHUNKS}`,
      value: `${chunks.toFixed(2)} (${(result.loading.extraBytes / MB).toFixed(1)} MB, garbage included)`,
      reached: chunks <= MOST_CHUNKS,
    })
  }
  if (result.router) {
    found.push({
      name: 'answers a second of the router, by those of a bare Hono echo',
      target: `at least ${LEAST_ROUTER}x`,
      value: `${result.router.ratio.toFixed(2)}x (${Math.round(result.router.identity.perSecond)} of ${Math.round(result.router.echo.perSecond)})`,
      reached: result.router.ratio >= LEAST_ROUTER,
    })
  }
  if (result.callers) {
    const { floods, rows } = result.callers
    const key = Math.max(...rows.map(({ beside }) => beside))
    found.push({
      name: 'learning who calls, beside a request that brings nothing, p50',
      target: `at most ${MOST_CALLER_MS} ms`,
      value: `${key.toFixed(3)} ms`,
      reached: key <= MOST_CALLER_MS,
    })
    const wrong = Math.max(...floods.map(({ beside }) => beside))
    found.push({
      name: 'CPU time of a wrong key in a flood, beside a bare Hono Worker that refuses it',
      target: `below ${MOST_WRONG_KEY_MS} ms`,
      value: `${wrong.toFixed(3)} ms`,
      reached: wrong < MOST_WRONG_KEY_MS,
    })
  }
  if (result.wire) {
    found.push({
      name: 'binary tensors against JSON, 1 x 3 x 224 x 224 floats end to end',
      target: `at least ${LEAST_SPEEDUP}x as fast`,
      value: `${result.wire.speedup.toFixed(1)}x`,
      reached: result.wire.speedup >= LEAST_SPEEDUP,
    })
  }
  if (result.protocols) {
    const worst = result.protocols.toSorted((a, b) => b.beside - a.beside)[0]
    found.push({
      name: "a protocol's own work, beside /run on the same model, p50",
      target: `at most ${MOST_PROTOCOL_MS} ms`,
      value: `${(worst?.beside ?? 0).toFixed(2)} ms (${worst?.address})`,
      reached: (worst?.beside ?? 0) <= MOST_PROTOCOL_MS,
    })
  }
  if (result.limits) {
    const { added, callsInHundred } = result.limits
    found.push(
      {
        name: 'what a key, its limits and its usage add to a request, p50',
        target: `at most ${MOST_LIMITS_MS} ms`,
        value: `${added.toFixed(2)} ms`,
        reached: added <= MOST_LIMITS_MS,
      },
      {
        name: 'calls of the ledger in a hundred requests of a caller in a hurry',
        target: `at most ${MOST_LEDGER_CALLS}`,
        value: callsInHundred.toFixed(2),
        reached: callsInHundred <= MOST_LEDGER_CALLS,
      },
    )
  }
  return [
    ...engineFigures(result),
    ...rounds(result),
    ...pageFigures(result),
    ...found,
    ...ofTelemetry(result),
    ...ofManyModels(result),
    ...ofReleases(result),
  ]
}

const MOST_TELEMETRY_MS = 0.3
const MOST_TELEMETRY_SUBREQUESTS = 2

/** What metrics, traces and the watch of a canary may cost those who ask for an inference. */
function ofTelemetry({ telemetry }: BenchResult): Figure[] {
  if (telemetry === undefined) return []
  const { subrequestsInHundred, trial } = telemetry
  const added = (name: string, { added, withTelemetry, without }: TelemetrySides): Figure => ({
    name,
    target: `at most ${MOST_TELEMETRY_MS} ms`,
    value: `${added.toFixed(2)} ms (p95 ${withTelemetry.p95.toFixed(2)} beside ${without.p95.toFixed(2)} ms)`,
    reached: added <= MOST_TELEMETRY_MS,
  })
  return [
    added('what metrics and sampled traces add to a warm request, p50', telemetry),
    ...(trial ? [added('the same while a canary is on trial', trial)] : []),
    {
      name: 'subrequests of metrics and traces in a hundred requests',
      target: `at most ${MOST_TELEMETRY_SUBREQUESTS}`,
      value: subrequestsInHundred.toFixed(2),
      reached: subrequestsInHundred <= MOST_TELEMETRY_SUBREQUESTS,
    },
  ]
}

const MOST_LIST_READS = 3
const MOST_MANY_RATIO = 1.2

/** What a catalogue of many models may cost those who ask for a list, the document, one model or its first answer. */
function ofManyModels({ models = [] }: BenchResult): Figure[] {
  return models.map(({ few, many, mostReads = MOST_LIST_READS, ratio, reads, request }) => ({
    name: `${request}: reads and time of an isolate that has read nothing, among ${MANY} models and among ${FEW}`,
    target: `at most ${mostReads} reads, ${MOST_MANY_RATIO}x`,
    value: `${Math.max(...reads)} reads, ${ratio.toFixed(2)}x (${many.p50.toFixed(1)} of ${few.p50.toFixed(1)} ms)`,
    reached: Math.max(...reads) <= mostReads && ratio <= MOST_MANY_RATIO,
  }))
}

const MOST_MISTAKEN = 0.01
const MOST_CANARY_REQUESTS = 200

/** What the rule of canaries does to those that are no worse, and to one that answers wrongly. */
function ofReleases({ releases: rows = [] }: BenchResult): Figure[] {
  const equal = rows.filter(({ kind }) => kind === 'equal')
  const mistaken = Math.max(...equal.map(({ releases, stopped }) => stopped / releases))
  const figures: Figure[] = rows
    .filter(({ kind }) => kind === 'wrong')
    .map(({ canary, most }) => ({
      name: `requests of a canary until 99 % of the releases went back: ${canary}`,
      target: `at most ${MOST_CANARY_REQUESTS}`,
      value: most === undefined ? 'fewer went back' : String(most),
      reached: most !== undefined && most <= MOST_CANARY_REQUESTS,
    }))
  if (equal.length === 0) return figures
  return [
    ...figures,
    {
      name: 'releases that go back though the canary is no worse than tolerated, of the worst kind',
      target: `at most ${100 * MOST_MISTAKEN} %`,
      value: `${(100 * mistaken).toFixed(2)} %`,
      reached: mistaken <= MOST_MISTAKEN,
    },
  ]
}

function rounds({ reads = [] }: BenchResult): Figure[] {
  return reads
    .filter(({ copies }) => copies === 'KV has copies')
    .map(({ answer, model, rounds }) => ({
      name: `${model}: reads that come one after the other before the first answer of an isolate that has read nothing`,
      target: `at most ${MOST_ROUNDS}`,
      value: `${rounds} (${answer.p50.toFixed(0)} ms with ${READ_MS} ms on each)`,
      reached: rounds <= MOST_ROUNDS,
    }))
}
