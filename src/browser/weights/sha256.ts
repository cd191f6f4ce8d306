import { toHex } from '../../core/bytes.ts'
import type { Sha256 } from '../../core/runtime.ts'

const BLOCK = 64
/** Of FIPS 180-4: 32 bits of the fractional parts of the cube and square roots of the first primes. */
const ROUNDS = Int32Array.from(primes(64), (prime) => fraction(Math.cbrt(prime)))
const START = Int32Array.from(primes(8), (prime) => fraction(Math.sqrt(prime)))

/**
 * SHA-256 piece by piece. The one of browsers digests whole buffers only, for which a download would have to be held, and is
 * missing in pages without TLS.
 */
export class IncrementalSha256 implements Sha256 {
  readonly #state = START.slice()
  readonly #words = new Int32Array(BLOCK)
  readonly #held = new Uint8Array(BLOCK)
  #bytes = 0

  async update(bytes: Uint8Array): Promise<void> {
    this.add(bytes)
  }

  add(bytes: Uint8Array): void {
    const within = this.#bytes % BLOCK
    this.#bytes += bytes.length
    let at = 0
    if (within > 0) {
      at = Math.min(BLOCK - within, bytes.length)
      this.#held.set(bytes.subarray(0, at), within)
      if (within + at < BLOCK) return
      this.#mix(this.#held, 0)
    }
    for (; at + BLOCK <= bytes.length; at += BLOCK) this.#mix(bytes, at)
    this.#held.set(bytes.subarray(at))
  }

  async hex(): Promise<string> {
    const bytes = this.#bytes
    // A one, zeros, and the number of bits in the last eight bytes of a block.
    const padding = new Uint8Array(BLOCK - ((bytes + 8) % BLOCK) + 8)
    padding[0] = 0x80
    const length = new DataView(padding.buffer, padding.length - 8)
    length.setUint32(0, Math.floor(bytes / 2 ** 29))
    length.setUint32(4, (bytes * 8) % 2 ** 32)
    this.add(padding)
    const digest = new DataView(new ArrayBuffer(32))
    for (const [index, word] of this.#state.entries()) digest.setInt32(index * 4, word)
    return toHex(new Uint8Array(digest.buffer))
  }

  #mix(bytes: Uint8Array, from: number): void {
    const words = this.#words
    for (let i = 0, at = from; i < 16; i++, at += 4) {
      words[i] =
        ((bytes[at] as number) << 24) |
        ((bytes[at + 1] as number) << 16) |
        ((bytes[at + 2] as number) << 8) |
        (bytes[at + 3] as number)
    }
    for (let i = 16; i < BLOCK; i++) {
      const near = words[i - 2] as number
      const far = words[i - 15] as number
      const s1 = turned(near, 17) ^ turned(near, 19) ^ (near >>> 10)
      const s0 = turned(far, 7) ^ turned(far, 18) ^ (far >>> 3)
      words[i] = (s1 + (words[i - 7] as number) + s0 + (words[i - 16] as number)) | 0
    }
    const state = this.#state
    let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number]
    for (let i = 0; i < BLOCK; i++) {
      const s1 = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)
      const one = (h + s1 + ((e & f) ^ (~e & g)) + (ROUNDS[i] as number) + (words[i] as number)) | 0
      const s0 = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)
      const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
      h = g
      g = f
      f = e
      e = (d + one) | 0
      d = c
      c = b
      b = a
      a = (one + two) | 0
    }
    state[0] = (state[0] as number) + a
    state[1] = (state[1] as number) + b
    state[2] = (state[2] as number) + c
    state[3] = (state[3] as number) + d
    state[4] = (state[4] as number) + e
    state[5] = (state[5] as number) + f
    state[6] = (state[6] as number) + g
    state[7] = (state[7] as number) + h
  }
}

function turned(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits))
}

function primes(count: number): number[] {
  const found: number[] = []
  for (let n = 2; found.length < count; n++) if (found.every((prime) => n % prime !== 0)) found.push(n)
  return found
}

function fraction(root: number): number {
  return ((root % 1) * 2 ** 32) | 0
}
