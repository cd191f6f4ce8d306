import type { MaskRuns } from './mask-runs.ts'
import { COLOUR, pngFile } from './png-file.ts'

/**
 * PNG of a mask, 255 on 0, from pieces of rows. Its rows are not written out and then deflated: a piece of equal bytes is a
 * literal and repetitions of it (RFC 1951, fixed codes), so that a mask takes as long as its outline, and twenty masks of a
 * picture little longer than one.
 */

const ON = 255
const LONGEST = 258
/** Of RFC 1951: lengths that the codes 257 to 285 begin with, and how many bits say the rest. */
const LENGTHS = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
]
const EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0]
const DISTANCE_BITS = 5
const ADLER = 65_521

/** Bits of a repetition by its length, as they are written (codes begin with their highest bit), and how many they are. */
interface Repetitions {
  readonly bits: Uint32Array
  readonly counts: Uint8Array
}
let repetitions: Repetitions | undefined

function repetitionsOf(): Repetitions {
  const bits = new Uint32Array(LONGEST + 1)
  const counts = new Uint8Array(LONGEST + 1)
  for (let length = 3; length <= LONGEST; length++) {
    const index = LENGTHS.findLastIndex((least) => least <= length)
    const extra = EXTRA[index] ?? 0
    const [code, size] = fixedCode(257 + index)
    // The distance's code is that of 1: five zeros.
    bits[length] = reversed(code, size) | ((length - (LENGTHS[index] ?? 0)) << size)
    counts[length] = size + extra + DISTANCE_BITS
  }
  return { bits, counts }
}

/** The fixed Huffman code of a literal or a length, with its size in bits. */
function fixedCode(symbol: number): readonly [number, number] {
  if (symbol < 144) return [0x30 + symbol, 8]
  if (symbol < 256) return [0x190 + symbol - 144, 9]
  return symbol < 280 ? [symbol - 256, 7] : [0xc0 + symbol - 280, 8]
}

function reversed(code: number, size: number): number {
  let bits = 0
  for (let i = 0; i < size; i++) bits |= ((code >> i) & 1) << (size - 1 - i)
  return bits
}

/** Bytes of a mask at most, by its pieces. */
export function mostMaskBytes(pixels: number, height: number, runs: number): number {
  // A piece is two literals, and up to two repetitions of 18 bits and two literals more that a long one would not need.
  return Math.ceil(((pixels + height) / LONGEST) * 1.625 + runs * 14) + 128
}

/** The PNG of one label. */
export function maskPng(runs: MaskRuns, label: number): Uint8Array<ArrayBuffer> {
  const { width, height, offsets, starts, ends } = runs
  const [first, last] = [offsets[label] ?? 0, offsets[label + 1] ?? 0]
  const writer = new RunWriter(mostMaskBytes(width * height, height, last - first))
  let at = 0
  for (let i = first; i < last; i++) {
    // Each row has a filter's number in front: none, which is 0 like all that is not of the mask.
    const row = Math.floor((starts[i] ?? 0) / width) + 1
    const [start, end] = [(starts[i] ?? 0) + row, (ends[i] ?? 0) + row]
    writer.write(0, start - at)
    writer.write(ON, end - start)
    at = end
  }
  writer.write(0, (width + 1) * height - at)
  return pngFile({ width, height, depth: 8, colour: COLOUR.grey }, writer.end())
}

/** A zlib stream of repeated bytes. */
class RunWriter {
  readonly #bytes: Uint8Array
  readonly #repetitions: Repetitions
  #at = 0
  #bits = 0
  #held = 0
  #sum = 1
  #sums = 0

  constructor(mostBytes: number) {
    this.#bytes = new Uint8Array(mostBytes)
    repetitions ??= repetitionsOf()
    this.#repetitions = repetitions
    this.#bytes.set([0x78, 0x01])
    this.#at = 2
    // The last block, of fixed codes.
    this.#put(0b011, 3)
  }

  write(value: number, count: number): void {
    if (count <= 0) return
    this.#sums = (this.#sums + count * this.#sum + value * ((count * (count + 1)) / 2)) % ADLER
    this.#sum = (this.#sum + count * value) % ADLER
    this.#literal(value)
    let left = count - 1
    const { bits, counts } = this.#repetitions
    while (left >= 3) {
      const length = Math.min(left, LONGEST)
      this.#put(bits[length] ?? 0, counts[length] ?? 0)
      left -= length
    }
    for (; left > 0; left--) this.#literal(value)
  }

  end(): Uint8Array {
    // The end of the block, seven zeros, and the rest of the last byte.
    this.#put(0, 7)
    if (this.#held > 0) this.#put(0, 8 - this.#held)
    for (const part of [this.#sums >> 8, this.#sums, this.#sum >> 8, this.#sum]) this.#bytes[this.#at++] = part
    return this.#bytes.subarray(0, this.#at)
  }

  #literal(value: number): void {
    if (value === 0) this.#put(ZERO, 8)
    else this.#put(FULL, 9)
  }

  /** At most 18 bits, the lowest first. */
  #put(bits: number, count: number): void {
    this.#bits |= bits << this.#held
    this.#held += count
    while (this.#held >= 8) {
      this.#bytes[this.#at++] = this.#bits
      this.#bits >>>= 8
      this.#held -= 8
    }
  }
}

const ZERO = reversed(...fixedCode(0))
const FULL = reversed(...fixedCode(ON))
