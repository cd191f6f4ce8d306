import type { MergeTable } from './compiled/merge-table.ts'
import type { Pieces } from './compiled/pieces.ts'
import type { ModelProgram } from './compiled/program.ts'
import { remembering } from './kept-words.ts'
import { MergeQueue } from './merge-queue.ts'
import type { Piece, StepCounter, WordModel } from './piece.ts'
import { SymbolReader, type Symbols } from './symbols.ts'

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
  const reader = new SymbolReader(program, pieces)
  const model = remembering((word) => {
    const id = program.wholeWords ? pieces.idOf(word) : undefined
    if (id !== undefined) return [{ id, start: 0, end: word.length }]
    return merged(reader.read(word), merges, counter)
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

/** So many symbols are merged without a heap, which takes longer to set up than to look at all of them each time. */
const FEW = 24
const ranks = new Int32Array(FEW)

function merged(symbols: Symbols, merges: MergeTable, counter: StepCounter): Piece[] {
  counter.steps += symbols.count
  if (symbols.count > FEW) mergeMany(symbols, merges, counter)
  else mergeFew(symbols, merges)
  const { count, ends, ids, starts } = symbols
  const pieces: Piece[] = []
  for (let at = 0; at < count; at++) pieces.push({ id: ids[at], start: starts[at] ?? 0, end: ends[at] ?? 0 })
  return pieces
}

function mergeFew(symbols: Symbols, merges: MergeTable): void {
  const { ends, ids, starts } = symbols
  let { count } = symbols
  for (let at = 0; at + 1 < count; at++) ranks[at] = merges.rankOf(ids[at] ?? 0, ids[at + 1] ?? 0)
  for (;;) {
    let [lowest, place] = [Number.POSITIVE_INFINITY, -1]
    for (let at = 0; at + 1 < count; at++) {
      const rank = ranks[at] ?? -1
      if (rank < 0 || rank >= lowest) continue
      lowest = rank
      place = at
    }
    if (place === -1) break
    ids[place] = merges.resultOf(lowest)
    ends[place] = ends[place + 1] ?? 0
    count--
    for (let at = place + 1; at < count; at++) {
      ids[at] = ids[at + 1] ?? 0
      starts[at] = starts[at + 1] ?? 0
      ends[at] = ends[at + 1] ?? 0
      ranks[at] = ranks[at + 1] ?? 0
    }
    if (place + 1 < count) ranks[place] = merges.rankOf(ids[place] ?? 0, ids[place + 1] ?? 0)
    if (place > 0) ranks[place - 1] = merges.rankOf(ids[place - 1] ?? 0, ids[place] ?? 0)
  }
  symbols.count = count
}

function mergeMany(symbols: Symbols, merges: MergeTable, counter: StepCounter): void {
  const { count, ends, ids, starts } = symbols
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
  let left = 0
  for (let at = 0; at < count; at = after[at] ?? count) {
    ids[left] = ids[at] ?? 0
    starts[left] = starts[at] ?? 0
    ends[left++] = ends[at] ?? 0
  }
  symbols.count = left
}
