/** Uniform numbers added up for one that is nearly normal; their sum has a variance of a third of this. */
const SUMMANDS = 4

/**
 * Nearly normal numbers, the same everywhere for the same name: xorshift32 and nothing but additions and products, which
 * IEEE 754 fixes to the bit, where `Math.log` and `Math.cos` differ between engines.
 * @param name of the tensor, which seeds it, so that a tensor does not depend on those made before it
 */
export function normals(name: string, count: number, deviation: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count)
  // Each uniform is in [-1, 1), of variance 1/3.
  const scale = deviation / Math.sqrt(SUMMANDS / 3) / 2147483648
  let state = seedOf(name)
  for (let index = 0; index < count; index++) {
    let sum = 0
    for (let summand = 0; summand < SUMMANDS; summand++) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      sum += state
    }
    values[index] = sum * scale
  }
  return values
}

/** FNV-1a, mixed once more because xorshift starts slowly from seeds that are alike; never 0. */
function seedOf(name: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < name.length; index++) hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return hash ^ (hash >>> 13) || 1
}
