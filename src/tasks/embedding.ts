import * as z from 'zod'
import type { Manifest } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { Work } from '../core/work.ts'
import type { CutSide } from '../media/text/cut.ts'
import type { EncodedText, TextToken } from '../media/text/tokenizer.ts'
import { type Run, runInBatches, TokenCount } from './batches.ts'
import { fixedWidth, outputOf, rowsOf, settingsOf, unfitOutput } from './embedding-output.ts'
import { assertDimensions, normalizeVector, poolTokens } from './pooling.ts'
import { TextReader } from './reading.ts'
import type { TaskModel } from './task.ts'
import { emptyText, tooManyTokens } from './texts.ts'

/** What a request may say of how its texts become vectors, as sentence-transformers and the Hugging Face API name it. */
export const embeddingParametersSchema = z
  .strictObject({
    dimensions: z
      .number()
      .int()
      .positive()
      .optional()
      .meta({ description: 'Truncate vectors to this many dimensions' }),
    normalize: z
      .boolean()
      .optional()
      .meta({ description: 'Normalize vectors to length 1; by default as set in the manifest' }),
    prompt_name: z.string().optional().meta({ description: 'Name of the prompt of the model to prepend to each text' }),
    truncate: z.boolean().optional().meta({ description: 'Truncate long texts instead of refusing them' }),
    truncation_direction: z
      .literal(['right', 'Right', 'left', 'Left'])
      .optional()
      .meta({ description: 'Which end to truncate; by default as set for the model' }),
  })
  .meta({ id: 'EmbeddingParameters' })
export type EmbeddingParameters = z.infer<typeof embeddingParametersSchema>

/** A text, or its token ids as the model's own tokenizer gives them, special tokens included. */
export type EmbeddingInput = string | readonly number[]

export interface EmbeddingOptions extends EmbeddingParameters {
  /** The request's field that a text stands in, for messages. */
  readonly field: (place: number) => string
}

/** Everything that making vectors takes beside the texts. */
export interface Embedder {
  readonly model: TaskModel
  readonly limits: Limits
  readonly run: Run
}

/** What a text became: vectors of `width` elements one after the other, one for each token or a single one. */
export interface TextVectors {
  readonly values: Float32Array
  readonly width: number
}

export interface Embeddings<T> {
  /** In the order of the texts. */
  readonly vectors: readonly T[]
  /** Of all texts together, special tokens included. */
  readonly tokens: number
}

/**
 * A vector for each text.
 * @param prompts one for all texts, or one for each
 * @throws invalid_request, empty_input, input_too_large, task_mismatch, manifest_invalid
 */
export async function embed(
  inputs: readonly EmbeddingInput[],
  options: EmbeddingOptions,
  embedder: Embedder,
  prompts: string | readonly string[] = promptOf(embedder.model.manifest, options.prompt_name),
): Promise<Embeddings<Float32Array>> {
  const { manifest } = embedder.model
  const { pooling, normalize: always, dimensions: trained } = settingsOf(manifest)
  if (pooling === 'none') {
    throw new VergeError(
      'task_mismatch',
      `Model "${manifest.model}" returns a vector per token, not per text. Use POST /run/${manifest.model}.`,
    )
  }
  const { dimensions } = options
  return eachText(inputs, prompts, options, embedder, (values, count, width, skipped) => {
    if (dimensions !== undefined) assertDimensions(dimensions, width, trained)
    const whole = count === undefined ? values.slice(0, width) : poolTokens(values, count, width, pooling, skipped)
    const cut = dimensions === undefined ? whole : whole.slice(0, dimensions)
    return (options.normalize ?? always) ? normalizeVector(cut) : cut
  })
}

/**
 * The vectors of each text's own tokens.
 * @throws as `embed`
 */
