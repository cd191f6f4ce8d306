import { type ByteTrie, childOf, isLeaf, LONGEST_TEXT, tailLength, valueAt } from './compiled/byte-trie.ts'
import type { Pieces } from './compiled/pieces.ts'
import type { ModelProgram } from './compiled/program.ts'
import { byteWriter, type Piece, type StepCounter, type WordModel } from './piece.ts'
import { Utf8Text } from './utf8-text.ts'

/** What the model knows of its pieces. */
export interface ScoredPieces {
  readonly pieces: Pieces
  readonly trie: ByteTrie
  /** By the pieces' numbers. */
  readonly scores: Float32Array | Float64Array
}

/**
 * The most likely pieces by their scores (Viterbi). Kudo, "Subword Regularization", 2018. Each place takes as many steps
 * as the longest piece that begins there.
 */
export function unigram(
  { unknown, unknownScore, writesBytes }: ModelProgram & { type: 'Unigram' },
  { pieces, scores, trie }: ScoredPieces,
  counter: StepCounter,
): WordModel {
  const text = new Utf8Text()
  const lattice = new Lattice()
  const bytesOf = byteWriter(pieces)
  return (word) => {
    text.read(word)
    const { length, places } = text
    counter.steps += lattice.search(text, trie, scores, unknownScore)
    const found: Piece[] = []
    // What is unknown side by side is one token, or written in bytes.
    let unknownFrom = -1
    const flush = (end: number): void => {
      if (unknownFrom === -1) return
      const start = unknownFrom
      unknownFrom = -1
      const part = word.slice(start, end)
      const whole = pieces.idOf(part)
      const bytes = whole === undefined && writesBytes ? bytesOf(part) : undefined
      if (bytes === undefined) found.push({ id: whole ?? unknown, start, end })
      else for (const id of bytes) found.push({ id, start, end })
    }
    for (const [id, from, to] of lattice.path(length)) {
      const start = places[from] ?? 0
      if (id === -1 || id === unknown) {
        if (unknownFrom === -1) unknownFrom = start
        continue
      }
      flush(start)
      found.push({ id, start, end: places[to] ?? 0 })
    }
    flush(word.length)
    return found
  }
}

/** Places of a word up to here keep their memory for the next one. */
const KEPT_PLACES = 8_192

/** The best way to each place of a word, in bytes: its score, and the last piece on it. */
class Lattice {
  #scores = new Float64Array(0)
  #from = new Int32Array(0)
  #piece = new Int32Array(0)

  /** @returns steps that were taken */
  search(
    { bytes, length }: Utf8Text,
    { texts, units }: ByteTrie,
    scores: Float32Array | Float64Array,
    unknownScore: number,
  ): number {
    this.#reserve(length + 1)
    const [best, from, piece] = [this.#scores, this.#from, this.#piece]
    best.fill(Number.NEGATIVE_INFINITY, 1, length + 1)
    best[0] = 0
    let steps = 0
    for (let start = 0, next = 0; start < length; start = next) {
      const soFar = best[start] ?? 0
      const most = Math.min(length, start + LONGEST_TEXT)
      next = start + widthOf(bytes[start] ?? 0)
      let single = false
      for (let at = start, unit = 0; at < most; ) {
        unit = childOf(units, unit, bytes[at++] ?? 0)
        steps++
        if (unit === -1) break
        const id = valueAt(units, unit)
        if (id === -1) continue
        const leaf = isLeaf(units, unit)
        if (leaf) {
          const left = texts.startOf(id + 1) - texts.startOf(id) - (at - start)
          const same = tailLength(texts, id, at - start, bytes, at, most)
          steps += same
          if (same !== left) break
          at += left
        }
        const score = soFar + (scores[id] ?? 0)
        if (score > (best[at] ?? 0)) {
          best[at] = score
          from[at] = start
          piece[at] = id
        }
        if (at === next) single = true
        if (leaf) break
      }
      if (!single && soFar + unknownScore > (best[next] ?? 0)) {
        best[next] = soFar + unknownScore
        from[next] = start
        piece[next] = -1
      }
    }
    return steps
  }

  /** The pieces of the best way to a place, each with its number, or -1 where none is known, its beginning and its end. */
  path(length: number): (readonly [number, number, number])[] {
    const pieces: (readonly [number, number, number])[] = []
    for (let end = length; end > 0; ) {
      // Scores that are no numbers leave what was there before.
      const start = Math.min(this.#from[end] ?? 0, end - 1)
      pieces.push([this.#piece[end] ?? -1, start, end])
      end = start
    }
    return pieces.reverse()
  }

  #reserve(places: number): void {
    const size = this.#from.length
    if (places <= size && size <= KEPT_PLACES) return
    const wanted = Math.max(places, 64)
    this.#scores = new Float64Array(wanted)
    this.#from = new Int32Array(wanted)
    this.#piece = new Int32Array(wanted)
  }
}

/** Bytes of a character that begins with one. */
function widthOf(byte: number): number {
  if (byte < 0xc0) return 1
  return byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4
}
