import type { Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import { type Tensors, toFloats } from '../../core/tensors.ts'
import type { Work } from '../../core/work.ts'
import type { Encoding } from '../../media/text/tokenizer.ts'
import { type ModelCall, notFinite } from '../task.ts'
import { runInBatches, TokenCount } from './batches.ts'
import { type Cutting, type PairText, type ReadText, TextReader } from './reading.ts'
import { emptyText } from './texts.ts'

/** How pairs of texts are read together and scored. */
export interface PairOptions extends Cutting {
  /** Scores as the model answers them, and not as numbers from 0 to 1. */
  readonly rawScores: boolean
  /** Most tokens of a pair's second text alone. */
  readonly maxTokensOfSecond?: number
}

export interface PairScores {
  /** In the order of the pairs. */
  readonly scores: readonly number[]
  /** Of all pairs together, special tokens included. */
  readonly tokens: number
}

/**
 * Scores of pairs by a model that reads both texts of a pair together (a cross-encoder).
 * @param firsts one for each second text, or one for all of them: it is then read once
 * @throws input_too_large, empty_input, manifest_invalid
 */
export async function scorePairs(
  firsts: readonly PairText[],
  seconds: readonly PairText[],
  options: PairOptions,
  { model, limits, run }: ModelCall,
): Promise<PairScores> {
  const { manifest } = model
  const reader = await TextReader.open(model, limits)
  const { tokenizer } = reader
  const count = new TokenCount(limits)
  const pairs = await reader.perform(
    [...firsts, ...seconds].map(({ text }) => text),
    reader.maxTokens,
    pairsOf(firsts, seconds, options, reader, count),
  )
  const raw = options.rawScores || manifest.activation === 'none'
  const scores = new Array<number>(seconds.length).fill(0)
  await runInBatches(pairs, tokenizer.padId, model, limits, run, (outputs, places) => {
    const logits = logitsOf(outputs, places.length, manifest)
    for (const [row, place] of places.entries()) {
      const logit = logits[row] ?? 0
      if (!Number.isFinite(logit)) throw notFinite()
      scores[place] = raw ? logit : 1 / (1 + Math.exp(-logit))
    }
  })
  return { scores, tokens: count.total }
}

function* pairsOf(
  firsts: readonly PairText[],
  seconds: readonly PairText[],
  options: PairOptions,
  reader: TextReader,
  count: TokenCount,
): Work<Encoding[]> {
  const { maxTokensOfSecond, side } = options
  // Once for all texts: a long query with few tokens costs more than all of them.
  const shared = firsts.length === 1 ? yield* opened(firsts[0], reader, side) : undefined
  const pairs: Encoding[] = []
  for (const [i, second] of seconds.entries()) {
    const first = shared ?? (yield* opened(firsts[i], reader, side))
    const pair = yield* reader.pair(
      first,
      yield* opened(second, reader, side, maxTokensOfSecond),
      second.field,
      options,
    )
    count.add(pair.ids.length)
    pairs.push(pair)
  }
  return pairs
}

/** A text that has tokens. @throws empty_input */
function* opened(
  text: PairText | undefined,
  reader: TextReader,
  side: Cutting['side'],
  limit?: number,
): Work<ReadText> {
  const { field } = text ?? { field: '' }
  const read = reader.text(text ?? { text: '', field }, side, limit)
  if ((yield* read.tokens(reader.maxTokens)).length === 0) throw emptyText(field)
  return read
}

/** One number for each pair. @throws manifest_invalid */
function logitsOf(outputs: Tensors, rows: number, manifest: Manifest): Float32Array {
  for (const output of outputs.values()) {
    const values = toFloats(output)
    if (values?.length === rows && output.shape[0] === rows) return values
  }
  throw new VergeError(
    'manifest_invalid',
    `Model "${manifest.model}" version "${manifest.version}" has no output with one score per text. Push the model again with another task.`,
  )
}
