import { VergeError } from '../../core/errors.ts'

/** DEFLATE's Huffman codes and the bits that they are read from. */

/** Codes up to this length are decoded by one look-up. */
const FAST_BITS = 10
/** Length of the longest code. */
export const MAX_BITS = 15

/**
 * A canonical Huffman code. `fast` holds `length << 16 | symbol` by the next bits, as many as `mask` covers; 0 means a
 * longer code, or none.
 */
export interface Huffman {
  readonly fast: Uint32Array
  readonly mask: number
  readonly counts: Uint16Array
  readonly symbols: Uint16Array
}

export function corrupt(): VergeError {
  return new VergeError('invalid_image', 'The image is damaged: its compressed data cannot be decoded. Send it again.')
}

export function truncated(): VergeError {
  return new VergeError('invalid_image', 'The image is incomplete: its data ends too early. Send the whole file.')
}

const offsets = new Uint16Array(MAX_BITS + 2)
const next = new Uint16Array(MAX_BITS + 2)

export function huffman(lengths: Uint8Array): Huffman {
  const counts = new Uint16Array(MAX_BITS + 1)
  for (let i = 0; i < lengths.length; i++) {
    const length = lengths[i] ?? 0
    counts[length] = (counts[length] ?? 0) + 1
  }
  const unused = counts[0] ?? 0
  counts[0] = 0
  let left = 1
  let longest = 0
  offsets[1] = 0
  next[1] = 0
  for (let bits = 1; bits <= MAX_BITS; bits++) {
    const count = counts[bits] ?? 0
    left = left * 2 - count
    if (left < 0) throw corrupt()
    if (count > 0) longest = bits
    offsets[bits + 1] = (offsets[bits] ?? 0) + count
    next[bits + 1] = ((next[bits] ?? 0) + count) << 1
  }
  const symbols = new Uint16Array(lengths.length - unused)
  // No larger than the longest code needs: a stream may be made of tiny codes and nothing else.
  const fast = new Uint32Array(1 << Math.min(FAST_BITS, longest))
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const length = lengths[symbol] ?? 0
    if (length === 0) continue
    const offset = offsets[length] ?? 0
    symbols[offset] = symbol
    offsets[length] = offset + 1
    const code = next[length] ?? 0
    next[length] = code + 1
    if (length > FAST_BITS) continue
    const step = 1 << length
    for (let at = reverse(code, length); at < fast.length; at += step) fast[at] = (length << 16) | symbol
  }
  return { fast, mask: fast.length - 1, counts, symbols }
}

/** Codes are sent from their highest bit, everything else from its lowest. */
function reverse(code: number, length: number): number {
  let reversed = 0
  for (let bit = 0; bit < length; bit++) reversed |= ((code >> bit) & 1) << (length - 1 - bit)
  return reversed
}

/** Input as bits, lowest first. The fields are open to `inflateBlock`, which works on copies of them. */
export class BitReader {
  readonly data: Uint8Array
  at = 0
  bits = 0
  count = 0

  constructor(data: Uint8Array) {
    this.data = data
  }

  /** `count` bits, at most 16. */
  take(count: number): number {
    while (this.count < count) {
      if (this.at >= this.data.length) throw truncated()
      this.bits |= (this.data[this.at++] ?? 0) << this.count
      this.count += 8
    }
    const value = this.bits & ((1 << count) - 1)
    this.bits >>>= count
    this.count -= count
    return value
  }

  /** Goes on at the next whole byte. */
  align(): void {
    this.at -= this.count >> 3
    this.bits = 0
    this.count = 0
  }

  symbol(code: Huffman): number {
    // Near the end there may be fewer bits than a code can have; the missing ones are zeros.
    while (this.count < MAX_BITS && this.at < this.data.length) {
      this.bits |= (this.data[this.at++] ?? 0) << this.count
      this.count += 8
    }
    const entry = code.fast[this.bits & code.mask] || slowEntry(code, this.bits)
    const length = entry >>> 16
    if (length > this.count) throw truncated()
    this.bits >>>= length
    this.count -= length
    return entry & 0xffff
  }
}

/** What `fast` would hold for a longer code: bit by bit through the canonical code, as in zlib's puff. */
export function slowEntry(code: Huffman, bits: number): number {
  let value = 0
  let first = 0
  let index = 0
  for (let length = 1; length <= MAX_BITS; length++) {
    value |= (bits >>> (length - 1)) & 1
    const count = code.counts[length] ?? 0
    if (value - count < first) return (length << 16) | (code.symbols[index + value - first] ?? 0)
    index += count
    first = (first + count) << 1
    value <<= 1
  }
  throw corrupt()
}
