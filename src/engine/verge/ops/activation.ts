import type { Kernels } from '../kernels.ts'
import type { AttributeRule, Binding } from './operator.ts'
import { UNARY_CODE, type UnaryKind } from './unary-kinds.ts'

/** What products and convolutions may do to their result. `clip` takes `min` and `max`. */
export const ACTIVATION: Readonly<Record<string, AttributeRule>> = {
  activation: {
    type: 'choice',
    of: ['none', 'clip', 'relu', 'relu6', 'gelu', 'gelu-tanh', 'tanh', 'sigmoid', 'silu', 'hard-swish', 'hard-sigmoid'],
    otherwise: 'none',
  },
  min: { type: 'number', otherwise: Number.NEGATIVE_INFINITY },
  max: { type: 'number', otherwise: Number.POSITIVE_INFINITY },
}

export interface Activation {
  /** Ends that the product itself keeps to. */
  readonly least: number
  readonly most: number
  /** A function that is applied to the result afterwards, by its number. */
  readonly code: number | undefined
  /** Of an element, in multiply-adds. */
  readonly cost: number
}

/** JSON has no infinities: the largest float stands for them. */
const LARGEST = 3.4028234663852886e38

export function activationOf(step: Binding): Activation {
  const kind = step.choice('activation')
  const none = { least: Number.NEGATIVE_INFINITY, most: Number.POSITIVE_INFINITY, code: undefined, cost: 0 }
  if (kind === 'none') return none
  if (kind === 'relu') return { ...none, least: 0 }
  if (kind === 'relu6') return { ...none, least: 0, most: 6 }
  if (kind === 'clip') {
    const [min, max] = [step.number('min'), step.number('max')]
    return { ...none, least: min <= -LARGEST ? none.least : min, most: max >= LARGEST ? none.most : max }
  }
  return { ...none, code: UNARY_CODE[kind as UnaryKind], cost: 40 }
}

/** Of `hard-sigmoid`: slope and offset, as ONNX has them if nothing is said. */
const [SLOPE, OFFSET] = [0.2, 0.5]

export function activate(kernels: Kernels, { code }: Activation, at: number, count: number): void {
  if (code !== undefined) kernels.unaryF32(code, at, at, count, SLOPE, OFFSET)
}
