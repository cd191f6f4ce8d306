import { VergeError } from '../core/errors.ts'
import { elementCount, type TensorSpec } from '../core/tensors.ts'
import type { ArtifactInfo } from '../engine/engine.ts'
import { loopPrice, type PricedInput, runPrice } from '../engine/price.ts'

type Priced = Pick<ArtifactInfo, 'bytes' | 'cost' | 'loops'>

/** The inputs of a run, as far as its price depends on them. */
export type InputShapes = ReadonlyMap<string, PricedInput>

/** What a weight takes in 32-bit floats. Smaller ones are thereby counted as fewer: they cost less each. */
const WEIGHT_BYTES = 4
const MULTIPLY_ADDS_PER_UNIT = 1_000_000
/** Convolutions hold most of their weights where 16 x 16 pixels have become one place. */
const PIXELS_PER_PLACE = 256
const PICTURE_RANK = 4
/** Models of sounds hold most of their weights where 20 ms at 16 kHz have become one place, as wav2vec 2.0 has it. */
const SAMPLES_PER_PLACE = 320

/**
 * What a run will cost, in the units of a manifest: as measured, else as estimated.
 *
 * The estimate is meant for refusing, so it errs to the low side, unlike the turnstile's: each weight is used once for
 * each place of the input, and places are what the signature leaves open (items of a batch, tokens of a text), because
 * what it fixes is the model's own. For texts and rows that is the count of multiply-adds; for pictures it is less.
 */
export function priceOf(artifact: Priced, specs: readonly TensorSpec[], inputs: InputShapes): number {
  const loops = loopPrice(artifact, inputs, elementsOf(inputs))
  return loops + priceWithoutLoops(artifact, specs, inputs)
}

function priceWithoutLoops(artifact: Priced, specs: readonly TensorSpec[], inputs: InputShapes): number {
  if (artifact.cost !== undefined) return runPrice(artifact, elementsOf(inputs))
  // A mask beside the samples has as many elements as they.
  const perPlace = specs.some(isSound) ? SAMPLES_PER_PLACE : 1
  const places = specs.map((spec) => placesOf(spec, inputs.get(spec.name)?.shape ?? [], perPlace))
  return (artifact.bytes / WEIGHT_BYTES / MULTIPLY_ADDS_PER_UNIT) * Math.max(1, ...places)
}

/** Numbers with a fraction in rows of any length are samples; tokens are whole, and features of fixed width. */
function isSound({ datatype, shape }: TensorSpec): boolean {
  const last = shape.length - 1
  const real = datatype === 'FP32' || datatype === 'FP16'
  return real && last >= 1 && shape.length < PICTURE_RANK && isOpen({ shape }, last)
}

function placesOf(spec: TensorSpec, shape: readonly number[], perPlace: number): number {
  const [first = 1, ...rest] = shape.map((dimension, i) => (isOpen(spec, i) ? dimension : 1))
  const inner = rest.reduce((product, dimension) => product * dimension, 1)
  return first * Math.max(1, inner / (shape.length >= PICTURE_RANK ? PIXELS_PER_PLACE : perPlace))
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

export interface Charge {
  readonly model: string
  readonly artifact: Priced
  readonly inputs: readonly TensorSpec[]
  /** What the request's earlier runs have come to. */
  readonly spent: number
  readonly limit: number
}

/**
 * Refuses runs that are too dear together, before anything is loaded or run for them.
 * @returns what they cost
 * @throws cost_too_high
 */
export function assertAffordable(runs: readonly InputShapes[], charge: Charge): number {
  const { artifact, inputs, limit, model, spent } = charge
  const price = runs.reduce((sum, run) => sum + priceOf(artifact, inputs, run), 0)
  if (spent + price <= limit) return price
  const elements = runs.reduce((sum, run) => sum + elementsOf(run), 0)
  const most = mostElements(artifact, limit - spent, runs.length)
  throw new VergeError(
    'cost_too_high',
    `This request to model "${model}" costs ${rounded(spent + price)} units, and one request may cost ${rounded(limit)} (a unit is the time of a million multiply-adds). ${loopAdvice(artifact, runs) ?? advice(elements, most)}`,
    {
      details: {
        cost: rounded(spent + price),
        limit_cost: limit,
        elements,
        ...(most !== undefined && { limit_elements: most }),
      },
    },
  )
}

/** Input elements that are within the limit; undefined where it is not known. */
function mostElements({ cost }: Priced, left: number, runs: number): number | undefined {
  if (cost === undefined || cost.perElement === 0) return undefined
  return Math.max(0, Math.floor((left - runs * cost.base) / cost.perElement))
}

function advice(elements: number, most: number | undefined): string {
  const counted = most === undefined ? '' : `: these are ${elements} input elements, and ${most} are within it`
  return `Send fewer items in one request, or smaller ones${counted}.`
}

/** Says so where loops take most of the price. */
function loopAdvice(artifact: Priced, runs: readonly InputShapes[]): string | undefined {
  const priced = (artifact.loops ?? []).map((loop) => ({
    loop,
    price: runs.reduce((sum, run) => sum + loopPrice({ loops: [loop] }, run, elementsOf(run)), 0),
  }))
  const [dearest] = priced.sort((left, right) => right.price - left.price)
  const others = runs.reduce((sum, run) => sum + priceWithoutLoops(artifact, [], run), 0)
  if (dearest === undefined || dearest.price < others) return undefined
  const { input, steps } = dearest.loop
  return input === undefined
    ? `A loop of the model may take ${steps} steps with these inputs. Send smaller ones, or ask the operator for a lower bound (--loop-steps).`
    : `Input "${input}" is the number of steps of a loop. Send a smaller one.`
}

function rounded(units: number): number {
  return units < 100 ? Math.round(units * 100) / 100 : Math.round(units)
}
