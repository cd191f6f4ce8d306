import type { Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { type Tensor, type Tensors, toFloats } from '../../core/tensors.ts'
import type { Work } from '../../core/work.ts'
import { wrongOutput } from '../shared/outputs.ts'
import { type ModelCall, wrongInput } from '../task.ts'
import { batchesOf, TokenCount } from '../text/batches.ts'
import { type InputText, textTensors } from '../text/inputs.ts'
import { TextReader } from '../text/reading.ts'
import { emptyText } from '../text/texts.ts'

/** Models with an encoder of texts and one of something else, in one graph: CLIP, SigLIP, CLAP. */

/** The side that is not texts. */
export interface OtherSide {
  readonly kind: 'image' | 'audio'
  /** As its input takes it: [items, ...]. */
  readonly shape: readonly number[]
  /** Reads it, once it is known that the run may be made. */
  read(): Promise<Tensor>
}

export interface Texts {
  readonly texts: readonly string[]
  readonly field: (place: number) => string
}

/** What is wanted of a pair: the model's own score, or the cosine of both vectors. */
export type PairScore = 'logits' | 'cosine'

const TEXT_INPUTS: readonly string[] = ['input_ids', 'attention_mask', 'token_type_ids']

/** The input that takes no text. @throws manifest_invalid */
export function otherInput(manifest: Manifest): Manifest['inputs'][number] {
  const [spec, ...more] = manifest.inputs.filter(({ name }) => !TEXT_INPUTS.includes(name))
  if (spec === undefined || more.length > 0) throw wrongInput(manifest, more[0])
  return spec
}

/** The model as if it took texts alone. @throws manifest_invalid */
function textual(manifest: Manifest): Manifest {
  const inputs = manifest.inputs.filter(({ name }) => TEXT_INPUTS.includes(name))
  if (inputs.length === 0) throw wrongInput(manifest, undefined)
  // Texts share runs whatever the precision: a run for each would encode the other side as often.
  return { ...manifest, inputs, artifacts: [] }
}

/**
 * A score for each item of the other side with each text: a row for each item. Texts are tokenized once, and run in as few
 * batches as their memory allows, each with the whole other side.
 * @throws empty_input, input_too_large, cost_too_high, manifest_invalid
 */
export async function scorePairs(
  { field, texts }: Texts,
  side: OtherSide,
  score: PairScore,
  { limits, model, run }: ModelCall,
): Promise<Float32Array[]> {
  const { manifest } = model
  const own = textual(manifest)
  const input = otherInput(manifest)
  const reader = await TextReader.open(model, limits)
  const encoded = await reader.perform(texts, reader.maxTokens, encodings(texts, field, reader, manifest, limits))
  const batches = batchesOf(encoded, own, limits)
  const [items = 1, ...rest] = side.shape
  // A cost by the element was measured with one text beside one item. So each text is priced with an item of its own:
  // most elements are the item's, and a thousand texts would cost next to nothing otherwise.
  model.checkCost?.(
    batches.map((places) => {
      const shape = [places.length, lengthIn(places, encoded)]
      const priced = [Math.max(items, places.length), ...rest]
      return new Map([...own.inputs.map(({ name }) => [name, { shape }] as const), [input.name, { shape: priced }]])
    }),
  )
  const other = await side.read()
  const rows = Array.from({ length: items }, () => new Float32Array(texts.length))
  for (const places of batches) {
    const batch = places.flatMap((place) => encoded[place] ?? [])
    const tensors = new Map([...textTensors(batch, reader.tokenizer.padId, own), [input.name, other] as const])
    const scores = scoresOf(await run(tensors), score, { items, texts: places.length, kind: side.kind }, manifest)
    for (const [row, values] of rows.entries()) {
      for (const [column, place] of places.entries()) values[place] = scores[row * places.length + column] ?? 0
    }
  }
  return rows
}

function lengthIn(places: readonly number[], texts: readonly InputText[]): number {
  return places.reduce((longest, place) => Math.max(longest, texts[place]?.ids.length ?? 0), 0)
}

/** @throws input_too_large, empty_input, manifest_invalid */
function* encodings(
  texts: readonly string[],
  field: (place: number) => string,
  reader: TextReader,
  manifest: Manifest,
  limits: Limits,
): Work<InputText[]> {
  const count = new TokenCount(limits)
  const { lowercase = false, padding } = manifest.text ?? {}
  const padId = padding && reader.tokenizer.idOf(padding.token)
  if (padding !== undefined && padId === undefined) {
    throw new VergeError(
      'manifest_invalid',
      `Model "${manifest.model}" version "${manifest.version}" has no token "${padding.token.slice(0, 64)}". Correct "preprocess.text.padding" in its verge.json and push it again.`,
    )
  }
  const encoded: InputText[] = []
  for (const [i, text] of texts.entries()) {
    const { ids, tokens, typeIds } = yield* reader.encode(lowercase ? text.toLowerCase() : text, field(i))
    if (tokens.every((token) => token === undefined)) throw emptyText(field(i))
    const length = Math.max(ids.length, padding?.length ?? 0)
    count.add(length)
    if (padId === undefined) encoded.push({ ids, typeIds })
    else {
      const pads = new Array<number>(length - ids.length).fill(padId)
      encoded.push({ ids: [...ids, ...pads], typeIds: [...typeIds, ...pads.fill(0)], attended: ids.length })
    }
  }
  return encoded
}

interface Sides {
  readonly items: number
  readonly texts: number
  readonly kind: OtherSide['kind']
}

/** Scores of all pairs, item by item. @throws manifest_invalid */
function scoresOf(outputs: Tensors, score: PairScore, { items, kind, texts }: Sides, manifest: Manifest): Float32Array {
  return score === 'cosine'
    ? cosines(outputs, { items, kind, texts }, manifest)
    : logitsOf(outputs, { items, kind, texts }, manifest)
}

function logitsOf(outputs: Tensors, { items, kind, texts }: Sides, manifest: Manifest): Float32Array {
  const perItem = floatsOf(outputs.get(`logits_per_${kind}`), [items, texts])
  if (perItem !== undefined) return perItem
  const perText = floatsOf(outputs.get('logits_per_text'), [texts, items])
  if (perText === undefined) throw wrongOutput(manifest, `no output "logits_per_${kind}" [${kind}s, texts]`)
  return perText.map((_, i) => perText[(i % texts) * items + Math.floor(i / texts)] ?? 0)
}

function cosines(outputs: Tensors, { items, kind, texts }: Sides, manifest: Manifest): Float32Array {
  const [mine, theirs] = [outputs.get(`${kind}_embeds`), outputs.get('text_embeds')]
  const width = mine?.shape.at(-1) ?? 0
  const [vectors, words] = [floatsOf(mine, [items, width]), floatsOf(theirs, [texts, width])]
  if (vectors === undefined || words === undefined || width === 0) {
    throw wrongOutput(manifest, `no outputs "${kind}_embeds" and "text_embeds" with vectors of one length`)
  }
  return Float32Array.from({ length: items * texts }, (_, i) =>
    cosine(
      vectors.subarray(Math.floor(i / texts) * width, (Math.floor(i / texts) + 1) * width),
      words.subarray((i % texts) * width, ((i % texts) + 1) * width),
    ),
  )
}

function cosine(a: Float32Array, b: Float32Array): number {
  let [product, first, second] = [0, 0, 0]
  for (const [i, x] of a.entries()) {
    const y = b[i] ?? 0
    product += x * y
    first += x * x
    second += y * y
  }
  const lengths = Math.sqrt(first * second)
  return lengths === 0 ? 0 : product / lengths
}

/** The numbers of an output of this shape. */
function floatsOf(output: Tensor | undefined, shape: readonly number[]): Float32Array | undefined {
  const fits = output?.shape.length === shape.length && shape.every((size, axis) => output.shape[axis] === size)
  return output !== undefined && fits ? toFloats(output) : undefined
}
