/**
 * The compiled form of a `tokenizer.json` (docs/tasks/text.md): a header, a table of sections and the sections, which are
 * arrays of numbers in little-endian order, each at a multiple of eight bytes. Nothing is parsed but the small program: an
 * array is a view of the bytes, and what stands in it is checked where it is used.
 */

/** The file's name in a manifest. It has the version, so that a Worker only sees a form that it knows. */
export const TOKENIZER_IMAGE = 'tokenizer-1.bin'

const MAGIC = 0x4b54_4756
const VERSION = 1
const HEADER_BYTES = 16
const ENTRY_BYTES = 12
const MOST_SECTIONS = 64
const ALIGNMENT = 8

/** What a section holds, by the number in the table. */
export const SECTION = {
  /** JSON in UTF-8: everything that is small. */
  program: 1,
  /** Texts of the pieces in UTF-8, one after the other, and where each begins. */
  pieceBytes: 2,
  pieceOffsets: 3,
  /** Units of a trie over the pieces, or slots of a hash table. */
  pieceTrie: 4,
  pieceSlots: 5,
  /** Scores of the pieces, in 32 bits where those say all. */
  scores32: 6,
  scores64: 7,
  /** Merges by rank, and slots of a hash table of their pairs. */
  merges: 8,
  mergeSlots: 9,
  /** One for each `Precompiled` normalizer, in order. */
  charsmap: 10,
} as const

/** Added tokens as they are written: their texts, and two numbers for each. */
export const ADDED_SECTIONS = { bytes: 16, offsets: 17, info: 18 } as const

/** Added tokens that texts are searched for: how they are spelt there, their places in the list of all, and a trie. */
export interface SearchedSections {
  readonly bytes: number
  readonly offsets: number
  readonly places: number
  readonly trie: number
}

/** Those that are looked for before a text is normalized, and after. */
export const SEARCHED_SECTIONS = {
  before: { bytes: 24, offsets: 25, places: 26, trie: 27 },
  after: { bytes: 32, offsets: 33, places: 34, trie: 35 },
} as const

/** Whether this machine has the order of bytes that the arrays have. All that Verge runs on do. */
const LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1

export class TokenizerImage {
  readonly #bytes: Uint8Array
  readonly #sections = new Map<number, { readonly offset: number; readonly length: number }[]>()

  /** @throws Error if the bytes have no such header, or sections that lie outside of them */
  constructor(image: Uint8Array) {
    if (!LITTLE_ENDIAN) throw new Error('this machine has another order of bytes')
    // Views need numbers at multiples of their size. Not `slice`, which of Node's Buffer shares the memory and its place.
    const bytes = image.byteOffset % ALIGNMENT === 0 ? image : new Uint8Array(image)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (bytes.length < HEADER_BYTES || view.getUint32(0, true) !== MAGIC) throw new Error('it is no tokenizer image')
    const version = view.getUint32(4, true)
    if (version !== VERSION) throw new Error(`a tokenizer image has version ${version}, and only ${VERSION} is known`)
    if (view.getUint32(8, true) !== bytes.length) throw new Error('a tokenizer image has another length than it says')
    const count = view.getUint32(12, true)
    if (count > MOST_SECTIONS || HEADER_BYTES + ENTRY_BYTES * count > bytes.length) {
      throw new Error('a tokenizer image has too many sections')
    }
    for (let i = 0; i < count; i++) {
      const at = HEADER_BYTES + ENTRY_BYTES * i
      const [number, offset, length] = [0, 4, 8].map((by) => view.getUint32(at + by, true)) as [number, number, number]
      if (offset % ALIGNMENT !== 0 || offset + length > bytes.length) {
        throw new Error(`section ${number} of a tokenizer image lies outside of it`)
      }
      const others = this.#sections.get(number)
      if (others === undefined) this.#sections.set(number, [{ offset, length }])
      else others.push({ offset, length })
    }
    this.#bytes = bytes
  }

  has(number: number): boolean {
    return this.#sections.has(number)
  }

  /** All sections of a number, in order. */
  all(number: number): Uint8Array[] {
    const found = this.#sections.get(number) ?? []
    return found.map(({ offset, length }) => this.#bytes.subarray(offset, offset + length))
  }

  /** @throws Error if it is missing */
  bytes(number: number): Uint8Array {
    const [first] = this.all(number)
    if (first === undefined) throw new Error(`a tokenizer image lacks section ${number}`)
    return first
  }

  /** @throws Error if it is missing, or does not hold whole numbers of 32 bits in groups of `each` */
  int32(number: number, each = 1): Int32Array {
    const bytes = this.bytes(number)
    if (bytes.length % (4 * each) !== 0) throw new Error(`section ${number} of a tokenizer image is cut`)
    return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  }

  /** The scores, in whichever width they are. */
  scores(): Float32Array | Float64Array {
    const wide = this.has(SECTION.scores64)
    const bytes = this.bytes(wide ? SECTION.scores64 : SECTION.scores32)
    const width = wide ? 8 : 4
    if (bytes.length % width !== 0) throw new Error('the scores of a tokenizer image are cut')
    return new (wide ? Float64Array : Float32Array)(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length / width)
  }
}

export type SectionEntry = readonly [number, Uint8Array | Int32Array | Float32Array | Float64Array]

/** Writes an image of sections, the same bytes for the same sections. */
export function writeImage(sections: readonly SectionEntry[]): Uint8Array<ArrayBuffer> {
  const aligned = (length: number): number => Math.ceil(length / ALIGNMENT) * ALIGNMENT
  const start = aligned(HEADER_BYTES + ENTRY_BYTES * sections.length)
  const total = sections.reduce((sum, [, content]) => sum + aligned(content.byteLength), start)
  const image = new Uint8Array(total)
  const view = new DataView(image.buffer)
  for (const [i, value] of [MAGIC, VERSION, total, sections.length].entries()) view.setUint32(4 * i, value, true)
  let offset = start
  for (const [i, [number, content]] of sections.entries()) {
    const at = HEADER_BYTES + ENTRY_BYTES * i
    view.setUint32(at, number, true)
    view.setUint32(at + 4, offset, true)
    view.setUint32(at + 8, content.byteLength, true)
    image.set(new Uint8Array(content.buffer, content.byteOffset, content.byteLength), offset)
    offset += aligned(content.byteLength)
  }
  return image
}
