import type { Artifact, Manifest } from '../../catalog/manifest.ts'
import { isVergeError, VergeError } from '../../core/errors.ts'
import type { Tensors } from '../../core/tensors.ts'
import type { Session } from '../../engine/engine.ts'
import { decodeModel } from '../../onnx/codec.ts'
import { isOnnxError, safeName } from '../../onnx/errors.ts'
import { heldTo, precisionOf } from '../../quantize/precision.ts'
import type { Sample } from '../../quantize/types.ts'
import { send } from '../oip-client.ts'
import { sha256 } from '../pack/bytes.ts'
import type { PackedModel } from '../pack/packer.ts'
import { type AssessedOutput, assessOutput } from './assess-output.ts'
import { Comparison } from './compare.ts'
import { type Exercise, ExerciseWatch } from './exercise.ts'
import { describeLocated, type LocatedError, locateError } from './locate.ts'
import { outputRanges } from './ranges.ts'
import { referenceSession, tensorOutputs } from './reference.ts'
import { type Stage, type StagedWorker, withStage } from './stage.ts'
import { type Tolerance, toleranceFor } from './tolerance.ts'

export interface VerifyOptions {
  readonly packed: PackedModel
  /** The model that all artifacts come from, in 32-bit floats. */
  readonly original: Uint8Array
  readonly samples: readonly Sample[]
  /** Whether the samples were made up: then the best class of noise decides nothing. */
  readonly synthetic?: boolean
  /** What differs from the usual tolerances of each precision. */
  readonly tolerance?: Partial<Tolerance>
  readonly signal: AbortSignal
  readonly progress?: (done: number, total: number) => void
}

/** How the failure of an artifact begins that gives no answers. */
export const DOES_NOT_RUN = 'does not run'

export interface ArtifactVerification {
  readonly artifact: string
  /** The precision that it is held to: what its graph says that it is, or its description where there is no graph. */
  readonly dtype: string
  /** `edge`: loaded by the project's engine in workerd. `native`: run by onnxruntime-node, as an origin would. */
  readonly place: 'edge' | 'native'
  readonly tolerance: Tolerance
  /** It is the original, byte for byte: there is nothing to compare, and `outputs` is empty. */
  readonly same: boolean
  readonly outputs: readonly AssessedOutput[]
  /** Failures, one sentence each; empty if there are none. */
  readonly failures: readonly string[]
  /** Where in the graph the error begins, where there is one. */
  readonly located: LocatedError | null
}

/**
 * `none`: nothing is wrong, and nothing is shown either, since the samples leave every output of an artifact as it is.
 */
export type VerificationVerdict = 'agrees' | 'differs' | 'none'

export interface Verification {
  /** Whether the verdict is `agrees`. */
  readonly ok: boolean
  readonly verdict: VerificationVerdict
  readonly samples: number
  readonly synthetic: boolean
  readonly artifacts: readonly ArtifactVerification[]
}

/**
 * Proves a packed model where it will run: every artifact for the edge is stored in a bucket, loaded by the Worker's own
 * engine in a real workerd process, asked about every sample by the Open Inference Protocol, and compared with what
 * onnxruntime-node says of the original, node by node as written. Artifacts for elsewhere run in onnxruntime-node.
 * @throws VergeError model_invalid, run_rejected where the original itself does not run on the samples; bad samples
 */
export async function verifyInWorkerd(options: VerifyOptions): Promise<Verification> {
  return withStage(options.packed, { signal: options.signal }, (stage) => verifyStaged(stage, options))
}

/** `verifyInWorkerd` for a model that is staged already. */
export async function verifyStaged(stage: Stage, options: VerifyOptions): Promise<Verification> {
  return withWorkers(stage, [...new Set(stage.artifacts.map(isOwn))], (workers) =>
    verifyWith((artifact) => workers.get(isOwn(artifact)), stage, options),
  )
}

