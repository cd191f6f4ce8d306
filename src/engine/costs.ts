import { VergeError } from '../core/errors.ts'
import type { ArtifactInfo } from './engine.ts'

const MiB = 1024 * 1024

/**
 * Bytes of engine memory that a loaded session of an artifact holds: measured where the manifest says so, else
 * estimated. ORT-format weights are used where they lie, plus graph structures; a plain ONNX file is parsed into
 * copies (measured at 79.6 MB for a 22.6 MB encoder, of which about 10 MB is the runtime's own).
 */
export function sessionFootprint(artifact: ArtifactInfo): number {
  if (artifact.memoryBytes !== undefined) return artifact.memoryBytes
  return Math.ceil(artifact.format === 'ort' ? artifact.bytes * 1.25 + MiB : artifact.bytes * 3 + MiB)
}

/**
 * Bytes of engine memory that a run takes beside its session, and gives back: measured where the manifest says so, else
 * estimated. The estimate is a quarter of the weights, for the kernels' own copies of single layers, and 16 values in
 * 32 bits for each element of the inputs, for layers that are wider than they.
 * @param elements of all inputs together
 */
export function runFootprint(artifact: Pick<ArtifactInfo, 'bytes' | 'activations'>, elements: number): number {
  const { base, perElement } = artifact.activations ?? estimated(artifact)
  return Math.ceil(base + perElement * elements)
}

function estimated({ bytes }: Pick<ArtifactInfo, 'bytes'>) {
  return { base: bytes / 4 + MiB, perElement: 64 }
}

/** ONNX Runtime's own share of an instance's heap before any model is loaded: 9 MiB in release 1.30. */
export const RUNTIME_BYTES = 10 * MiB

/** A run, as far as its memory is concerned. */
export interface RunFootprint {
  readonly artifact: ArtifactInfo
  /** Of all inputs together. */
  readonly elements: number
  /** Bytes for the session and its run together, with nothing else loaded. */
  readonly roomBytes: number
}

/**
 * The error for a run that needs more memory than its model leaves, with nothing else loaded. It names the size that
 * fits, as measured; where it was not measured, or the measure says that all of them fit, half of them.
 */
export function runTooLarge({ artifact, elements, roomBytes }: RunFootprint, cause?: unknown): VergeError {
  const measured = elementsThatFit(artifact, roomBytes)
  const most = measured !== undefined && measured < elements ? measured : Math.floor(elements / 2)
  return new VergeError(
    'run_too_large',
    `The inputs have ${elements} elements together, and the model needs more memory for so many than there is; about ${most} fit. Send fewer items in one request, or smaller ones.`,
    { cause, details: { elements, limit_elements: most } },
  )
}

/** As `runTooLarge`, before anything is loaded: undefined where the run may fit, or was not measured. */
export function refusedRun(run: RunFootprint): VergeError | undefined {
  const { artifact, elements, roomBytes } = run
  if (artifact.activations === undefined) return undefined
  return sessionFootprint(artifact) + runFootprint(artifact, elements) > roomBytes ? runTooLarge(run) : undefined
}

function elementsThatFit(artifact: ArtifactInfo, roomBytes: number): number | undefined {
  const { activations } = artifact
  if (activations === undefined || activations.perElement === 0) return undefined
  const left = roomBytes - sessionFootprint(artifact) - activations.base
  return Math.max(0, Math.floor(left / activations.perElement))
}

/**
 * Where no cost was measured, a run is taken to be this many times as cheap as the bytes of the weights times the
 * elements of the input say. That product counts each weight four times over in 32-bit floats, and for most networks
 * takes each weight to meet each element, which it does not.
 */
const ESTIMATE_PER_UNIT = 10_000_000

/**
 * What a run costs before it is made, in units of a million multiply-adds: measured where the manifest says so, else
 * estimated. Clocks stand still while a model runs in production, so nothing is learnt from the run itself.
 * @param elements of all inputs together
 */
export function runCost(artifact: Pick<ArtifactInfo, 'bytes' | 'cost'>, elements: number): number {
  if (artifact.cost !== undefined) return artifact.cost.base + artifact.cost.perElement * elements
  return (artifact.bytes * Math.max(1, elements)) / ESTIMATE_PER_UNIT
}

/** An input of a run, as far as its cost depends on it; its elements are not there while a request is only planned. */
export interface CostInput {
  readonly shape: readonly number[]
  readonly data?: ArrayLike<unknown>
}

/**
 * What a run's loops cost beside it, in the same units: by the number of steps that is sent, else by the most there may be.
 * @param elements of all inputs together
 */
export function loopCost(
  { loops = [] }: Pick<ArtifactInfo, 'loops'>,
  inputs: ReadonlyMap<string, CostInput>,
  elements: number,
): number {
  return loops.reduce((sum, { cost, input, perElement, steps }) => {
    const taken = input === undefined ? steps : stepsSent(inputs.get(input))
    return sum + taken * (cost + perElement * elements)
  }, 0)
}

function stepsSent(input: CostInput | undefined): number {
  const steps = Number(input?.data?.[0] ?? 0)
  return steps > 0 ? steps : 0
}
