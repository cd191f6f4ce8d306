import type { TensorInput } from '../../src/client/page.ts'
import type { TensorInfo } from '../models.ts'
import { elementsIn, type Parsed, sampleElement, typedArray, zeroElement } from './elements.ts'

/** More would not fit into a request of 16 MiB. */
export const MOST_ELEMENTS = 2_000_000

/** As many are typed out from the beginning, so that they invite changes. */
const FEW = 16

/** How an input gets its elements. */
export type Fill = 'zeros' | 'ramp' | 'typed'

export interface TensorDraft {
  /** As a person types it: `1, 4`. */
  readonly shape: string
  readonly fill: Fill
  readonly typed: string
}

/** A draft that runs: where any length will do, one. */
export function draftOf({ datatype, shape }: TensorInfo): TensorDraft {
  const dimensions = shape.map((dimension) => Math.max(1, dimension))
  const count = countOf(dimensions)
  const separator = datatype === 'BYTES' ? '\n' : ', '
  const typed = Array.from({ length: Math.min(count, FEW) }, (_, i) => sampleElement(datatype, i)).join(separator)
  return { shape: dimensions.join(', '), fill: count <= FEW ? 'typed' : 'ramp', typed }
}

/** The shape that was typed, checked against the model's. */
export function parseShape(text: string, { shape }: TensorInfo): Parsed<readonly number[]> {
  const parts = text.split(/[\s,x×[\]]+/).filter((part) => part !== '')
  if (!parts.every((part) => /^\d{1,9}$/.test(part))) {
    return { problem: 'The shape has something other than whole numbers. Write it like 1, 3, 224, 224.' }
  }
  const dimensions = parts.map(Number)
  if (dimensions.length !== shape.length) {
    return { problem: `The shape has ${dimensions.length} dimensions, and the model takes ${shape.length}.` }
  }
  const wrong = shape.findIndex((wanted, i) => wanted >= 0 && wanted !== dimensions[i])
  if (wrong >= 0) return { problem: `Dimension ${wrong + 1} must be ${shape[wrong]}.` }
  if (countOf(dimensions) > MOST_ELEMENTS) {
    return { problem: `The tensor has more than ${MOST_ELEMENTS.toLocaleString('en')} elements. Use a smaller shape.` }
  }
  return { value: dimensions }
}

/** The tensor of a draft. */
export function parseTensor({ fill, shape: text, typed }: TensorDraft, spec: TensorInfo): Parsed<TensorInput> {
  const shape = parseShape(text, spec)
  if ('problem' in shape) return shape
  const count = countOf(shape.value)
  const elements =
    fill === 'typed'
      ? elementsIn(typed, spec.datatype)
      : Array.from({ length: count }, (_, i) =>
          fill === 'zeros' ? zeroElement(spec.datatype) : sampleElement(spec.datatype, i),
        )
  if (elements.length !== count) {
    return { problem: `The shape needs ${count} elements, and there are ${elements.length}.` }
  }
  const data = typedArray(spec.datatype, elements)
  return 'problem' in data ? data : { value: { shape: shape.value, ...data.value } }
}

function countOf(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1)
}
