import { VergeError } from '../core/errors.ts'
import { keepTopK, keepTopP, type WeightedTokens } from './top-k-top-p.ts'

/** How the next token is chosen, with the names and meanings of OpenAI and, for the rest, of vLLM. */
export interface Sampling {
  /** 0: always the likeliest token. */
  readonly temperature: number
  /** The likeliest tokens that together have this share. 1: all. */
  readonly topP: number
  /** The so many likeliest. 0: all. */
  readonly topK: number
  /** Those that have at least this share of the likeliest one's. 0: all. */
  readonly minP: number
  /** Taken from a logit for each time that its token stands in the answer. */
  readonly frequencyPenalty: number
  /** Taken from it once if it stands there at all. */
  readonly presencePenalty: number
  /** Divides a positive logit of every token of prompt and answer, and multiplies a negative one. 1: nothing. */
  readonly repetitionPenalty: number
}

/**
 * Chooses tokens one by one and remembers them. Penalties come first, then temperature, `minP`, `topK` and `topP`, which
 * is vLLM's order. Of equals the lower number is the likelier.
 * @param random uniform in [0, 1); asked once for each token that is not simply the likeliest
 * @returns the number of a token for logits [vocabulary], which it may change. @throws model_invalid for logits that are
 * no numbers
 */
export function sampler(
  prompt: readonly number[],
  sampling: Sampling,
  random: () => number,
): (logits: Float32Array) => number {
  const answered = new Map<number, number>()
  const seen = new Set(sampling.repetitionPenalty === 1 ? [] : prompt)
  return (logits) => {
    penalise(logits, seen, answered, sampling)
    const token = sampling.temperature === 0 ? likeliest(logits) : drawn(logits, sampling, random)
    answered.set(token, (answered.get(token) ?? 0) + 1)
    if (sampling.repetitionPenalty !== 1) seen.add(token)
    return token
  }
}

function penalise(
  logits: Float32Array,
  seen: ReadonlySet<number>,
  answered: ReadonlyMap<number, number>,
  { frequencyPenalty, presencePenalty, repetitionPenalty }: Sampling,
): void {
  for (const token of seen) {
    const logit = logits[token]
    if (logit !== undefined) logits[token] = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty
  }
  if (frequencyPenalty === 0 && presencePenalty === 0) return
  for (const [token, times] of answered) {
    const logit = logits[token]
    if (logit !== undefined) logits[token] = logit - times * frequencyPenalty - presencePenalty
  }
}

function likeliest(logits: Float32Array): number {
  let found = -1
  let greatest = Number.NEGATIVE_INFINITY
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i] ?? Number.NaN
    if (logit > greatest) {
      greatest = logit
      found = i
    }
  }
  if (found === -1 || greatest === Number.POSITIVE_INFINITY) throw unusable()
  return found
}

function drawn(logits: Float32Array, { minP, temperature, topK, topP }: Sampling, random: () => number): number {
  const top = logits[likeliest(logits)] ?? 0
  const weights = new Float64Array(logits.length)
  const tokens = new Uint32Array(logits.length)
  let count = 0
  for (let i = 0; i < logits.length; i++) {
    // Shares are of the likeliest's: what is subtracted here leaves their proportions as they are.
    const weight = Math.exp(((logits[i] ?? Number.NaN) - top) / temperature)
    if (!(weight >= minP) || weight === 0) continue
    weights[count] = weight
    tokens[count++] = i
  }
  let kept: WeightedTokens = { tokens: tokens.subarray(0, count), weights: weights.subarray(0, count) }
  if (topK > 0 && topK < count) kept = keepTopK(kept, topK)
  if (topP < 1) kept = keepTopP(kept, topP)
  return pick(kept, random())
}

function pick({ tokens, weights }: WeightedTokens, share: number): number {
  let total = 0
  for (const weight of weights) total += weight
  let left = share * total
  let last = -1
  for (let i = 0; i < tokens.length; i++) {
    last = tokens[i] ?? -1
    left -= weights[i] ?? 0
    if (left < 0) break
  }
  return last
}

function unusable(): VergeError {
  return new VergeError(
    'model_invalid',
    'The model returned logits that are not numbers. Push the model again, for example in another precision.',
  )
}
