/** Readers of answers. What a field holds is checked, because another version of the Worker may answer. */
import type { Span } from './marks.ts'

export interface Scored {
  readonly label: string
  readonly score: number
}

type Fields = Readonly<Record<string, unknown>>

const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {})
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
const isText = (value: unknown): value is string => typeof value === 'string'
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)

/** Labels with scores, in the order of the answer. */
export function readLabels(output: unknown): Scored[] {
  return listOf(output).flatMap((item) => {
    const { label, score } = fieldsOf(item)
    return isText(label) && isNumber(score) ? [{ label, score }] : []
  })
}

/** Labels of the request, best first. */
export function readZeroShot(output: unknown): Scored[] {
  const { labels, scores } = fieldsOf(output)
  const all = listOf(scores)
  return listOf(labels).flatMap((label, i) => {
    const score = all[i]
    return isText(label) && isNumber(score) ? [{ label, score }] : []
  })
}

/** Entities, joined or as single tokens. */
export function readEntities(output: unknown): Span[] {
  return listOf(output).flatMap((item) => {
    const { end, entity, entity_group: group, score, start } = fieldsOf(item)
    const label = group ?? entity
    return isText(label) && isNumber(start) && isNumber(end) && isNumber(score) ? [{ label, start, end, score }] : []
  })
}

export interface FoundAnswer {
  readonly answer: string
  readonly start: number
  readonly end: number
  readonly score: number
}

/** Answers to a question, best first: one, or a list of them. */
export function readAnswers(output: unknown): FoundAnswer[] {
  return (Array.isArray(output) ? listOf(output) : [output]).flatMap((item) => {
    const { answer, end, score, start } = fieldsOf(item)
    return isText(answer) && isNumber(start) && isNumber(end) && isNumber(score) ? [{ answer, start, end, score }] : []
  })
}

export interface Proposal {
  readonly word: string
  readonly score: number
  /** The text with the word. */
  readonly sequence: string
}

/** Words for each mask of a text, best first. */
export function readProposals(output: unknown): Proposal[][] {
  const lists = listOf(output)
  const masks = Array.isArray(lists[0]) ? lists.map(listOf) : lists.length === 0 ? [] : [lists]
  return masks.map((list) =>
    list.flatMap((item) => {
      const { score, sequence, token_str: token } = fieldsOf(item)
      // A space before a word is part of some tokens.
      return isText(token) && isText(sequence) && isNumber(score)
        ? [{ word: token.trim() || token, score, sequence }]
        : []
    }),
  )
}

/** A number for each sentence, in order. */
export function readScores(output: unknown): number[] {
  return listOf(output).filter(isNumber)
}

export interface RankedText {
  readonly index: number
  readonly score: number
}

/** Documents, best first, in the words of either route. */
export function readRanking(output: unknown): RankedText[] {
  return listOf(output).flatMap((item) => {
    const { index, relevance_score: relevance, score } = fieldsOf(item)
    const value = relevance ?? score
    return isNumber(index) && isNumber(value) ? [{ index, score: value }] : []
  })
}

/** Vectors of texts: one, or one for each. */
export function readVectors(output: unknown): Float32Array[] {
  if (output instanceof Float32Array) return [output]
  const list = listOf(output)
  if (list.length > 0 && list.every(isNumber)) return [Float32Array.from(list)]
  return list.flatMap((item) => {
    if (item instanceof Float32Array) return [item]
    return Array.isArray(item) && item.every(isNumber) ? [Float32Array.from(item)] : []
  })
}

export interface SparseVector {
  readonly indices: readonly number[]
  readonly values: readonly number[]
}

/** Sparse vectors of a list of texts. */
export function readSparse(output: unknown): SparseVector[] {
  return listOf(output).flatMap((item) => {
    const { indices, values } = fieldsOf(fieldsOf(item).sparse)
    const [tokens, weights] = [listOf(indices).filter(isNumber), listOf(values).filter(isNumber)]
    return tokens.length === weights.length ? [{ indices: tokens, values: weights }] : []
  })
}

/** The vectors of each token of a list of texts. */
export function readTokenVectors(output: unknown): Float32Array[][] {
  return listOf(output).map((item) => readVectors(fieldsOf(fieldsOf(item).tokens).vectors))
}
