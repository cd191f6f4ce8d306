import { type Tensors, toFloats } from '../../core/tensors.ts'
import { argmax, cosine, sqnrDb } from '../../quantize/shared/metrics.ts'

/** All floating-point outputs of a run, one after the other, in the order of the model's outputs. */
export function flattened(outputs: Tensors): Float32Array {
  const parts = [...outputs.values()].flatMap((output) => toFloats(output) ?? [])
  const [only, ...others] = parts
  if (only !== undefined && others.length === 0) return only
  const all = new Float32Array(parts.reduce((total, part) => total + part.length, 0))
  let offset = 0
  for (const part of parts) {
    all.set(part, offset)
    offset += part.length
  }
  return all
}

/**
 * The class with the greatest score in the first row of a model's answer; the first of equals.
 * @param classes how many there are: the output read is the first floating-point one whose last dimension is that, else
 * the first floating-point one. -1 if there is none
 */
export function topClass(outputs: Tensors, classes?: number): number {
  for (const output of outputs.values()) {
    const columns = output.shape.at(-1)
    if (columns === undefined || columns === 0 || (classes !== undefined && columns !== classes)) continue
    const values = toFloats(output)
    if (values !== undefined) return argmax(values, 0, columns)
  }
  return -1
}

/** Cosine of the angle between two answers, not below 0; 0 where they differ in length, as detections may. */
export function likeness(original: Float32Array, answer: Float32Array): number {
  return original.length === answer.length ? Math.max(0, cosine(original, answer)) : 0
}

/** Power of the error over power of the original: 0 for none, infinity where the answer has no numbers. */
export function relativeNoise(original: Float32Array, answer: Float32Array): number {
  if (original.length !== answer.length) return Number.POSITIVE_INFINITY
  return 10 ** (-sqnrDb(original, answer) / 10)
}