/**
 * One Worker for each engine: neither gives memory back, and a large model leaves none for the other, where an isolate that
 * serves it needs one of them.
 */
function withWorkers<T>(
  stage: Stage,
  [engine, ...others]: readonly boolean[],
  use: (workers: ReadonlyMap<boolean, StagedWorker>) => Promise<T>,
  running: ReadonlyMap<boolean, StagedWorker> = new Map(),
): Promise<T> {
  if (engine === undefined) return use(running)
  return stage.withWorker((worker) => withWorkers(stage, others, use, new Map([...running, [engine, worker]])))
}

/** Whether Verge's own engine runs it. */
function isOwn({ format }: Artifact): boolean {
  return format === 'verge'
}

/**
 * `verifyInWorkerd` with Workers that run already.
 * @param workerOf of the artifacts for the edge
 */
export async function verifyWith(
  workerOf: (artifact: Artifact) => StagedWorker | undefined,
  stage: Pick<Stage, 'artifacts'>,
  options: VerifyOptions,
): Promise<Verification> {
  const { original, packed, samples, signal, synthetic = false } = options
  if (samples.length === 0) throw new VergeError('invalid_request', 'There are no samples to verify the model with.')
  const reference = await referenceSession(original, signal)
  const outputs = tensorOutputs(reference)
  const watches = new Map(outputs.map((name) => [name, new ExerciseWatch()]))
  const trials: Trial[] = []
  try {
    for (const [index, artifact] of stage.artifacts.entries()) trials.push(new Trial(artifact, 'edge', index, outputs))
    for (const artifact of packed.manifest.artifacts) {
      if (artifact.places.includes('edge')) continue
      const trial = new Trial(artifact, 'native', -1, outputs)
      // The original is not compared with itself.
      trial.same = artifact.sha256 === sha256(original)
      if (!trial.same) trial.session = await referenceSession(bytesOf(packed, artifact), signal)
      trials.push(trial)
    }
    for (const [index, { inputs }] of samples.entries()) {
      signal.throwIfAborted()
      const expected = await reference.run(inputs, { outputs, signal })
      for (const [name, value] of expected) watches.get(name)?.add(value)
      for (const trial of trials) await trial.ask(workerOf(trial.artifact), inputs, expected, signal)
      options.progress?.(index + 1, samples.length)
    }
  } finally {
    reference.dispose()
    for (const { session } of trials) session?.dispose()
  }
  const exercises = new Map([...watches].map(([name, watch]) => [name, watch.result()]))
  const artifacts: ArtifactVerification[] = []
  for (const trial of trials) artifacts.push(await judged(trial, exercises, options))
  const verdict = verdictOf(artifacts)
  return { ok: verdict === 'agrees', verdict, samples: samples.length, synthetic, artifacts }
}

function verdictOf(artifacts: readonly ArtifactVerification[]): VerificationVerdict {
  if (artifacts.some(({ failures }) => failures.length > 0)) return 'differs'
  const shown = artifacts.every(({ outputs, same }) => same || outputs.some(({ unexercised }) => unexercised === null))
  return shown ? 'agrees' : 'none'
}

/** One artifact on trial. */
class Trial {
  readonly artifact: Artifact
  readonly place: ArtifactVerification['place']
  readonly comparisons: ReadonlyMap<string, Comparison>
  /** Where it runs natively; left out for the edge, and for the original itself. */
  session: Session | undefined
  /** Whether it is the original itself. */
  same = false
  refusal: VergeError | undefined
  readonly #index: number
  readonly #outputs: readonly string[]

  constructor(artifact: Artifact, place: ArtifactVerification['place'], index: number, outputs: readonly string[]) {
    this.artifact = artifact
    this.place = place
    this.#index = index
    this.#outputs = outputs
    this.comparisons = new Map(outputs.map((name) => [name, new Comparison(name, { classes: true })]))
  }

