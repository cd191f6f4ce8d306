import type { Work } from '../../core/work.ts'
import type { Encoding } from '../../media/text/tokenizer.ts'
import type { ModelCall } from '../task.ts'
import { runInBatches, TokenCount } from './batches.ts'
import { probabilities } from './entities.ts'
import { tokenLogits } from './logits.ts'
import { type Cutting, TextReader } from './reading.ts'
import { checkTexts } from './texts.ts'

export interface TokenScoreOptions extends Cutting {
  /** The request's field that a text stands in, for messages. */
  readonly field: (place: number) => string
  /** Scores as the model answers them, and not as probabilities. */
  readonly raw: boolean
}

/** For each token of a text, special ones included, one number for each label. */
export interface TokenScores {
  readonly values: Float32Array
  /** Numbers of a token. */
  readonly width: number
}

/**
 * A model's scores for each label of each token of each text.
 * @throws input_too_large, empty_input, manifest_invalid
 */
export async function scoreTokens(
  texts: readonly string[],
  options: TokenScoreOptions,
  { model, limits, run }: ModelCall,
): Promise<{ readonly scores: readonly TokenScores[]; readonly tokens: number }> {
  const { field, raw } = options
  checkTexts(texts, field, limits)
  const reader = await TextReader.open(model, limits)
  const count = new TokenCount(limits)
  const encoded = await reader.perform(texts, reader.maxTokens, encodings(texts, options, reader, count))
  const scores = new Array<TokenScores>(texts.length)
  await runInBatches(encoded, reader.tokenizer.padId, model, limits, run, (outputs, places) => {
    const length = places.reduce((longest, at) => Math.max(longest, encoded[at]?.ids.length ?? 0), 0)
    const { values, width } = tokenLogits(outputs, places.length, length, model.manifest)
    for (const [row, at] of places.entries()) {
      const own = values.slice(row * length * width, (row * length + (encoded[at]?.ids.length ?? 0)) * width)
      if (!raw) for (let i = 0; i < own.length; i += width) own.set(probabilities(own.subarray(i, i + width)), i)
      scores[at] = { values: own, width }
    }
  })
  return { scores, tokens: count.total }
}

function* encodings(
  texts: readonly string[],
  options: TokenScoreOptions,
  reader: TextReader,
  count: TokenCount,
): Work<Encoding[]> {
  const encoded: Encoding[] = []
  for (const [i, text] of texts.entries()) {
    const encoding = yield* reader.encode(text, options.field(i), options)
    count.add(encoding.ids.length)
    encoded.push(encoding)
  }
  return encoded
}
