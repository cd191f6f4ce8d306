import type { Artifact, Manifest } from '../../../src/catalog/manifest.ts'
import { isVergeError, VergeError } from '../../../src/core/errors.ts'
import type { Tensors } from '../../../src/core/tensors.ts'
import type { Session } from '../../../src/engine/engine.ts'
import { isOnnxError, printable } from '../../../src/onnx/errors.ts'
import type { Sample } from '../../../src/quantize/types.ts'
import { sha256 } from '../bytes.ts'
import { send } from '../oip-client.ts'
import type { PackedModel } from '../packer.ts'
import { Comparison, type OutputAgreement, strayings } from './compare.ts'
import { describeLocated, type LocatedError, locateError } from './locate.ts'
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

export interface ArtifactVerification {
  readonly artifact: string
  readonly dtype: string
  /** `edge`: loaded by the project's engine in workerd. `native`: run by onnxruntime-node, as an origin would. */
  readonly place: 'edge' | 'native'
  readonly tolerance: Tolerance
  readonly outputs: readonly OutputAgreement[]
  /** What is wrong, a sentence each; empty if nothing is. */
  readonly failures: readonly string[]
  /** Where in the graph the error begins, where there is one. */
  readonly located: LocatedError | null
}

export interface Verification {
  readonly ok: boolean
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
  const { original, packed, samples, signal, synthetic = false } = options
  if (samples.length === 0) throw new VergeError('invalid_request', 'There are no samples to verify the model with.')
  const reference = await referenceSession(original, signal)
  const trials: Trial[] = []
  try {
    const outputs = tensorOutputs(reference)
    for (const [index, artifact] of stage.artifacts.entries()) trials.push(new Trial(artifact, 'edge', index, outputs))
    for (const artifact of packed.manifest.artifacts) {
      if (artifact.places.includes('edge')) continue
      const trial = new Trial(artifact, 'native', -1, outputs)
      // What the original says of itself needs no proof.
      if (artifact.sha256 !== sha256(original))
        trial.session = await referenceSession(bytesOf(packed, artifact), signal)
      trials.push(trial)
    }
    const askAll = async (worker?: StagedWorker): Promise<void> => {
      for (const [index, { inputs }] of samples.entries()) {
        signal.throwIfAborted()
        const expected = await reference.run(inputs, { outputs, signal })
        for (const trial of trials) await trial.ask(worker, inputs, expected, signal)
        options.progress?.(index + 1, samples.length)
      }
    }
    await (stage.artifacts.length > 0 ? stage.withWorker(askAll) : askAll())
  } finally {
    reference.dispose()
    for (const { session } of trials) session?.dispose()
  }
  const artifacts: ArtifactVerification[] = []
  for (const trial of trials) artifacts.push(await judged(trial, options))
  return { ok: artifacts.every(({ failures }) => failures.length === 0), samples: samples.length, synthetic, artifacts }
}

/** One artifact on trial. */
class Trial {
  readonly artifact: Artifact
  readonly place: ArtifactVerification['place']
  readonly comparisons: ReadonlyMap<string, Comparison>
  /** Where it runs natively; left out for the edge, and for the original itself. */
  session: Session | undefined
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
    if (this.refusal) return
    try {
      const actual = await this.#run(worker, inputs, expected, signal)
      for (const [name, comparison] of this.comparisons) {
        const value = expected.get(name)
        if (value) comparison.add(value, actual.get(name))
      }
    } catch (error) {
      if (!isVergeError(error) || signal.aborted) throw error
      this.refusal = error
    }
  }

  async #run(
    worker: StagedWorker | undefined,
    inputs: Tensors,
    expected: Tensors,
    signal: AbortSignal,
  ): Promise<Tensors> {
    if (this.place === 'edge' && worker) {
      return (await send(worker.url, worker.request(this.#index, inputs, this.#outputs), signal)).outputs
    }
    return this.session ? this.session.run(inputs, { outputs: this.#outputs, signal }) : expected
  }
}

async function judged(trial: Trial, options: VerifyOptions): Promise<ArtifactVerification> {
  const { manifest } = options.packed
  const { artifact, comparisons, place, refusal } = trial
  const tolerance = toleranceFor(artifact.dtype, options.tolerance)
  const outputs = [...comparisons.values()].map((comparison) => comparison.result())
  const verdict = { artifact: artifact.id, dtype: artifact.dtype, place, tolerance, outputs }
  if (refusal) {
    const where = place === 'edge' ? 'in a Worker' : 'in onnxruntime-node'
    return { ...verdict, failures: [`does not run ${where}: ${refusal.message}`], located: null }
  }
  const decisive = isClassifier(manifest) && !options.synthetic
  const failures = outputs.flatMap((agreement) =>
    strayings(decisive ? agreement : { ...agreement, top1: null }, tolerance).map(
      (straying) => `output "${printable(agreement.output)}" ${straying}`,
    ),
  )
  if (failures.length === 0) return { ...verdict, failures, located: null }
  const plain = place === 'native' ? artifact : plainFormOf(artifact, manifest)
  if (plain === undefined) return { ...verdict, failures, located: null }
  try {
    const located = await locateError({
      original: options.original,
      quantized: bytesOf(options.packed, plain),
      samples: options.samples,
      signal: options.signal,
    })
    return { ...verdict, failures: [...failures, describeLocated(located)], located }
  } catch (error) {
    // The verdict stands without it: some graphs do not run with their inner values as outputs.
    if (!isVergeError(error) && !isOnnxError(error)) throw error
    options.signal.throwIfAborted()
    return {
      ...verdict,
      failures: [...failures, `where the error begins cannot be told: ${error.message}`],
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