export async function embedTokens(
  inputs: readonly EmbeddingInput[],
  options: EmbeddingOptions,
  embedder: Embedder,
): Promise<Embeddings<TextVectors>> {
  const { manifest } = embedder.model
  const { dimensions: trained } = settingsOf(manifest)
  if (options.dimensions !== undefined) {
    throw new VergeError(
      'invalid_request',
      '"dimensions" needs a model that returns one vector per text. This model returns one per token.',
      {
        details: { field: 'dimensions', ...(trained && { possible: trained }) },
      },
    )
  }
  const prompt = promptOf(manifest, options.prompt_name)
  return eachText(inputs, prompt, options, embedder, (values, count, width) => {
    if (count === undefined) throw unfitOutput(manifest)
    const own = values.slice(0, count * width)
    if (options.normalize) for (let i = 0; i < count; i++) normalizeVector(own.subarray(i * width, (i + 1) * width))
    return { values: own, width }
  })
}

/**
 * The text that stands before each embedded one.
 * @throws invalid_request if the model has none of that name
 */
function promptOf(manifest: Manifest, name: string | undefined): string {
  const { prompts = {}, defaultPrompt } = settingsOf(manifest)
  const wanted = name ?? defaultPrompt
  if (wanted === undefined) return ''
  const prompt = Object.hasOwn(prompts, wanted) ? prompts[wanted] : undefined
  if (prompt !== undefined) return prompt
  const names = Object.keys(prompts)
  throw new VergeError(
    name === undefined ? 'manifest_invalid' : 'invalid_request',
    `Model "${manifest.model}" has no prompt "${wanted.slice(0, 64)}". ${names.length === 0 ? 'It has no prompts.' : `It has: ${names.join(', ')}.`}`,
    { details: { field: 'prompt_name', prompts: names } },
  )
}

/** The first of these prompts that the model has, else its default one. */
export function firstPrompt(manifest: Manifest, names: readonly string[]): string {
  const { prompts = {} } = settingsOf(manifest)
  return promptOf(
    manifest,
    names.find((name) => Object.hasOwn(prompts, name)),
  )
}

/** Makes something of each text's row; `count` is undefined where the model answers one vector a text. */
type MakeVector<T> = (values: Float32Array, count: number | undefined, width: number, skipped: number) => T

async function eachText<T extends Float32Array | TextVectors>(
  inputs: readonly EmbeddingInput[],
  prompts: string | readonly string[],
  options: EmbeddingOptions,
  { model, limits, run }: Embedder,
  make: MakeVector<T>,
): Promise<Embeddings<T>> {
  const { manifest } = model
  const output = outputOf(manifest)
  assertAnswerFits(inputs.length * (options.dimensions ?? fixedWidth(output)), limits)
  const reader = await TextReader.open(model, limits)
  const { tokenizer } = reader
  const { lowercase = false } = settingsOf(manifest)
  const given = inputs.map((input, i): Given => {
    const prompt = typeof prompts === 'string' ? prompts : (prompts[i] ?? '')
    const own = (text: string): string => (lowercase ? text.toLowerCase() : text)
    return { input: typeof input === 'string' ? own(input) : input, prompt: own(prompt), field: options.field(i) }
  })
  const read = given.flatMap(({ input, prompt }) => (typeof input === 'string' ? [prompt + input] : []))
  const count = new TokenCount(limits)
  const texts = await reader.perform(
    read,
    reader.maxTokens,
    encodings(given, { truncate: options.truncate ?? true, side: sideOf(options, reader) }, reader, manifest, count),
  )
  const vectors = new Array<T>(texts.length)
  let elements = 0
  await runInBatches(texts, tokenizer.padId, model, limits, run, (outputs, places) => {
    const rows = rowsOf(outputs, output.name, places.length, manifest)
    for (const [row, place] of places.entries()) {
      const values = rows.values.subarray(row * rows.stride, (row + 1) * rows.stride)
      const own = rows.pooled ? undefined : (texts[place]?.ids.length ?? 0)
      if (own !== undefined && own * rows.width > rows.stride) throw unfitOutput(manifest)
      const vector = make(values, own, rows.width, texts[place]?.skipped ?? 0)
      vectors[place] = vector
      elements += vector instanceof Float32Array ? vector.length : vector.values.length
    }
    assertAnswerFits(elements, limits)
  })
  return { vectors, tokens: count.total }
}

interface Cutting {
  /** Whether a text that is too long is cut, and not refused. */
  readonly truncate: boolean
  readonly side: CutSide
}

function sideOf({ truncation_direction: asked }: EmbeddingParameters, { side }: TextReader): CutSide {
  if (asked === undefined) return side
  return asked.toLowerCase() === 'left' ? 'left' : 'right'
}

