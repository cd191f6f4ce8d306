import { scriptOf } from './script.ts'
import type { Vocabulary } from './vocabulary.ts'

export interface RowOrderOptions {
  /** Of the table. May be more than there are tokens: the last ones are then fill. */
  readonly rows: number
  /** How many stay in memory. */
  readonly hot: number
  /** Rows that every text needs, or that the person wants there: they come first. */
  readonly always: readonly number[]
  /** By token: how often it came in texts like those that the model will get. */
  readonly counts: ReadonlyMap<number, number>
  /** Undefined where there is no tokenizer: then by number. */
  readonly vocabulary: Vocabulary | undefined
}

/**
 * The order of a table's rows: the `hot` first ones stay in memory, the others lie in pages in this order. Hot are the
 * rows that every text needs, then those that came in sample texts, then those that the tokenizer expects most. The others
 * are grouped by script, so that a text in one language needs few pages, and in a group lie what is expected most together.
 * @returns ids by place
 */
export function rowOrder({ always, counts, hot, rows, vocabulary }: RowOrderOptions): Int32Array {
  const ranks = ranksOf(rows, vocabulary)
  const first = new Set(always.filter((id) => id >= 0 && id < rows))
  const byUse = Int32Array.from({ length: rows }, (_, id) => id).sort(
    (a, b) =>
      Number(first.has(b)) - Number(first.has(a)) ||
      (counts.get(b) ?? 0) - (counts.get(a) ?? 0) ||
      (ranks[a] ?? 0) - (ranks[b] ?? 0) ||
      a - b,
  )
  const groups = Uint8Array.from({ length: rows }, (_, id) => scriptOf(vocabulary?.texts[id] ?? ''))
  const cold = byUse.subarray(Math.min(hot, rows))
  const places = Int32Array.from(cold, (_, place) => place)
  places.sort((a, b) => (groups[cold[a] ?? 0] ?? 0) - (groups[cold[b] ?? 0] ?? 0) || a - b)
  cold.set(places.map((place) => cold[place] ?? 0))
  return byUse
}

function ranksOf(rows: number, vocabulary: Vocabulary | undefined): Float64Array {
  const ranks = Float64Array.from({ length: rows }, (_, id) => id)
  if (vocabulary === undefined) return ranks
  // Rows without a token are fill, which nothing looks up.
  ranks.fill(Number.MAX_VALUE)
  ranks.set(vocabulary.ranks.subarray(0, rows))
  for (let id = 0; id < Math.min(rows, vocabulary.texts.length); id++) {
    if (vocabulary.texts[id] === undefined) ranks[id] = Number.MAX_VALUE
  }
  return ranks
}
