import { VergeError } from '../../../core/errors.ts'

/** Huffman-coded bits of a JPEG scan. */

const FAST_BITS = 9
const MAX_BITS = 16

/** A canonical code. `fast` holds `length << 8 | symbol` by the next FAST_BITS bits; 0 means a longer code, or none. */
export interface HuffmanTable {
  readonly fast: Uint16Array
  /** Greatest code of each length, -1 if there is none. */
  readonly greatest: Int32Array
  /** What to add to a code of each length for its symbol's index. */
  readonly offset: Int32Array
  readonly symbols: Uint8Array
}

export function damaged(): VergeError {
  return new VergeError('invalid_image', 'The JPEG is damaged: its compressed data cannot be decoded. Send it again.')
}

export function incomplete(): VergeError {
  return new VergeError('invalid_image', 'The JPEG is incomplete: its data ends too early. Send the whole file.')
}

/** Where data goes on behind the restart marker that is next. @throws invalid_image where another marker is next, or nothing */
export function afterRestartMarker(data: Uint8Array, from: number): number {
  let at = from
  while (at < data.length && data[at] !== 0xff) at++
  while (data[at] === 0xff && data[at + 1] === 0xff) at++
  const marker = data[at + 1]
  if (marker === undefined) throw incomplete()
  if (marker < 0xd0 || marker > 0xd7) throw damaged()
  return at + 2
}

/** @param counts codes of each length from 1 to 16 @throws invalid_image */
export function huffmanTable(counts: Uint8Array, symbols: Uint8Array): HuffmanTable {
  const fast = new Uint16Array(1 << FAST_BITS)
  const greatest = new Int32Array(MAX_BITS + 1).fill(-1)
  const offset = new Int32Array(MAX_BITS + 1)
  let code = 0
  let index = 0
  for (let length = 1; length <= MAX_BITS; length++) {
    const count = counts[length - 1] ?? 0
    if (code + count > 1 << length) throw damaged()
    offset[length] = index - code
    for (let i = 0; i < count; i++, code++, index++) {
      if (length > FAST_BITS) continue
      const first = code << (FAST_BITS - length)
      fast.fill((length << 8) | (symbols[index] ?? 0), first, first + (1 << (FAST_BITS - length)))
    }
    if (count > 0) greatest[length] = code - 1
    code <<= 1
  }
  return { fast, greatest, offset, symbols }
}

/** Reads bits, highest first, from a scan's data; stops at a marker. */
export class EntropyReader {
  readonly #data: Uint8Array
  #at: number
  #bits = 0
  #count = 0

  constructor(data: Uint8Array, at: number) {
    this.#data = data
    this.#at = at
  }

  /** Where the next marker may be looked for. */
  get position(): number {
    return this.#at
  }

  #fill(): void {
    const data = this.#data
    while (this.#count <= 24 && this.#at < data.length) {
      const byte = data[this.#at] ?? 0
      if (byte === 0xff) {
        // A stuffed zero makes it a byte of data; anything else is a marker, which ends the data.
        if (data[this.#at + 1] !== 0) return
        this.#at += 2
      } else {
        this.#at++
      }
      this.#bits = (this.#bits << 8) | byte
      this.#count += 8
    }
  }

  /** `count` bits, at most 16. */
  bits(count: number): number {
    if (this.#count < count) {
      this.#fill()
      if (this.#count < count) throw incomplete()
    }
    this.#count -= count
    return (this.#bits >>> this.#count) & ((1 << count) - 1)
  }

  bit(): number {
    if (this.#count === 0) {
      this.#fill()
      if (this.#count === 0) throw incomplete()
    }
    return (this.#bits >>> --this.#count) & 1
  }

  /** A signed value of `size` bits (ITU T.81, F.2.2.1). */
  signed(size: number): number {
    if (size === 0) return 0
    const value = this.bits(size)
    return value < 1 << (size - 1) ? value - (1 << size) + 1 : value
  }

  symbol(table: HuffmanTable): number {
    if (this.#count < MAX_BITS) this.#fill()
    const count = this.#count
    const look = count >= FAST_BITS ? this.#bits >>> (count - FAST_BITS) : this.#bits << (FAST_BITS - count)
    const entry = table.fast[look & ((1 << FAST_BITS) - 1)] ?? 0
    if (entry !== 0) {
      const length = entry >> 8
      if (length > count) throw incomplete()
      this.#count -= length
      return entry & 0xff
    }
    for (let length = FAST_BITS + 1; length <= MAX_BITS; length++) {
      if (length > count) throw incomplete()
      const code = (this.#bits >>> (count - length)) & ((1 << length) - 1)
      if (code <= (table.greatest[length] ?? -1)) {
        this.#count -= length
        return table.symbols[code + (table.offset[length] ?? 0)] ?? 0
      }
    }
    throw damaged()
  }

  /** Drops the bits left before a restart marker and steps over it. */
  restart(): void {
    this.#bits = 0
    this.#count = 0
    this.#at = afterRestartMarker(this.#data, this.#at)
  }
}