/** What one vector is made of. */
interface Given {
  readonly input: EmbeddingInput
  readonly prompt: string
  readonly field: string
}

interface Encoded extends EncodedText {
  /** Leading tokens that take no part in the mean: those of a prompt, where it does not count. */
  readonly skipped: number
}

/** @throws input_too_large, empty_input, invalid_request */
function* encodings(
  given: readonly Given[],
  cutting: Cutting,
  reader: TextReader,
  manifest: Manifest,
  count: TokenCount,
): Work<Encoded[]> {
  const { includePrompt = true } = settingsOf(manifest)
  const promptLengths = new Map<string, number>()
  const encoded: Encoded[] = []
  for (const each of given) {
    const { field, input, prompt } = each
    if (typeof input !== 'string') {
      encoded.push({ ...fromIds(input, field, reader), skipped: 0 })
    } else {
      const text = yield* encode(input, each, cutting, reader, manifest)
      if (!includePrompt && prompt !== '' && !promptLengths.has(prompt)) {
        promptLengths.set(prompt, yield* promptLength(prompt, field, reader))
      }
      encoded.push({ ...text, skipped: includePrompt ? 0 : (promptLengths.get(prompt) ?? 0) })
    }
    count.add(encoded.at(-1)?.ids.length ?? 0)
  }
  return encoded
}

/** Token ids as they came. @throws input_too_large, invalid_request for a number that is no token's */
function fromIds(ids: readonly number[], field: string, { maxTokens, tokenizer }: TextReader): EncodedText {
  if (ids.length > maxTokens) throw tooManyTokens(field, maxTokens)
  const wrong = ids.find((id) => !tokenizer.knows(id))
  if (wrong !== undefined) {
    throw new VergeError('invalid_request', `"${field}" contains ${wrong}, which is not a token id of this model.`, {
      details: { field },
    })
  }
  return { ids, typeIds: ids.map(() => 0) }
}

function* encode(
  input: string,
  { field, prompt }: Given,
  { side, truncate }: Cutting,
  reader: TextReader,
  manifest: Manifest,
): Work<EncodedText> {
  const { maxTokens, tokenizer } = reader
  const room = Math.max(0, maxTokens - tokenizer.specialTokens(false))
  const { dropUnknown = false } = settingsOf(manifest)
  const tokens = (text: string, wanted: number): Work<TextToken[]> =>
    dropUnknown ? knownTokens(reader, text, wanted, field, side) : reader.read(text, wanted, field, side)
  const own = yield* tokens(prompt + input, truncate ? room : room + 1)
  if (own.length > room) throw tooManyTokens(field, maxTokens)
  // A prompt hardly has more tokens than characters: with more of them, there is something of the text.
  if (own.length <= prompt.length && (yield* tokens(input, 1)).length === 0) throw emptyText(field)
  return tokenizer.frame(own)
}

/** Tokens that a prompt has alone, with the special ones but for a last one, as sentence-transformers counts them. */
function* promptLength(prompt: string, field: string, reader: TextReader): Work<number> {
  const { tokens } = yield* reader.encode(prompt, field)
  return tokens.at(-1) === undefined ? Math.max(0, tokens.length - 1) : tokens.length
}

/** The first tokens that the vocabulary has. More are asked for until enough of them are known, or there are no more. */
function* knownTokens(reader: TextReader, text: string, most: number, field: string, side: CutSide): Work<TextToken[]> {
  const { tokenizer } = reader
  for (let asked = most; ; asked *= 4) {
    const tokens = yield* reader.read(text, asked, field, side)
    const known = tokens.filter(({ id }) => id !== tokenizer.unknownId)
    if (known.length < most && tokens.length >= asked) continue
    return side === 'right' ? known.slice(0, most) : known.slice(Math.max(0, known.length - most))
  }
}

/** @throws input_too_large */
function assertAnswerFits(elements: number, { jsonOutputElements }: Limits): void {
  if (elements <= jsonOutputElements) return
  throw new VergeError(
    'input_too_large',
    `The answer would have more than ${jsonOutputElements} numbers. Send the texts in several requests.`,
    { details: { limit_elements: jsonOutputElements } },
  )
}
