import type { Kernels } from '../kernels.ts'
import type { AttributeRule, Binding } from './operator.ts'
import { UNARY_CODE, type UnaryKind } from './unary-kinds.ts'

/** What products and convolutions may do to their result. `clip` takes `min` and `max`; `step` rounds to its multiples. */
export const ACTIVATION: Readonly<Record<string, AttributeRule>> = {
  activation: {
    type: 'choice',
    of: ['none', 'clip', 'relu', 'relu6', 'gelu', 'gelu-tanh', 'tanh', 'sigmoid', 'silu', 'hard-swish', 'hard-sigmoid'],
    otherwise: 'none',
  },
  min: { type: 'number', otherwise: Number.NEGATIVE_INFINITY },
  max: { type: 'number', otherwise: Number.POSITIVE_INFINITY },
  step: { type: 'number', otherwise: 0 },
}

export interface Activation {
  /** Ends that the product itself keeps to. */
  readonly least: number
  readonly most: number
  /** A function that is applied to the result afterwards, by its number. */
  readonly code: number | undefined
  /** What the result is rounded to multiples of in the end; 0 for none. */
  readonly step: number
  /** Of an element, in multiply-adds. */
  readonly cost: number
}

/** Smaller ones are no normal floats. */
const LEAST_STEP = 2 ** -126
/** JSON has no infinities: the largest float stands for them. */
const LARGEST = 3.4028234663852886e38

/** A number that numbers are rounded to multiples of: 0, or one that floats can be divided by. */
export function stepOf(binding: Binding, name: string): number {
  const step = binding.number(name)
  binding.need(step === 0 || (step >= LEAST_STEP && step <= LARGEST), `its ${name} is no positive number`)
  return step
}

export function activationOf(binding: Binding): Activation {
  const kind = binding.choice('activation')
  const step = stepOf(binding, 'step')
  const none = { least: Number.NEGATIVE_INFINITY, most: Number.POSITIVE_INFINITY, code: undefined, step, cost: 0 }
  if (kind === 'none') return none
  if (kind === 'relu') return { ...none, least: 0 }
  if (kind === 'relu6') return { ...none, least: 0, most: 6 }
  if (kind === 'clip') {
    const [min, max] = [binding.number('min'), binding.number('max')]
    return { ...none, least: min <= -LARGEST ? none.least : min, most: max >= LARGEST ? none.most : max }
  }
  return { ...none, code: UNARY_CODE[kind as UnaryKind], cost: 40 }
}

/** Of `hard-sigmoid`: slope and offset, as ONNX has them if nothing is said. */
const [SLOPE, OFFSET] = [0.2, 0.5]

export function activate(kernels: Kernels, { code, step }: Activation, at: number, count: number): void {
  if (code !== undefined) kernels.unaryF32(code, at, at, count, SLOPE, OFFSET)
  if (step !== 0) kernels.roundTo(at, at, count, step, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY)
}
