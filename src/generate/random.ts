/**
 * Numbers in [0, 1) that a seed alone decides: xoshiro128** (Blackman and Vigna, 2018, public domain), its state from
 * the seed by SplitMix64, as its authors advise. Not for secrets.
 * @param seed a whole number; of those beyond 64 bits the low ones count
 */
export function seededRandom(seed: number | bigint): () => number {
  const next = xoshiro128(stateOf(seed))
  // 53 bits of two words, as many as a number holds.
  return () => ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53
}

/** A seed from an identifier that is never twice the same: FNV-1a of 64 bits, to 53. */
export function seedOf(identifier: string): number {
  let hash = 0xcbf29ce484222325n
  for (let i = 0; i < identifier.length; i++) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(identifier.charCodeAt(i))) * 0x100000001b3n)
  }
  return Number(hash >> 11n)
}

/** @param state four words of 32 bits, not all of them 0; changed in place */
export function xoshiro128(state: Uint32Array): () => number {
  return () => {
    const [a = 0, b = 0, c = 0, d = 0] = state
    const result = Math.imul(rotated(Math.imul(b, 5), 7), 9) >>> 0
    const [third, fourth] = [c ^ a, d ^ b]
    state[0] = a ^ fourth
    state[1] = b ^ third
    state[2] = third ^ (b << 9)
    state[3] = rotated(fourth, 11)
    return result
  }
}

function rotated(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}

function stateOf(seed: number | bigint): Uint32Array {
  const state = new Uint32Array(4)
  let counter = BigInt.asUintN(64, typeof seed === 'bigint' ? seed : BigInt(Math.trunc(seed)))
  for (let i = 0; i < 4; i += 2) {
    counter = BigInt.asUintN(64, counter + 0x9e3779b97f4a7c15n)
    let mixed = counter
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n)
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn)
    mixed ^= mixed >> 31n
    state[i] = Number(mixed & 0xffffffffn)
    state[i + 1] = Number(mixed >> 32n)
  }
  return state
}
