import { VergeError } from '../../core/errors.ts'

/**
 * DEFLATE (RFC 1951) in a zlib wrapper (RFC 1950), for PNG.
 *
 * The platform's own DecompressionStream keeps no back pressure: eight megabytes of input can become eight gigabytes in
 * its buffer before the first read. This one gives out what it has in pieces of bounded size, stops when it has given
 * as many bytes as the image needs, and holds a 32 KiB window and one piece.
 */

const WINDOW = 32 * 1024
/** Output gathered behind the window before it is given out. */
const PIECE = 64 * 1024
/** Codes up to this length are decoded by one look-up. */
const FAST_BITS = 10
const MAX_BITS = 15

const LENGTH_BASE = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
]
const LENGTH_EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0]
const DISTANCE_BASE = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
  8193, 12289, 16385, 24577,
]
const DISTANCE_EXTRA = [
  0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
]
const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]

/** A canonical Huffman code. `fast` holds `length << 16 | symbol` by the next FAST_BITS bits; 0 means a longer code. */
interface Huffman {
  readonly fast: Uint32Array
  readonly counts: Uint16Array
  readonly symbols: Uint16Array
}

function corrupt(): VergeError {
  return new VergeError('invalid_image', 'The image is damaged: its compressed data do not decode. Send it again.')
}

function truncated(): VergeError {
  return new VergeError('invalid_image', 'The image is incomplete: its data end too early. Send all of it.')
}

function huffman(lengths: Uint8Array): Huffman {
  const counts = new Uint16Array(MAX_BITS + 1)
  for (const length of lengths) counts[length] = (counts[length] ?? 0) + 1
  counts[0] = 0
  const offsets = new Uint16Array(MAX_BITS + 2)
  const next = new Uint16Array(MAX_BITS + 2)
  let left = 1
  for (let bits = 1; bits <= MAX_BITS; bits++) {
    const count = counts[bits] ?? 0
    left = left * 2 - count
    if (left < 0) throw corrupt()
    offsets[bits + 1] = (offsets[bits] ?? 0) + count
    next[bits + 1] = ((next[bits] ?? 0) + count) << 1
  }
  const symbols = new Uint16Array(lengths.length)
  const fast = new Uint32Array(1 << FAST_BITS)
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
  return { fast, counts, symbols }
}

/** Codes are sent from their highest bit, everything else from its lowest. */
function reverse(code: number, length: number): number {
  let reversed = 0
  for (let bit = 0; bit < length; bit++) reversed |= ((code >> bit) & 1) << (length - 1 - bit)
  return reversed
}

const FIXED_LENGTHS = Uint8Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8))
const FIXED_DISTANCES = new Uint8Array(30).fill(5)

/** Input as bits, over pieces that follow one another. */
class BitReader {
  readonly #pieces: readonly Uint8Array[]
  #piece = 0
  #at = 0
  #bits = 0
  #count = 0

  constructor(pieces: readonly Uint8Array[]) {
    this.#pieces = pieces
  }

  /** The next byte, or -1 at the end. */
  #nextByte(): number {
    for (;;) {
      const piece = this.#pieces[this.#piece]
      if (piece === undefined) return -1
      if (this.#at < piece.length) return piece[this.#at++] ?? 0
      this.#piece++
      this.#at = 0
    }
  }

  /** `count` bits, at most 16. */
  bits(count: number): number {
    while (this.#count < count) {
      const byte = this.#nextByte()
      if (byte < 0) throw truncated()
      this.#bits |= byte << this.#count
      this.#count += 8
    }
    const value = this.#bits & ((1 << count) - 1)
    this.#bits >>>= count
    this.#count -= count
    return value
  }

  alignToByte(): void {
    const rest = this.#count % 8
    this.#bits >>>= rest
    this.#count -= rest
  }

