import { type StepMeter, tooManySteps, type Work } from '../../core/work.ts'
import { BitReader, corrupt, type Huffman, huffman, MAX_BITS, slowEntry, truncated } from './huffman.ts'

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
const LONGEST_MATCH = 258
/** Most extra bits of a length, which follow its code. */
const LENGTH_BITS = 5
/** Where output is given out; a match may run past it. */
const LIMIT = WINDOW + PIECE

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

const FIXED_LENGTHS = Uint8Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8))
const FIXED_DISTANCES = new Uint8Array(30).fill(5)

/** Gathers output behind a window of what was given out last, and gives it out in pieces. */
class Output {
  readonly buffer = new Uint8Array(WINDOW + PIECE + LONGEST_MATCH)
  at = 0
  #given = 0
  #left: number
  readonly #emit: (bytes: Uint8Array) => void

  constructor(total: number, emit: (bytes: Uint8Array) => void) {
    this.#left = total
    this.#emit = emit
  }

  /** Bytes still wanted. */
  get left(): number {
    return this.#left - (this.at - this.#given)
  }

  flush(): void {
    const bytes = this.buffer.subarray(this.#given, Math.min(this.at, this.#given + this.#left))
    if (bytes.length > 0) this.#emit(bytes)
    this.#left -= bytes.length
    if (this.at > WINDOW) {
      this.buffer.copyWithin(0, this.at - WINDOW, this.at)
      this.at = WINDOW
    }
    this.#given = this.at
  }
}

/** Steps of a block, and of one that brings codes of its own: they are made of 320 lengths at most. */
const BLOCK = 40
const CODES = 8_000
/** Blocks may hold nothing, and so come to no end of a piece of output. */
const BLOCKS_PER_PIECE = 512

const refusal = tooManySteps('This PNG, which has too many compressed blocks,', 'Save it again with another program')

/**
 * Inflates a zlib stream. Its checksum is not looked at.
 * @param data the compressed bytes
 * @param total bytes wanted; what the stream holds beyond them is not looked at
 * @param emit called with the output in order; must have used the bytes when it returns
 * @param meter counts blocks here; what bytes cost, `emit` counts
 * @throws invalid_image if the stream is damaged or ends before `total` bytes, input_too_large
 */
export function* inflate(
  data: Uint8Array,
  total: number,
  emit: (bytes: Uint8Array) => void,
  meter: StepMeter,
): Work<void> {
  const input = new BitReader(data)
  const method = input.take(8)
  const flags = input.take(8)
  if ((method & 0x0f) !== 8 || method >> 4 > 7 || ((method << 8) | flags) % 31 !== 0 || flags & 0x20) throw corrupt()

  const output = new Output(total, emit)
  for (let last = false, blocks = 1; !last && output.left > 0; blocks++) {
    last = input.take(1) === 1
    const kind = input.take(2)
    meter.spend(kind === 2 ? BLOCK + CODES : BLOCK, refusal)
    if (kind === 3) throw corrupt()
    if (kind === 0) {
      copyStored(input, output)
    } else {
      const codes = kind === 1 ? fixedCodes() : dynamicCodes(input)
      while (!inflateBlock(input, output, codes)) yield meter.piece()
    }
    if (blocks % BLOCKS_PER_PIECE === 0) yield meter.piece()
  }
  const missing = output.left
  output.flush()
  if (missing > 0) throw truncated()
}

function copyStored(input: BitReader, output: Output): void {
  input.align()
  const length = input.take(16)
  if ((input.take(16) ^ length) !== 0xffff) throw corrupt()
  input.align()
  for (let copied = 0; copied < length; ) {
    const piece = input.data.subarray(input.at, input.at + Math.min(length - copied, LIMIT - output.at))
    if (piece.length === 0) throw truncated()
    output.buffer.set(piece, output.at)
    output.at += piece.length
    input.at += piece.length
    copied += piece.length
    if (output.at >= LIMIT) output.flush()
  }
}

/**
 * One compressed block, up to its end or to a full piece of output. Here an image's time is spent, so the state lives in
 * locals.
 * @returns whether nothing of the block is left
 */
function inflateBlock(input: BitReader, output: Output, { literals, distances }: Codes): boolean {
  const { data } = input
  const { buffer } = output
  const fast = literals.fast
  const mask = literals.mask
  const farFast = distances.fast
  const farMask = distances.mask
  let ended = false
  let { at: from, bits, count } = input
  let at = output.at
  for (;;) {
    while (count < MAX_BITS + LENGTH_BITS && from < data.length) {
      bits |= (data[from++] ?? 0) << count
      count += 8
    }
    const entry = fast[bits & mask] || slowEntry(literals, bits)
    count -= entry >>> 16
    if (count < 0) throw truncated()
    bits >>>= entry >>> 16
    const symbol = entry & 0xffff
    if (symbol < 256) {
      buffer[at++] = symbol
    } else if (symbol === 256) {
      ended = true
      break
    } else {
      const lengthBase = LENGTH_BASE[symbol - 257]
      if (lengthBase === undefined) throw corrupt()
      const lengthBits = LENGTH_EXTRA[symbol - 257] ?? 0
      const length = lengthBase + (bits & ((1 << lengthBits) - 1))
      bits >>>= lengthBits
      count -= lengthBits
      while (count < MAX_BITS && from < data.length) {
        bits |= (data[from++] ?? 0) << count
        count += 8
      }
      const far = farFast[bits & farMask] || slowEntry(distances, bits)
      bits >>>= far >>> 16
      count -= far >>> 16
      const distanceBase = DISTANCE_BASE[far & 0xffff]
      if (distanceBase === undefined) throw corrupt()
      const distanceBits = DISTANCE_EXTRA[far & 0xffff] ?? 0
      while (count < distanceBits && from < data.length) {
        bits |= (data[from++] ?? 0) << count
        count += 8
      }
      const distance = distanceBase + (bits & ((1 << distanceBits) - 1))
      bits >>>= distanceBits
      count -= distanceBits
      if (count < 0) throw truncated()
      if (distance > at) throw corrupt()
      // Byte by byte: a match may overlap what it writes.
      for (let end = at + length, source = at - distance; at < end; at++, source++) buffer[at] = buffer[source] ?? 0
    }
    if (at >= LIMIT) break
  }
  output.at = at
  input.at = from
  input.bits = bits
  input.count = count
  if (ended) return true
  output.flush()
  // What lies beyond the picture is not looked at.
  return output.left <= 0
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
  const literalCount = input.take(5) + 257
  const distanceCount = input.take(5) + 1
  const codeLengthCount = input.take(4) + 4
  const codeLengths = new Uint8Array(19)
  for (let i = 0; i < codeLengthCount; i++) codeLengths[CODE_LENGTH_ORDER[i] ?? 0] = input.take(3)
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
    const times = symbol === 16 ? 3 + input.take(2) : symbol === 17 ? 3 + input.take(3) : 11 + input.take(7)
    if (i + times > lengths.length) throw corrupt()
    lengths.fill(repeated, i, i + times)
    i += times
  }
  return {
    literals: huffman(lengths.subarray(0, literalCount)),
    distances: huffman(lengths.subarray(literalCount)),
  }
}
