import type { MergeTable } from './compiled/merge-table.ts'
import type { Pieces } from './compiled/pieces.ts'
import type { ModelProgram } from './compiled/program.ts'
import { remembering } from './kept-words.ts'
import { MergeQueue } from './merge-queue.ts'
import { byteWriter, type Piece, type StepCounter, type WordModel } from './piece.ts'

type BytePairProgram = ModelProgram & { type: 'BPE' }

/** What the model knows of its pieces. */
export interface MergedPieces {
  readonly pieces: Pieces
  readonly merges: MergeTable
}

/**
 * Byte-pair encoding (Sennrich et al., 2016) as Hugging Face's Rust library does it: a word's characters are looked up
 * first, and what the vocabulary lacks becomes bytes, the unknown token, or nothing; then the pairs are merged, the
 * merge of the lowest rank first and of equal ranks the leftmost. With a heap, n characters take n log n steps.
 */
export function bytePair(program: BytePairProgram, { merges, pieces }: MergedPieces, counter: StepCounter): WordModel {
  const symbolsOf = symbolsBy(program, pieces)
  const model = remembering((word) => {
    const id = program.wholeWords ? pieces.idOf(word) : undefined
    if (id !== undefined) return [{ id, start: 0, end: word.length }]
    return merged(symbolsOf(word), merges, counter)
  })
  const { joinsMark, mark } = program
  return mark === undefined ? model : inParts(model, mark, joinsMark)
}

/** A word in parts that begin with a mark or several, but for the first, each by itself. */
function inParts(model: WordModel, mark: string, joins: string): WordModel {
  const endOf = (word: string, start: number): number => {
    for (let at = word.indexOf(mark, start + 1); at !== -1; at = word.indexOf(mark, at + 1)) {
      const before = word.charAt(at - 1)
      if (before !== mark && !joins.includes(before)) return at
    }
    return word.length
  }
  return (word) => {
    const pieces: Piece[] = []
    for (let start = 0; start < word.length; ) {
      const end = endOf(word, start)
      for (const { id, start: from, end: to } of model(word.slice(start, end))) {
        pieces.push({ id, start: start + from, end: start + to })
      }
      start = end
    }
    return pieces
  }
}

/** A symbol with a place in the word. Every one has a token. */
interface Symbols {
  readonly ids: number[]
  readonly starts: number[]
  readonly ends: number[]
}

function symbolsBy(program: BytePairProgram, pieces: Pieces): (word: string) => Symbols {
  const { fusesUnknown, prefix, suffix, unknown, writesBytes } = program
  const bytesOf = byteWriter(pieces)
  const idOf = remembered(pieces)
  return (word) => {
    const symbols: Symbols = { ids: [], starts: [], ends: [] }
    const add = (id: number, start: number, end: number): void => {
      symbols.ids.push(id)
      symbols.starts.push(start)
      symbols.ends.push(end)
    }
    // The unknown waits for more of it.
    let [from, to] = [-1, -1]
    const flush = (): void => {
      if (from !== -1 && unknown !== undefined) add(unknown, from, to)
      from = -1
    }
    let start = 0
    for (const character of word) {
      const end = start + character.length
      const text = (start === 0 ? '' : prefix) + character + (end === word.length ? suffix : '')
      const id = idOf(text)
      const bytes = id === undefined && writesBytes ? bytesOf(text) : undefined
      if (id !== undefined) {
        flush()
        add(id, start, end)
      } else if (bytes !== undefined) {
        for (const byte of bytes) add(byte, start, end)
      } else {
        if (!fusesUnknown) flush()
        if (from === -1) from = start
        to = end
      }
      start = end
    }
    flush()
    return symbols
  }
}

/** Letters whose tokens are kept: those of all bytes, and of most alphabets. */
const KEPT_LETTERS = 0x600
const UNKNOWN = -1
const NOT_ASKED = -2

/** Tokens of single letters are asked for again and again. */
function remembered(pieces: Pieces): (text: string) => number | undefined {
  const known = new Int32Array(KEPT_LETTERS).fill(NOT_ASKED)
  return (text) => {
    const letter = text.charCodeAt(0)
    if (text.length !== 1 || letter >= KEPT_LETTERS) return pieces.idOf(text)
    if (known[letter] === NOT_ASKED) known[letter] = pieces.idOf(text) ?? UNKNOWN
    const id = known[letter] ?? UNKNOWN
    return id === UNKNOWN ? undefined : id
  }
}

function merged({ ids, starts, ends }: Symbols, merges: MergeTable, counter: StepCounter): Piece[] {
  const count = ids.length
  const queue = new MergeQueue(count)
  const [before, after] = [new Int32Array(count), new Int32Array(count)]
  const gone = new Uint8Array(count)
  const rankAt = (at: number): number => {
    const next = after[at] ?? count
    return next >= count ? -1 : merges.rankOf(ids[at] ?? 0, ids[next] ?? 0)
  }
  for (let at = 0; at < count; at++) {
    before[at] = at - 1
    after[at] = at + 1
  }
  for (let at = 0; at < count; at++) {
    counter.steps++
    const rank = rankAt(at)
    if (rank !== -1) queue.push(rank, at)
  }
  while (queue.pop()) {
    const { rank, at } = queue
    if (gone[at] === 1) continue
    const now = rankAt(at)
    // The pair may be another one than when it was put into the queue.
    if (now === -1 || merges.resultOf(now) !== merges.resultOf(rank)) continue
    const right = after[at] ?? count
    const next = after[right] ?? count
    ids[at] = merges.resultOf(rank)
    ends[at] = ends[right] ?? 0
    gone[right] = 1
    after[at] = next
    if (next < count) before[next] = at
    const previous = before[at] ?? -1
    const rankBefore = previous < 0 ? -1 : rankAt(previous)
    if (rankBefore !== -1) queue.push(rankBefore, previous)
    const rankAfter = rankAt(at)
    if (rankAfter !== -1) queue.push(rankAfter, at)
  }
  counter.steps += queue.steps
  const pieces: Piece[] = []
  for (let at = 0; at < count; at = after[at] ?? count) {
    pieces.push({ id: ids[at], start: starts[at] ?? 0, end: ends[at] ?? 0 })
  }
  return pieces
}
