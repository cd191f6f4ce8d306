import { activate } from '../shared/scores.ts'

/** Part of a text that may be an answer, by the places of its first and last token. */
export interface AnswerSpan {
  readonly first: number
  readonly last: number
  readonly score: number
}

export interface SpanSearch {
  /** Whether a token may belong to an answer. */
  readonly allowed: readonly boolean[]
  /** Most tokens in an answer. */
  readonly maxLength: number
  /** How many are wanted. */
  readonly count: number
}

/** The likeliest answers in a window, best first, and how likely it is that there is none. */
export interface Spans {
  readonly spans: readonly AnswerSpan[]
  readonly none: number
}

/**
 * Answers from what a model gives each token to begin and to end one, as transformers' QuestionAnsweringPipeline finds
 * them: probabilities over the allowed tokens and the first, special one, which stands for "no answer"; a span's is the
 * product of its beginning's and its end's.
 */
export function bestSpans(starts: Float32Array, ends: Float32Array, { allowed, maxLength, count }: SpanSearch): Spans {
  const masked = (logits: Float32Array): Float64Array =>
    activate(
      Float64Array.from(allowed, (may, i) => (may || i === 0 ? (logits[i] ?? 0) : Number.NEGATIVE_INFINITY)),
      'softmax',
    )
  const [begin, finish] = [masked(starts), masked(ends)]
  const best: AnswerSpan[] = []
  for (let first = 0; first < allowed.length; first++) {
    if (!allowed[first]) continue
    for (let last = first; last < Math.min(allowed.length, first + maxLength); last++) {
      if (!allowed[last]) continue
      const score = (begin[first] ?? 0) * (finish[last] ?? 0)
      const worst = best.at(-1)
      if (best.length >= count && (worst === undefined || score <= worst.score)) continue
      const at = best.findIndex((span) => span.score < score)
      best.splice(at === -1 ? best.length : at, 0, { first, last, score })
      if (best.length > count) best.pop()
    }
  }
  return { spans: best, none: allowed[0] ? 0 : (begin[0] ?? 0) * (finish[0] ?? 0) }
}
