import { activate } from '../shared/scores.ts'

/** How tokens become entities, as transformers' `aggregation_strategy`. */
export const AGGREGATION = ['none', 'simple', 'first', 'average', 'max'] as const
export type Aggregation = (typeof AGGREGATION)[number]

/** A token before it is one of an entity. Places are UTF-16 units of the text. */
export interface ScoredToken {
  /** As the vocabulary writes it. */
  readonly word: string
  /** A probability for each label. */
  readonly scores: Float64Array
  /** Place in what the model was given, special tokens counted. */
  readonly index: number
  readonly start: number
  readonly end: number
  /** Goes on with the word of the token before it. */
  readonly insideWord: boolean
}

/** A token, or a word, with the label that was found for it. */
export interface Labelled {
  readonly label: string
  readonly score: number
  readonly word: string
  /** Its tokens as the vocabulary writes them. A decoder reads these, and no text that it has made. */
  readonly tokens: readonly string[]
  readonly start: number
  readonly end: number
  readonly index?: number
}

export interface Grouped extends Labelled {
  /** The label without `B-` and `I-` where tokens were joined. */
  readonly label: string
}

type Join = (words: readonly string[]) => string
type NameOf = (label: number) => string

export function probabilities(logits: Float32Array): Float64Array {
  return activate(Float64Array.from(logits), 'softmax')
}

/**
 * Tokens to entities as transformers' TokenClassificationPipeline makes them: `none` leaves tokens, `simple` joins
 * neighbours of one label, the others first give every word one label.
 */
export function entitiesOf(
  tokens: readonly ScoredToken[],
  strategy: Aggregation,
  nameOf: NameOf,
  join: Join,
): Grouped[] {
  if (strategy === 'none') return tokens.map((token) => labelled(token, nameOf))
  const words =
    strategy === 'simple' ? tokens.map((token) => labelled(token, nameOf)) : wordsOf(tokens, strategy, nameOf, join)
  return grouped(words, join)
}

function labelled({ scores, word, start, end, index }: ScoredToken, nameOf: NameOf): Labelled {
  const best = greatest(scores)
  return { label: nameOf(best), score: scores[best] ?? 0, word, tokens: [word], start, end, index }
}

function greatest(scores: Float64Array): number {
  return scores.reduce((best, score, i) => (score > (scores[best] ?? 0) ? i : best), 0)
}

function wordsOf(
  tokens: readonly ScoredToken[],
  strategy: Exclude<Aggregation, 'none' | 'simple'>,
  nameOf: NameOf,
  join: Join,
): Labelled[] {
  const groups: ScoredToken[][] = []
  for (const token of tokens) {
    const last = groups.at(-1)
    if (token.insideWord && last !== undefined) last.push(token)
    else groups.push([token])
  }
  return groups.flatMap((group) => {
    const [first, last] = [group[0], group.at(-1)]
    if (first === undefined || last === undefined) return []
    const scores = wordScores(group, strategy)
    const best = greatest(scores)
    const own = group.map((token) => token.word)
    return {
      label: nameOf(best),
      score: scores[best] ?? 0,
      word: join(own),
      tokens: own,
      start: first.start,
      end: last.end,
    }
  })
}

function wordScores(group: readonly ScoredToken[], strategy: 'first' | 'average' | 'max'): Float64Array {
  const all = group.map(({ scores }) => scores)
  const first = all[0] ?? new Float64Array(0)
  switch (strategy) {
    case 'first':
      return first
    case 'max':
      return all.reduce((best, scores) =>
        (scores[greatest(scores)] ?? 0) > (best[greatest(best)] ?? 0) ? scores : best,
      )
    case 'average':
      return first.map((_, label) => all.reduce((sum, scores) => sum + (scores[label] ?? 0), 0) / all.length)
  }
}

function grouped(words: readonly Labelled[], join: Join): Grouped[] {
  const groups: Labelled[][] = []
  for (const word of words) {
    const group = groups.at(-1)
    const previous = group?.at(-1)
    const [begins, tag] = tagOf(word.label)
    if (group !== undefined && previous !== undefined && !begins && tagOf(previous.label)[1] === tag) group.push(word)
    else groups.push([word])
  }
  return groups.flatMap((group) => {
    const [first, last] = [group[0], group.at(-1)]
    if (first === undefined || last === undefined) return []
    const tokens = group.flatMap((word) => word.tokens)
    return {
      // As transformers has it: what stands after the first hyphen, also where that does not follow a B or an I.
      label: first.label.slice(first.label.indexOf('-') + 1),
      score: group.reduce((sum, { score }) => sum + score, 0) / group.length,
      word: join(tokens),
      tokens,
      start: first.start,
      end: last.end,
    }
  })
}

/** Whether a label begins an entity, and which. */
function tagOf(label: string): readonly [boolean, string] {
  if (label.startsWith('B-')) return [true, label.slice(2)]
  return [false, label.startsWith('I-') ? label.slice(2) : label]
}

/** Entities of overlapping windows: of two in one place the longer one, or the surer one. */
export function withoutOverlaps<T extends Pick<Grouped, 'start' | 'end' | 'score'>>(entities: readonly T[]): T[] {
  const sorted = [...entities].sort((a, b) => a.start - b.start)
  const kept: T[] = []
  for (const entity of sorted) {
    const previous = kept.at(-1)
    if (previous === undefined || entity.start >= previous.end) {
      kept.push(entity)
      continue
    }
    const [length, before] = [entity.end - entity.start, previous.end - previous.start]
    if (length > before || (length === before && entity.score > previous.score)) kept[kept.length - 1] = entity
  }
  return kept
}
