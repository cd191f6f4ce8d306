import { VergeError } from '../core/errors.ts'
import { elementCount, type TensorSpec } from '../core/tensors.ts'
import type { ArtifactInfo } from './engine.ts'

const MiB = 1024 * 1024

/**
 * Bytes of engine memory that a loaded session of an artifact holds: measured where the manifest says so, else
 * estimated. ORT-format weights are used where they lie, plus graph structures; a plain ONNX file is parsed into
 * copies (measured at 79.6 MB for a 22.6 MB encoder, of which about 10 MB is the runtime's own). What Verge's own engine
 * runs lies in memory as it is stored.
 */
export function sessionFootprint(artifact: ArtifactInfo): number {
  if (artifact.memoryBytes !== undefined) return artifact.memoryBytes
  if (artifact.format === 'verge') return artifact.bytes
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
    `The inputs have ${elements} elements together, which need more memory than there is; about ${most} fit. Send fewer or smaller items in one request.`,
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
 * Without a measurement, the cost of a run is the bytes of the weights times the elements of the input, divided by
 * this. The product counts each 32-bit weight four times, and assumes that each weight meets each element, which is not
 * so for most networks.
 */
const ESTIMATE_PER_UNIT = 10_000_000

/**
 * Cost of a run before it starts, in units of a million multiply-adds: from the manifest if measured, else estimated.
 * In production clocks stand still while a model runs, so a run cannot measure itself.
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
 * Cost of a run's loops, in the same units: by the number of steps in the input, else by the maximum.
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

type CostedArtifact = Pick<ArtifactInfo, 'bytes' | 'cost' | 'loops'>

/** The inputs of a run, as far as its cost depends on them. */
export type InputShapes = ReadonlyMap<string, CostInput>

/** Bytes of a 32-bit weight. Smaller types therefore count as fewer weights, because each costs less. */
const WEIGHT_BYTES = 4
const MULTIPLY_ADDS_PER_UNIT = 1_000_000
/** Convolutions hold most of their weights where 16 x 16 pixels have become one place. */
const PIXELS_PER_POSITION = 256
const PICTURE_RANK = 4
/** Models of sounds hold most of their weights where 20 ms at 16 kHz have become one place, as wav2vec 2.0 has it. */
const SAMPLES_PER_POSITION = 320

/**
 * Cost of a run in units: measured, else estimated.
 *
 * The estimate is meant for refusing, so it errs to the low side, unlike the run queue's: each weight is used once for
 * each place of the input, and places are what the signature leaves open (items of a batch, tokens of a text), because
 * what it fixes is the model's own. For texts and rows that is the count of multiply-adds; for pictures it is less.
 */
export function costOf(artifact: CostedArtifact, specs: readonly TensorSpec[], inputs: InputShapes): number {
  const loops = loopCost(artifact, inputs, elementsOf(inputs))
  return loops + costWithoutLoops(artifact, specs, inputs)
}

function costWithoutLoops(artifact: CostedArtifact, specs: readonly TensorSpec[], inputs: InputShapes): number {
  if (artifact.cost !== undefined) return runCost(artifact, elementsOf(inputs))
  // A mask beside the samples has as many elements as they.
  const perPosition = specs.some(isSound) ? SAMPLES_PER_POSITION : 1
  const positions = specs.map((spec) => positionsOf(spec, inputs.get(spec.name)?.shape ?? [], perPosition))
  return (artifact.bytes / WEIGHT_BYTES / MULTIPLY_ADDS_PER_UNIT) * Math.max(1, ...positions)
}

/** Numbers with a fraction in rows of any length are samples; tokens are whole, and features of fixed width. */
function isSound({ datatype, shape }: TensorSpec): boolean {
  const last = shape.length - 1
  const real = datatype === 'FP32' || datatype === 'FP16'
  return real && last >= 1 && shape.length < PICTURE_RANK && isOpen({ shape }, last)
}

function positionsOf(spec: TensorSpec, shape: readonly number[], perPosition: number): number {
  const [first = 1, ...rest] = shape.map((dimension, i) => (isOpen(spec, i) ? dimension : 1))
  const inner = rest.reduce((product, dimension) => product * dimension, 1)
  return first * Math.max(1, inner / (shape.length >= PICTURE_RANK ? PIXELS_PER_POSITION : perPosition))
}

/** No dimensions in a signature mean that the rank is unknown: then the first is taken for the batch. */
function isOpen({ shape }: Pick<TensorSpec, 'shape'>, index: number): boolean {
  if (shape.length === 0) return index === 0
  const dimension = shape[index]
  return typeof dimension !== 'number' || dimension < 0
}

/** Elements of all inputs together. */
export function elementsOf(inputs: InputShapes): number {
  let elements = 0
  for (const { shape } of inputs.values()) elements += elementCount(shape)
  return elements
}

export interface CostBudget {
  readonly model: string
  readonly artifact: CostedArtifact
  readonly inputs: readonly TensorSpec[]
  /** Cost of the request's earlier runs. */
  readonly spent: number
  readonly limit: number
}

/**
 * Refuses runs that together exceed the cost limit, before any load or run.
 * @returns their cost
 * @throws cost_too_high
 */
export function assertWithinCostLimit(runs: readonly InputShapes[], budget: CostBudget): number {
  const { artifact, inputs, limit, model, spent } = budget
  const cost = runs.reduce((sum, run) => sum + costOf(artifact, inputs, run), 0)
  if (spent + cost <= limit) return cost
  const elements = runs.reduce((sum, run) => sum + elementsOf(run), 0)
  const most = mostElements(artifact, limit - spent, runs.length)
  throw new VergeError(
    'cost_too_high',
    `This request to model "${model}" costs ${rounded(spent + cost)} units; the limit of a request is ${rounded(limit)} (a unit is the time of a million multiply-adds). ${loopAdvice(artifact, runs) ?? advice(elements, most)}`,
    {
      details: {
        cost: rounded(spent + cost),
        limit_cost: limit,
        elements,
        ...(most !== undefined && { limit_elements: most }),
      },
    },
  )
}

/** Input elements that are within the limit; undefined where it is not known. */
function mostElements({ cost }: CostedArtifact, left: number, runs: number): number | undefined {
  if (cost === undefined || cost.perElement === 0) return undefined
  return Math.max(0, Math.floor((left - runs * cost.base) / cost.perElement))
}

function advice(elements: number, most: number | undefined): string {
  const counted = most === undefined ? '' : `: it has ${elements} input elements, and the limit allows ${most}`
  return `Send fewer or smaller items in one request${counted}.`
}

/** Says so where loops take most of the cost. */
function loopAdvice(artifact: CostedArtifact, runs: readonly InputShapes[]): string | undefined {
  const costed = (artifact.loops ?? []).map((loop) => ({
    loop,
    cost: runs.reduce((sum, run) => sum + loopCost({ loops: [loop] }, run, elementsOf(run)), 0),
  }))
  const [costliest] = costed.sort((left, right) => right.cost - left.cost)
  const others = runs.reduce((sum, run) => sum + costWithoutLoops(artifact, [], run), 0)
  if (costliest === undefined || costliest.cost < others) return undefined
  const { input, steps } = costliest.loop
  return input === undefined
    ? `A loop of the model may take ${steps} steps with these inputs. Send smaller inputs, or ask the operator for a lower bound (--loop-steps).`
    : `Input "${input}" is the number of steps of a loop. Send a smaller number.`
}

function rounded(units: number): number {
  return units < 100 ? Math.round(units * 100) / 100 : Math.round(units)
}
