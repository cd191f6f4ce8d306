import type { Pieces } from './compiled/pieces.ts'
import type { ModelProgram } from './compiled/program.ts'
import { byteWriter } from './piece.ts'

/** Symbols up to here keep their memory for the next word. */
const KEPT_SYMBOLS = 4_096

/** The symbols of a word, with their tokens and places. Every one has a token. */
export class Symbols {
  ids = new Int32Array(64)
  starts = new Int32Array(64)
  ends = new Int32Array(64)
  count = 0

  /** Empties it for a word. */
  clear(): void {
    this.count = 0
    if (this.ids.length > KEPT_SYMBOLS) this.#resize(64)
  }

  add(id: number, start: number, end: number): void {
    if (this.count === this.ids.length) this.#resize(2 * this.count)
    this.ids[this.count] = id
    this.starts[this.count] = start
    this.ends[this.count++] = end
  }

  #resize(size: number): void {
    const [ids, starts, ends] = [new Int32Array(size), new Int32Array(size), new Int32Array(size)]
    ids.set(this.ids.subarray(0, this.count))
    starts.set(this.starts.subarray(0, this.count))
    ends.set(this.ends.subarray(0, this.count))
    this.ids = ids
    this.starts = starts
    this.ends = ends
  }
}

/** Looks up the characters of words: what the vocabulary lacks becomes bytes, the unknown token, or nothing. */
export class SymbolReader {
  readonly #program: ModelProgram & { type: 'BPE' }
  readonly #idOf: (text: string) => number | undefined
  readonly #bytesOf: (text: string) => readonly number[] | undefined
  readonly #symbols = new Symbols()

  constructor(program: ModelProgram & { type: 'BPE' }, pieces: Pieces) {
    this.#program = program
    this.#idOf = remembered(pieces)
    this.#bytesOf = byteWriter(pieces)
  }

  /** They are valid until the next word is read. */
  read(word: string): Symbols {
    const { fusesUnknown, prefix, suffix, writesBytes } = this.#program
    const symbols = this.#symbols
    symbols.clear()
    // The unknown waits for more of it.
    let [from, to] = [-1, -1]
    for (let start = 0; start < word.length; ) {
      const end = start + ((word.codePointAt(start) ?? 0) > 0xffff ? 2 : 1)
      const text = (start === 0 ? '' : prefix) + word.slice(start, end) + (end === word.length ? suffix : '')
      const id = this.#idOf(text)
      const bytes = id === undefined && writesBytes ? this.#bytesOf(text) : undefined
      if (id !== undefined) {
        this.#addUnknown(from, to)
        from = -1
        symbols.add(id, start, end)
      } else if (bytes !== undefined) {
        for (const byte of bytes) symbols.add(byte, start, end)
      } else {
        if (!fusesUnknown) {
          this.#addUnknown(from, to)
          from = -1
        }
        if (from === -1) from = start
        to = end
      }
      start = end
    }
    this.#addUnknown(from, to)
    return symbols
  }

  #addUnknown(from: number, to: number): void {
    const { unknown } = this.#program
    if (from !== -1 && unknown !== undefined) this.#symbols.add(unknown, from, to)
  }
}

const PAGE = 256
const UNKNOWN = -1
const NOT_ASKED = -2

/** Tokens of single letters are asked for again and again: those that were met are kept, by pages. */
function remembered(pieces: Pieces): (text: string) => number | undefined {
  const pages: (Int32Array | undefined)[] = []
  return (text) => {
    if (text.length !== 1) return pieces.idOf(text)
    const letter = text.charCodeAt(0)
    const place = letter % PAGE
    let page = pages[letter >> 8]
    if (page === undefined) {
      page = new Int32Array(PAGE).fill(NOT_ASKED)
      pages[letter >> 8] = page
    }
    if (page[place] === NOT_ASKED) page[place] = pieces.idOf(text) ?? UNKNOWN
    const id = page[place] ?? UNKNOWN
    return id === UNKNOWN ? undefined : id
  }
}