  async ask(worker: StagedWorker | undefined, inputs: Tensors, expected: Tensors, signal: AbortSignal): Promise<void> {
    if (this.refusal || this.same) return
    try {
      const actual = await this.#run(worker, inputs, signal)
      for (const [name, comparison] of this.comparisons) {
        const value = expected.get(name)
        if (value) comparison.add(value, actual.get(name))
      }
    } catch (error) {
      if (!isVergeError(error) || signal.aborted) throw error
      this.refusal = error
    }
  }

  async #run(worker: StagedWorker | undefined, inputs: Tensors, signal: AbortSignal): Promise<Tensors> {
    if (this.session) return this.session.run(inputs, { outputs: this.#outputs, signal })
    if (worker === undefined)
      throw new VergeError('internal', 'An artifact for the edge was verified without a Worker.')
    return (await send(worker.url, worker.request(this.#index, inputs, this.#outputs), signal)).outputs
  }
}

async function judged(
  trial: Trial,
  exercises: ReadonlyMap<string, Exercise>,
  options: VerifyOptions,
): Promise<ArtifactVerification> {
  const { manifest } = options.packed
  const { artifact, comparisons, place, refusal, same } = trial
  const plain = place === 'native' ? artifact : plainFormOf(artifact, manifest)
  const model = plain && decodeModel(bytesOf(options.packed, plain))
  const dtype = model === undefined ? artifact.dtype : heldTo(artifact.dtype, precisionOf(model))
  const tolerance = toleranceFor(dtype, options.tolerance)
  const verdict = { artifact: artifact.id, dtype, place, tolerance, same }
  if (same) return { ...verdict, outputs: [], failures: [], located: null }
  const decisive = isClassifier(manifest) && !options.synthetic
  const ranges = outputRanges(model ?? decodeModel(options.original))
  const failures: string[] = []
  const outputs: AssessedOutput[] = []
  for (const [name, comparison] of comparisons) {
    const agreement = comparison.result()
    const exercise = exercises.get(name)
    if (exercise === undefined) continue
    const assessment = assessOutput(
      decisive ? agreement : { ...agreement, top1: null },
      exercise,
      tolerance,
      ranges.get(name),
    )
    outputs.push({ ...agreement, unexercised: assessment.unexercised })
    failures.push(...assessment.deviations.map((deviation) => `output "${safeName(name)}" ${deviation}`))
  }
  if (refusal) {
    const where = place === 'edge' ? 'in a Worker' : 'in onnxruntime-node'
    return { ...verdict, outputs, failures: [`${DOES_NOT_RUN} ${where}: ${refusal.message}`], located: null }
  }
  if (failures.length === 0) return { ...verdict, outputs, failures, located: null }
  if (plain === undefined) return { ...verdict, outputs, failures, located: null }
  try {
    const located = await locateError({
      original: options.original,
      quantized: bytesOf(options.packed, plain),
      samples: options.samples,
      signal: options.signal,
    })
    return { ...verdict, outputs, failures: [...failures, describeLocated(located)], located }
  } catch (error) {
    // The verdict stands without it: some graphs do not run with their inner values as outputs.
    if (!isVergeError(error) && !isOnnxError(error)) throw error
    options.signal.throwIfAborted()
    return {
      ...verdict,
      outputs,
      failures: [...failures, `where the error begins is unknown: ${error.message}`],
      located: null,
    }
  }
}

function isClassifier({ labels, task }: Manifest): boolean {
  return labels !== undefined || task?.endsWith('-classification') === true
}

/** The ONNX file that an artifact in ORT format was made from. */
function plainFormOf(artifact: Artifact, { artifacts }: Manifest): Artifact | undefined {
  if (artifact.format === 'onnx') return artifact
  return artifacts.find(({ dtype, format }) => format === 'onnx' && dtype === artifact.dtype)
}

function bytesOf({ chunks }: PackedModel, artifact: Artifact): Uint8Array {
  return Buffer.concat(artifact.chunks.map(({ sha256: digest }) => chunks.get(digest) ?? new Uint8Array(0)))
}
