import type { Pooling } from '../../catalog/settings/embedding.ts'
import { VergeError } from '../../core/errors.ts'

/** As torch.nn.functional.normalize has it: what a length is at least taken for. */
const LEAST_LENGTH = 1e-12

/**
 * One vector for a text, from those of its tokens.
 * @param tokens vectors of `width` elements, one after the other; those of padding come after the text's own
 * @param count of the text's own tokens: at least one
 * @param skipped leading tokens that take no part in the mean or in the greatest values
 */
export function poolTokens(
  tokens: Float32Array,
  count: number,
  width: number,
  pooling: Exclude<Pooling, 'none'>,
  skipped = 0,
): Float32Array {
  switch (pooling) {
    case 'cls':
      return tokens.slice(0, width)
    case 'last':
      return tokens.slice((count - 1) * width, count * width)
    case 'max': {
      const from = Math.min(skipped, count - 1)
      const greatest = tokens.slice(from * width, (from + 1) * width)
      for (let i = (from + 1) * width; i < count * width; i++) {
        const value = tokens[i] ?? 0
        const at = i % width
        if (value > (greatest[at] ?? 0)) greatest[at] = value
      }
      return greatest
    }
    case 'mean': {
      const sums = new Float64Array(width)
      for (let token = skipped; token < count; token++) {
        const start = token * width
        for (let i = 0; i < width; i++) sums[i] = (sums[i] ?? 0) + (tokens[start + i] ?? 0)
      }
      // Zeros, as sentence-transformers has it, where nothing but the prompt fits.
      return Float32Array.from(sums, (sum) => sum / Math.max(1, count - skipped))
    }
  }
}

/** The vector brought to length 1, in place; the zero vector stays as it is. */
export function normalizeVector(vector: Float32Array): Float32Array {
  const length = Math.max(Math.sqrt(dot(vector, vector)), LEAST_LENGTH)
  for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] ?? 0) / length
  return vector
}

/** Whether a vector has finite numbers alone. */
export function hasFiniteElements(vector: Float32Array): boolean {
  let sum = 0
  // Neither an infinity nor what is no number becomes finite by what is added to it.
  for (const value of vector) sum += value
  return Number.isFinite(sum)
}

/** The cosine of two vectors' angle; 0 where one of them has no direction. */
export function cosine(a: Float32Array, b: Float32Array): number {
  const lengths = Math.sqrt(dot(a, a)) * Math.sqrt(dot(b, b))
  return lengths < LEAST_LENGTH ? 0 : Math.min(1, Math.max(-1, dot(a, b) / lengths))
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0)
  return sum
}

/**
 * A vector's size as it was asked for: the first dimensions of a Matryoshka embedding are one by themselves.
 * @throws invalid_request
 */
export function assertDimensions(asked: number, width: number, trained: readonly number[] | undefined): void {
  const possible = asked === width || (asked < width && (trained === undefined || trained.includes(asked)))
  if (possible) return
  const sizes = trained === undefined ? `up to ${width}` : [...new Set([...trained, width])].join(', ')
  throw new VergeError('invalid_request', `"dimensions" is ${asked}; vectors of this model can have ${sizes}.`, {
    details: { field: 'dimensions', width },
  })
}
