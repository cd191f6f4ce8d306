import type { Artifact } from '../../catalog/manifest.ts'
import { isVergeError, VergeError } from '../../core/errors.ts'
import type { Sample } from '../../quantize/types.ts'
import { send } from '../oip-client.ts'
import type { PackedModel } from '../pack/packer.ts'
import { median, percentile } from '../statistics.ts'
import { type Stage, type StagedWorker, withStage } from '../verify/stage.ts'
import { type MeasuredCost, measureCost, warmUpWorker } from './cost.ts'
import { doesNotRun } from './failures.ts'
import { packedReference, REFERENCE } from './reference-model.ts'
import { sizedInputs } from './sizes.ts'
import { type Verdict, verdictOf } from './verdict.ts'

export interface MeasureOptions {
  readonly packed: PackedModel
  /** Any plain form of the model, to find inputs of several sizes with. */
  readonly original: Uint8Array
  /** The first is what latency is measured with. */
  readonly samples: readonly Sample[]
  /** Answers of a loaded model to time; 30 if left out, and fewer where they take long. */
  readonly runs?: number
  readonly signal: AbortSignal
  readonly progress?: (step: string) => void
}

/** Times in milliseconds, sizes in bytes, of one artifact in workerd on this machine. */
export interface Measurements {
  readonly artifact: string
  /** First answer of a Worker that has loaded nothing: engine, weights, session and run. */
  readonly coldMs: number
  /** Answers of a loaded model as a caller on the same machine sees them. */
  readonly warm: { readonly p50: number; readonly p95: number; readonly runs: number }
  /** Median time of an answer without a model, included in each of the above. */
  readonly roundTripMs: number
  /** CPU time of the Worker's process for one answer; null where it is too short for the kernel's clock. */
  readonly cpuMs: number | null
  /** Elements of the inputs that it was measured with. */
  readonly elements: number
  /**
   * Resident memory of the local workerd process, before the model was loaded and after the runs. It includes compiled
   * code and the local stores, so it cannot be compared with an isolate's limit of 128 MB.
   */
  readonly residentBefore: number
  readonly residentAfter: number
  /** The engine's WebAssembly memory after the runs. It never shrinks, so this is its largest. */
  readonly heapBytes: number
  readonly cost: MeasuredCost
}

export interface Measured {
  /** Null where no artifact runs at the edge. */
  readonly measurements: Measurements | null
  readonly verdict: Verdict
}

const RUNS = 30
/** Slow answers are timed for so long, and at least so often. */
const LONGEST_MS = 5000
const LEAST_RUNS = 8

/**
 * Measures a packed model in a Worker, in a real workerd process from outside, with its first artifact for the edge.
 * Times apply to this machine; `cost` applies to other machines too.
 */
export async function measureInWorkerd(options: MeasureOptions): Promise<Measured> {
  const { packed, signal } = options
  if (!packed.manifest.artifacts.some(({ places }) => places.includes('edge'))) {
    return { measurements: null, verdict: verdictOf(undefined, undefined) }
  }
  const beside = [{ name: REFERENCE, packed: packedReference() }]
  return withStage(packed, { signal, beside }, (stage) => measureStaged(stage, options))
}

/** `measureInWorkerd` for a model that is staged already, the reference model beside it. */
export async function measureStaged(stage: Stage, options: MeasureOptions): Promise<Measured> {
  const [artifact] = stage.artifacts
  const [sample] = options.samples
  if (artifact === undefined || sample === undefined) {
    return { measurements: null, verdict: verdictOf(artifact, undefined) }
  }
  return stage.withWorker(async (worker) => {
    const start = await startOf(worker, options).catch((error: unknown) => notRunning(artifact, error))
    return 'verdict' in start ? start : measureBeside(stage, worker, artifact, start, options)
  })
}

/** `measureWith`, with the reference in another Worker: ONNX Runtime, which runs it, may find no memory beside the model. */
export function measureBeside(
  stage: Pick<Stage, 'withWorker'>,
  worker: StagedWorker,
  artifact: Artifact,
  start: MeasuredStart,
  options: MeasureOptions,
): Promise<Measured> {
  return stage.withWorker((reference) => measureWith({ worker, reference }, artifact, start, options))
}

