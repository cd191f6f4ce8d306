import { isConfig, type TokenizerConfig } from './config.ts'
import { PairTable } from './pair-table.ts'
import { byteTokens, type Piece, type StepCounter, type WordModel } from './piece.ts'
import type { Vocabulary } from './vocabulary.ts'

/** Words that are kept with their pieces, and the length of the longest: what a page of text repeats. */
const KEPT_WORDS = 4_096
const KEPT_LENGTH = 64

/**
 * Byte-pair encoding (Sennrich et al., 2016) as Hugging Face's Rust library does it: a word's characters are looked up
 * first, and what the vocabulary lacks becomes bytes, the unknown token, or nothing; then the pairs are merged, the
 * merge of the lowest rank first and of equal ranks the leftmost. With a heap, n characters take n log n steps.
 */
export function bytePair(config: TokenizerConfig, vocabulary: Vocabulary, counter: StepCounter): WordModel {
  const merges = mergesOf(config, vocabulary)
  const symbolsOf = symbolsBy(config, vocabulary)
  const whole = config.ignore_merges === true
  const kept = new Map<string, readonly Piece[]>()
  return (word) => {
    const id = whole ? vocabulary.idOf(word) : undefined
    if (id !== undefined) return [{ id, start: 0, end: word.length }]
    const known = kept.get(word)
    if (known !== undefined) return known
    const pieces = merged(symbolsOf(word), merges, counter)
    if (word.length <= KEPT_LENGTH) {
      if (kept.size >= KEPT_WORDS) kept.clear()
      kept.set(word, pieces)
    }
    return pieces
  }
}

interface Merges {
  /** Rank of the merge of two tokens; -1 where they do not merge. */
  readonly ranks: PairTable
  /** The token that a merge makes, by its rank. */
  readonly results: Int32Array
}

/** @throws Error for a merge of what the vocabulary lacks, as the Rust library does */
function mergesOf({ merges, continuing_subword_prefix: prefix }: TokenizerConfig, vocabulary: Vocabulary): Merges {
  if (!Array.isArray(merges)) throw new Error('a BPE model has no list of merges')
  const cut = typeof prefix === 'string' ? prefix.length : 0
  const ranks = new PairTable()
  const results = new Int32Array(merges.length)
  for (const [rank, merge] of merges.entries()) {
    const pair: unknown = typeof merge === 'string' ? merge.split(' ') : merge
    const [left, right, more] = Array.isArray(pair) ? (pair as unknown[]) : []
    if (typeof left !== 'string' || typeof right !== 'string' || more !== undefined) {
      throw new Error(`merge ${rank} does not have two tokens`)
    }
    const [first, second] = [vocabulary.idOf(left), vocabulary.idOf(right)]
    const result = vocabulary.idOf(left + right.slice(cut))
    if (first === undefined || second === undefined || result === undefined) {
      throw new Error(`merge ${rank} has tokens that are not in the vocabulary`)
    }
    ranks.set(first, second, rank)
    results[rank] = result
  }
  return { ranks, results }
}

/** A symbol with a place in the word. Every one has a token. */
interface Symbols {
  readonly ids: number[]
  readonly starts: number[]
  readonly ends: number[]
}

function symbolsBy(config: TokenizerConfig, vocabulary: Vocabulary): (word: string) => Symbols {
  const { continuing_subword_prefix: prefix, end_of_word_suffix: suffix, unk_token: unknownToken } = config
  const [inside, ending] = [typeof prefix === 'string' ? prefix : '', typeof suffix === 'string' ? suffix : '']
  const unknown = typeof unknownToken === 'string' ? vocabulary.idOf(unknownToken) : undefined
  const fuses = config.fuse_unk === true
  const writesBytes = config.byte_fallback === true
  const idOf = (text: string): number | undefined => vocabulary.idOf(text)
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
      const text = (start === 0 ? '' : inside) + character + (end === word.length ? ending : '')
      const id = idOf(text)
      const bytes = id === undefined && writesBytes ? byteTokens(text, idOf) : undefined
      if (id !== undefined) {
        flush()
        add(id, start, end)
      } else if (bytes !== undefined) {
        for (const byte of bytes) add(byte, start, end)
      } else {
        if (!fuses) flush()
        if (from === -1) from = start
        to = end
      }
      start = end
    }
    flush()
    return symbols
  }
}

function merged({ ids, starts, ends }: Symbols, { ranks, results }: Merges, counter: StepCounter): Piece[] {
  const count = ids.length
  const queue = new MergeQueue(count)
  const [before, after] = [new Int32Array(count), new Int32Array(count)]
  const gone = new Uint8Array(count)
  const rankAt = (at: number): number => {
    const next = after[at] ?? count
    return next >= count ? -1 : ranks.get(ids[at] ?? 0, ids[next] ?? 0)
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
    if (now === -1 || results[now] !== results[rank]) continue
    const right = after[at] ?? count
    const next = after[right] ?? count
    ids[at] = results[rank] ?? 0
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

/** Places in a word fit into so many, and ranks above them: both together stay below 2^53. */
const PLACES = 2 ** 24

/** A binary heap of merges, lowest rank first and of equal ranks the leftmost. */
class MergeQueue {
  #keys: Float64Array
  #count = 0
  steps = 0
  /** What was taken out last. */
  rank = 0
  at = 0

  constructor(expected: number) {
    this.#keys = new Float64Array(Math.max(8, expected))
  }

  push(rank: number, at: number): void {
    if (this.#count === this.#keys.length) {
      const keys = new Float64Array(2 * this.#count)
      keys.set(this.#keys)
      this.#keys = keys
    }
    const keys = this.#keys
    const key = rank * PLACES + at
    let place = this.#count++
    while (place > 0) {
      this.steps++
      const parent = (place - 1) >> 1
      const above = keys[parent] ?? 0
      if (above <= key) break
      keys[place] = above
      place = parent
    }
    keys[place] = key
  }

  /** Takes the first one out; false if there is none. */
  pop(): boolean {
    if (this.#count === 0) return false
    const keys = this.#keys
    const first = keys[0] ?? 0
    this.rank = Math.floor(first / PLACES)
    this.at = first - this.rank * PLACES
    const count = --this.#count
    const key = keys[count] ?? 0
    let place = 0
    for (let child = 1; child < count; child = 2 * place + 1) {
      this.steps++
      if (child + 1 < count && (keys[child + 1] ?? 0) < (keys[child] ?? 0)) child++
      const below = keys[child] ?? 0
      if (below >= key) break
      keys[place] = below
      place = child
    }
    keys[place] = key
    return true
  }
}

/** Whether a `model` without a type is of this kind. */
export function looksLikeBytePair({ merges, vocab }: TokenizerConfig): boolean {
  return Array.isArray(merges) && isConfig(vocab)
}