  symbol(code: Huffman): number {
    // Near the end there may be fewer bits than the look-up takes; the missing ones are zeros.
    while (this.#count < MAX_BITS) {
      const byte = this.#nextByte()
      if (byte < 0) break
      this.#bits |= byte << this.#count
      this.#count += 8
    }
    const entry = code.fast[this.#bits & ((1 << FAST_BITS) - 1)] ?? 0
    if (entry !== 0) {
      const length = entry >>> 16
      if (length > this.#count) throw truncated()
      this.#bits >>>= length
      this.#count -= length
      return entry & 0xffff
    }
    return this.#slowSymbol(code)
  }

  /** Bit by bit through the canonical code, as in zlib's puff. */
  #slowSymbol(code: Huffman): number {
    let value = 0
    let first = 0
    let index = 0
    for (let length = 1; length <= MAX_BITS; length++) {
      if (length > this.#count) throw truncated()
      value |= (this.#bits >>> (length - 1)) & 1
      const count = code.counts[length] ?? 0
      if (value - count < first) {
        this.#bits >>>= length
        this.#count -= length
        return code.symbols[index + value - first] ?? 0
      }
      index += count
      first = (first + count) << 1
      value <<= 1
    }
    throw corrupt()
  }
}

/**
 * Inflates a zlib stream.
 * @param pieces the compressed bytes, in order
 * @param total bytes wanted; what the stream holds beyond them is not looked at
 * @param emit called with the output in order; must have used the bytes when it returns
 * @throws invalid_image if the stream is damaged or ends before `total` bytes
 */
export function inflate(pieces: readonly Uint8Array[], total: number, emit: (bytes: Uint8Array) => void): void {
  const input = new BitReader(pieces)
  const method = input.bits(8)
  const flags = input.bits(8)
  if ((method & 0x0f) !== 8 || method >> 4 > 7 || ((method << 8) | flags) % 31 !== 0 || flags & 0x20) throw corrupt()

  const buffer = new Uint8Array(WINDOW + PIECE + 258)
  let at = 0
  let given = 0
  let emitted = 0

  const flush = (): void => {
    const bytes = buffer.subarray(given, Math.min(at, given + total - emitted))
    if (bytes.length > 0) emit(bytes)
    emitted += bytes.length
    if (at > WINDOW) {
      buffer.copyWithin(0, at - WINDOW, at)
      at = WINDOW
    }
    given = at
  }

  let last = false
  while (!last && emitted + at - given < total) {
    last = input.bits(1) === 1
    const kind = input.bits(2)
    if (kind === 0) {
      input.alignToByte()
      const length = input.bits(16)
      if ((input.bits(16) ^ length) !== 0xffff) throw corrupt()
      for (let i = 0; i < length; i++) {
        buffer[at++] = input.bits(8)
        if (at >= WINDOW + PIECE) flush()
      }
      continue
    }
    if (kind === 3) throw corrupt()
    const { literals, distances } = kind === 1 ? fixedCodes() : dynamicCodes(input)
    for (;;) {
      const symbol = input.symbol(literals)
      if (symbol < 256) {
        buffer[at++] = symbol
      } else if (symbol === 256) {
        break
      } else {
        const lengthBase = LENGTH_BASE[symbol - 257]
        if (lengthBase === undefined) throw corrupt()
        const length = lengthBase + input.bits(LENGTH_EXTRA[symbol - 257] ?? 0)
        const distanceSymbol = input.symbol(distances)
        const distanceBase = DISTANCE_BASE[distanceSymbol]
        if (distanceBase === undefined) throw corrupt()
        const distance = distanceBase + input.bits(DISTANCE_EXTRA[distanceSymbol] ?? 0)
        if (distance > at) throw corrupt()
        // Byte by byte: a match may overlap what it writes.
        for (let end = at + length; at < end; at++) buffer[at] = buffer[at - distance] ?? 0
      }
      if (at >= WINDOW + PIECE) {
        flush()
        if (emitted >= total) return
      }
    }
  }
  flush()
  if (emitted < total) throw truncated()
}

interface Codes {
  readonly literals: Huffman
  readonly distances: Huffman
}

let fixed: Codes | undefined

function fixedCodes(): Codes {
  fixed ??= { literals: huffman(FIXED_LENGTHS), distances: huffman(FIXED_DISTANCES) }
  return fixed
}

function dynamicCodes(input: BitReader): Codes {
  const literalCount = input.bits(5) + 257
  const distanceCount = input.bits(5) + 1
  const codeLengthCount = input.bits(4) + 4
  const codeLengths = new Uint8Array(19)
  for (let i = 0; i < codeLengthCount; i++) codeLengths[CODE_LENGTH_ORDER[i] ?? 0] = input.bits(3)
  const code = huffman(codeLengths)

  const lengths = new Uint8Array(literalCount + distanceCount)
  for (let i = 0; i < lengths.length; ) {
    const symbol = input.symbol(code)
    if (symbol < 16) {
      lengths[i++] = symbol
      continue
    }
    const repeated = symbol === 16 ? lengths[i - 1] : 0
    if (repeated === undefined) throw corrupt()
    const times = symbol === 16 ? 3 + input.bits(2) : symbol === 17 ? 3 + input.bits(3) : 11 + input.bits(7)
    if (i + times > lengths.length) throw corrupt()
    lengths.fill(repeated, i, i + times)
    i += times
  }
  return {
    literals: huffman(lengths.subarray(0, literalCount)),
    distances: huffman(lengths.subarray(literalCount)),
  }
}
