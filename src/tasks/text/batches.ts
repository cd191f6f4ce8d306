import { quantizesRowsTogether } from '../../catalog/dtype.ts'
import type { Manifest, Place } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Tensors } from '../../core/tensors.ts'
import type { EncodedText } from '../../media/text/tokenizer.ts'
import type { Run, TaskModel } from '../task.ts'
import { type InputText, textTensors } from './inputs.ts'

/**
 * Runs texts in batches of similar length, shortest first: padding is work, and memory, for nothing.
 * @param take gets each batch's outputs, with the places that its rows have among the texts
 */
export async function runInBatches(
  texts: readonly InputText[],
  padId: number,
  { manifest, checkCost, place }: Pick<TaskModel, 'manifest' | 'checkCost' | 'place'>,
  limits: Limits,
  run: Run,
  take: (outputs: Tensors, places: readonly number[]) => void | Promise<void>,
): Promise<void> {
  const batches = batchesOf(texts, manifest, limits, place)
  checkCost?.(batches.map((places) => batchShapes(places, texts, manifest)))
  for (const places of batches) {
    const batch = places.flatMap((place) => texts[place] ?? [])
    await take(await run(textTensors(batch, padId, manifest)), places)
  }
}

/** The shapes of a batch's inputs, before they are made. */
function batchShapes(places: readonly number[], texts: readonly EncodedText[], manifest: Manifest) {
  const longest = places.reduce((most, place) => Math.max(most, texts[place]?.ids.length ?? 0), 0)
  return new Map(manifest.inputs.map(({ name }) => [name, { shape: [places.length, longest] }]))
}

/**
 * Which texts run together. A batch's tokens are bounded, and so is its attention, which grows with the square of its
 * length: to that of one text of the usual greatest length. A model without a mask cannot tell padding from text, and
 * gets texts of one length at a time.
 */
export function batchesOf(
  texts: readonly EncodedText[],
  manifest: Manifest,
  limits: Limits,
  place: NonNullable<TaskModel['place']> = 'edge',
): number[][] {
  const masked = manifest.inputs.some(({ name }) => name === 'attention_mask')
  const single = manifest.inputs.some(({ shape }) => shape[0] === 1) || quantizesTogether(manifest, place)
  const lengthOf = (place: number): number => texts[place]?.ids.length ?? 0
  const shortestFirst = texts.map((_, place) => place).sort((a, b) => lengthOf(a) - lengthOf(b))
  const batches: number[][] = []
  let batch: number[] = []
  for (const place of shortestFirst) {
    const length = lengthOf(place)
    const rows = batch.length + 1
    const fits =
      !single &&
      rows <= limits.textsPerRequest &&
      rows * length <= limits.tokensPerRun &&
      rows * length ** 2 <= limits.textTokens ** 2 &&
      (masked || batch.every((other) => lengthOf(other) === length))
    if (batch.length === 0 || !fits) {
      batch = []
      batches.push(batch)
    }
    batch.push(place)
  }
  return batches
}

/**
 * Whether the artifact for a place may take one scale for the activations of a whole batch, as dynamic quantization does: then
 * a text's answer would depend, in its third digit, on the texts beside it. One at a time costs nothing from about thirty
 * tokens up, because there is one thread.
 */
function quantizesTogether({ artifacts }: Manifest, place: Place): boolean {
  const meant = artifacts.filter(({ places }) => places.includes(place))
  // An origin without an artifact of its own runs what there is.
  const run = meant.length === 0 ? artifacts : meant
  return run.some(({ dtype }) => quantizesRowsTogether(dtype))
}

/**
 * Counts tokens as texts are encoded, so that a request that is too large ends before all of it is.
 * @throws input_too_large
 */
export class TokenCount {
  readonly #limit: number
  total = 0

  constructor({ embeddingTokens }: Limits) {
    this.#limit = embeddingTokens
  }

  add(tokens: number): void {
    this.total += tokens
    if (this.total <= this.#limit) return
    throw new VergeError(
      'input_too_large',
      `The texts of a request may have ${this.#limit} tokens together. Send them in several requests.`,
      { details: { limit_tokens: this.#limit } },
    )
  }
}