/** Time of the first answer of a Worker that had loaded nothing. */
export interface MeasuredStart {
  readonly coldMs: number
  readonly residentBefore: number
}

/** Asks a fresh Worker for its first answer. @throws VergeError where it gives none */
export async function startOf(worker: StagedWorker, options: MeasureOptions): Promise<MeasuredStart> {
  const [sample] = options.samples
  if (sample === undefined) throw new VergeError('invalid_request', 'There are no samples to measure the model with.')
  const residentBefore = worker.residentBytes()
  const request = worker.request(0, sample.inputs, outputsOf(options))
  return { coldMs: (await send(worker.url, request, options.signal)).ms, residentBefore }
}

/** `measureStaged` with a Worker that runs already, and has loaded the first artifact and nothing else. */
async function measureWith(
  { reference, worker }: { readonly worker: StagedWorker; readonly reference: StagedWorker },
  artifact: Artifact,
  start: MeasuredStart,
  options: MeasureOptions,
): Promise<Measured> {
  const { progress, signal } = options
  const [sample] = options.samples
  if (sample === undefined) return { measurements: null, verdict: verdictOf(artifact, undefined) }
  try {
    const outputs = outputsOf(options)
    progress?.('warm latency')
    const warm = await warmAnswers(worker, sample, outputs, options)
    const residentAfter = worker.residentBytes()
    const heapBytes = await worker.heapBytes()
    progress?.('cost of a run')
    const sizes = await sizedInputs(options.original, options.samples, signal, options.packed.manifest)
    const cost = await measureCost(worker, 0, sizes, { outputs, signal, reference })
    const measurements = { artifact: artifact.id, ...start, ...warm, residentAfter, heapBytes, cost }
    return { measurements, verdict: verdictOf(artifact, measurements) }
  } catch (error) {
    return notRunning(artifact, error)
  }
}

/** Measurements of a model that does not run in an isolate. @throws failures that the model did not cause */
function notRunning(artifact: Artifact, error: unknown): Measured {
  if (!isVergeError(error) || !doesNotRun(error)) throw error
  const { reason } = verdictOf(artifact, undefined)
  return { measurements: null, verdict: { fit: 'origin-only', reason: `${reason} ${error.message}` } }
}

function outputsOf({ packed }: MeasureOptions): string[] {
  return packed.manifest.outputs.filter(({ datatype }) => datatype !== null).map(({ name }) => name)
}

/** CPU time is counted in hundredths of a second: less than this many of them says nothing. */
const LEAST_CPU_MS = 100

async function warmAnswers(
  worker: StagedWorker,
  { inputs }: Sample,
  outputs: readonly string[],
  { runs = RUNS, signal }: MeasureOptions,
): Promise<Pick<Measurements, 'warm' | 'roundTripMs' | 'cpuMs' | 'elements'>> {
  const request = worker.request(0, inputs, outputs)
  await warmUpWorker(worker.url, request, signal)
  const cpuBefore = worker.cpuMs()
  const times: number[] = []
  const begun = performance.now()
  while (times.length < runs && (times.length < LEAST_RUNS || performance.now() - begun < LONGEST_MS)) {
    times.push((await send(worker.url, request, signal)).ms)
  }
  const cpu = worker.cpuMs() - cpuBefore
  const trips: number[] = []
  for (let trip = 0; trip < runs; trip++) {
    const begun = performance.now()
    await (await fetch(`${worker.url}/v2/health/live`, { signal })).arrayBuffer()
    trips.push(performance.now() - begun)
  }
  return {
    warm: { p50: percentile(times, 0.5), p95: percentile(times, 0.95), runs: times.length },
    roundTripMs: median(trips),
    cpuMs: cpu < LEAST_CPU_MS ? null : cpu / times.length,
    elements: [...inputs.values()].reduce((total, { data }) => total + data.length, 0),
  }
}
