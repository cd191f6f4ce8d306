import type { Generation, GenerationOptions } from '../../serving/serving.ts'
import type { Agreement } from './compare.ts'

/**
 * Comparison of texts that two versions write. The second version does not write a text of its own, because one token that
 * differs changes everything behind it, and a request that draws its tokens by chance gets another text each time. It is
 * given the prompt and then the very tokens that the first has written, and of each place it is asked which token it holds
 * for the likeliest. That is compared with what the first held for the likeliest there, before temperature, penalties and
 * chance: so it does not matter whether a request samples, and with which seed.
 */

/** The beginning of a text that was written. */
export interface WrittenText {
  readonly prompt: readonly number[]
  readonly stopTokens: ReadonlySet<number>
  /** Of each place of the answer, the token that ended it among them. */
  readonly places: readonly Place[]
  /** Whether these are all places. */
  readonly whole: boolean
}

interface Place {
  /** The token that was written. */
  readonly written: number
  readonly likeliest: Likeliest
}

interface Likeliest {
  readonly token: number
  readonly logit: number
}

/**
 * Of places that must be alike, rounded: precisions of one model part where two tokens are nearly as likely. Of up to five
 * places, such as a label, all must be.
 */
const ALIKE_SHARE = 0.9

/** Remembers a text while it is written. */
export class TextRecorder {
  /** To write with: the same, but for what is remembered. */
  readonly options: GenerationOptions
  readonly #prompt: readonly number[]
  readonly #places: Place[] = []
  #count = 0

  /** @param most places that are remembered */
  constructor(prompt: readonly number[], options: GenerationOptions, most: number) {
    this.#prompt = prompt
    this.options = {
      ...options,
      choose: (logits) => {
        if (this.#count++ >= most) return options.choose(logits)
        // Before what chooses changes the logits.
        const likeliest = likeliestOf(logits)
        const written = options.choose(logits)
        this.#places.push({ written, likeliest })
        return written
      },
    }
  }

  /** Undefined where nothing was written. */
  get written(): WrittenText | undefined {
    if (this.#places.length === 0) return undefined
    const whole = this.#count === this.#places.length
    return { prompt: this.#prompt, stopTokens: this.options.stopTokens, places: this.#places, whole }
  }
}

export interface RetraceOptions {
  /** Begins to write with the other version. */
  readonly generate: (prompt: readonly number[], options: GenerationOptions) => Promise<Pick<Generation, 'tokens'>>
  /** Asked before each further run: true ends the comparison. */
  readonly givesWay: () => boolean
  readonly signal: AbortSignal
}

/** Has another version go over a written text. @returns undefined where other work came first. @throws what writing throws */
export async function retraced(
  { places, prompt, stopTokens }: WrittenText,
  { generate, givesWay, signal }: RetraceOptions,
): Promise<Agreement | undefined> {
  let [at, same, largest] = [0, 0, 0]
  const { tokens } = await generate(prompt, {
    stopTokens,
    maxNewTokens: places.length,
    signal,
    choose: (logits) => {
      const { token, logit } = likeliestOf(logits)
      const place = places[at++]
      if (token === place?.likeliest.token) same++
      const difference = Math.abs(logit - (place?.likeliest.logit ?? logit))
      if (Number.isFinite(difference)) largest = Math.max(largest, difference)
      return place?.written ?? token
    },
  })
  // Leaving the loop ends the writing.
  for await (const _ of tokens) if (at < places.length && givesWay()) return undefined
  return { agrees: same >= Math.round(ALIKE_SHARE * places.length), largest }
}

/** Of equals the lower number, as sampling has it; -1 where no logit is a number. */
function likeliestOf(logits: Float32Array): Likeliest {
  let token = -1
  let greatest = Number.NEGATIVE_INFINITY
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i] ?? Number.NaN
    if (logit > greatest) {
      greatest = logit
      token = i
    }
  }
  return { token, logit: greatest }
}
