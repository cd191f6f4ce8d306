import { type Tensor, type Tensors, toFloats } from '../../core/tensors.ts'
import { flattened, likeness } from '../samples/answers.ts'

/**
 * Cosine of the angle between two answers. Outputs with a row for each token have other sizes where there are other tokens:
 * then the means of their rows are compared, as a model of embeddings uses them.
 */
export function cosineOfAnswers(expected: Tensors, actual: Tensors): number {
  const pairs = [...expected].map(([name, value]) => [value, actual.get(name)] as const)
  const sameShapes = pairs.every(([one, other]) => other !== undefined && String(one.shape) === String(other.shape))
  if (sameShapes) return likeness(flattened(expected), flattened(actual))
  return likeness(flattened(mean(expected)), flattened(mean(actual)))
}

function mean(answer: Tensors): Tensors {
  return new Map([...answer].map(([name, value]) => [name, meanOfRows(value)] as const))
}

function meanOfRows(tensor: Tensor): Tensor {
  const floats = toFloats(tensor)
  const width = tensor.shape.at(-1) ?? 0
  if (floats === undefined || tensor.shape.length < 3 || width === 0) return tensor
  const rows = floats.length / width
  const sums = new Float32Array(width)
  for (const [index, value] of floats.entries()) sums[index % width] = (sums[index % width] ?? 0) + value / rows
  return { datatype: 'FP32', shape: [1, width], data: sums }
}
