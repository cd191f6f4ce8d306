import type { Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Work } from '../../core/work.ts'
import type { CutSide } from '../../media/text/cut.ts'
import type { EncodedText, TextToken } from '../../media/text/tokenizer.ts'
import type { TaskModel } from '../task.ts'
import { TokenCount } from '../text/batches.ts'
import type { InputText } from '../text/inputs.ts'
import { TextReader } from '../text/reading.ts'
import { emptyText, noRoom, tooManyTokens } from '../text/texts.ts'
import type { EmbeddingInput, EmbeddingOptions } from './embedding.ts'
import { settingsOf } from './embedding-output.ts'
import { askedPrompt, type Prompt } from './embedding-prompts.ts'

/** Tokens of one text among those of a sequence, [from, to). */
export interface Part {
  /** The text's place in the request. */
  readonly place: number
  readonly from: number
  readonly to: number
  /** The first tokens of these take no part in the mean: those of a prompt, where it does not count. */
  readonly skipped: number
  /** Whether it was asked for as what is looked for, and not as what is looked through. */
  readonly query: boolean
}

/** What the model reads as one: a text, or several whose tokens are to know of each other. */
export interface Sequence extends InputText {
  readonly parts: readonly Part[]
}

export interface ReadTexts {
  readonly sequences: readonly Sequence[]
  readonly padId: number
  /** Tokens of each text in the order of the request; with its special ones, where it is read alone. */
  readonly tokenCounts: readonly number[]
  /** Tokens of all sequences that the model attends to: what a query is filled up with counts only where it does. */
  readonly total: number
  /** Tokens without a meaning: the special ones, and the one for what is unknown. */
  readonly dropped: ReadonlySet<number>
}

/** What one vector is made of. */
interface Given {
  readonly input: EmbeddingInput
  readonly prompt: Prompt
  readonly field: string
  /** Most tokens of it that the request wants. */
  readonly maxTokens: number
}

interface Cutting {
  /** Whether a text that is too long is cut, and not refused. */
  readonly truncate: boolean
  readonly side: CutSide
}

/**
 * Reads texts into what the model is given of them.
 * @throws invalid_request, empty_input, input_too_large, manifest_invalid
 */
export async function readSequences(
  inputs: readonly EmbeddingInput[],
  options: EmbeddingOptions,
  model: TaskModel,
  limits: Limits,
): Promise<ReadTexts> {
  const { manifest } = model
  const asked = options.prompts === undefined ? askedPrompt(manifest, options) : { text: '' }
  const reader = await TextReader.open(model, limits)
  const { tokenizer } = reader
  const { lowercase = false } = settingsOf(manifest)
  const own = (text: string): string => (lowercase ? text.toLowerCase() : text)
  const given = inputs.map((input, i): Given => {
    const { text, ...prompt } = options.prompts?.[i] ?? asked
    return {
      input: typeof input === 'string' ? own(input) : input,
      prompt: { ...prompt, text: own(text) },
      field: options.field(i),
      maxTokens: Math.min(reader.maxTokens, options.maxTokens?.(i) ?? reader.maxTokens),
    }
  })
  const read = given.flatMap(({ input, prompt }) => (typeof input === 'string' ? [prompt.text + input] : []))
  const cutting = { truncate: options.truncate ?? true, side: sideOf(options, reader) }
  const count = new TokenCount(limits)
  const work = options.late_chunking
    ? oneSequence(given, reader, count)
    : ownSequences(given, cutting, reader, manifest, count)
  const sequences = await reader.perform(read, reader.maxTokens, work)
  const tokenCounts = new Array<number>(inputs.length).fill(0)
  for (const { parts } of sequences) for (const { from, place, to } of parts) tokenCounts[place] = to - from
  const { padId, special, unknownId } = tokenizer
  const dropped = new Set([...special, ...(unknownId === undefined ? [] : [unknownId])])
  const total = sequences.reduce((sum, { attended, ids }) => sum + (attended ?? ids.length), 0)
  return { sequences, padId, tokenCounts, total, dropped }
}

function sideOf({ truncation_direction: asked }: EmbeddingOptions, { side }: TextReader): CutSide {
  if (asked === undefined) return side
  return asked.toLowerCase() === 'left' ? 'left' : 'right'
}

/** @throws input_too_large, empty_input, invalid_request */
function* ownSequences(
  given: readonly Given[],
  cutting: Cutting,
  reader: TextReader,
  manifest: Manifest,
  count: TokenCount,
): Work<Sequence[]> {
  const { includePrompt = true, tokens } = settingsOf(manifest)
  const promptLengths = new Map<string, number>()
  const sequences: Sequence[] = []
  for (const [place, each] of given.entries()) {
    const { field, input, prompt } = each
    const query = tokens?.query !== undefined && prompt.name === tokens.query.prompt ? tokens.query : undefined
    let text: InputText
    let skipped = 0
    if (typeof input !== 'string') text = fromIds(input, field, reader)
    else {
      text = yield* encode(input, each, cutting, reader, manifest, query?.tokens)
      if (!includePrompt && prompt.text !== '') {
        if (!promptLengths.has(prompt.text)) {
          promptLengths.set(prompt.text, yield* promptLength(prompt.text, field, reader))
        }
        skipped = promptLengths.get(prompt.text) ?? 0
      }
    }
    if (query !== undefined) text = filledUp(text, query, reader.maxTokens)
    const part = { place, from: 0, to: text.ids.length, skipped, query: query !== undefined }
    sequences.push({ ...text, parts: [part] })
    count.add(text.ids.length)
  }
  return sequences
}

/** ColBERT's queries have one length: what a short one lacks is filled with a token whose vectors count. */
function filledUp(
  text: EncodedText,
  { attended = false, fill, tokens }: { attended?: boolean | undefined; fill: number; tokens: number },
  maxTokens: number,
): InputText {
  const lacking = Math.max(0, Math.min(tokens, maxTokens) - text.ids.length)
  return {
    ids: [...text.ids, ...new Array<number>(lacking).fill(fill)],
    typeIds: [...text.typeIds, ...new Array<number>(lacking).fill(0)],
    ...(!attended && { attended: text.ids.length }),
  }
}

/**
 * All texts as one, so that the vectors of each know of the others: the prompt stands once before the first, and each
 * text is tokenized by itself, so that every token belongs to one.
 * @throws input_too_large, empty_input, invalid_request
 */
function* oneSequence(given: readonly Given[], reader: TextReader, count: TokenCount): Work<Sequence[]> {
  const { maxTokens, tokenizer } = reader
  const room = Math.max(0, maxTokens - tokenizer.specialTokens(false))
  const tokens: TextToken[] = []
  const parts: Part[] = []
  for (const [place, { field, input, prompt }] of given.entries()) {
    if (typeof input !== 'string') {
      throw new VergeError('invalid_request', `"${field}" has token ids. Late chunking needs texts.`, {
        details: { field },
      })
    }
    if (place === 0 && prompt.text !== '') tokens.push(...(yield* reader.read(prompt.text, room, field, 'right')))
    const own = yield* reader.read(input, Math.max(0, room - tokens.length) + 1, field, 'right')
    if (own.length === 0) throw emptyText(field)
    if (tokens.length + own.length > room) throw tooManyTogether(field, maxTokens)
    parts.push({ place, from: tokens.length, to: tokens.length + own.length, skipped: 0, query: false })
    tokens.push(...own)
  }
  const { ids, texts, typeIds } = tokenizer.frame(tokens)
  count.add(ids.length)
  const first = texts.indexOf(0)
  const moved = parts.map((part) => ({ ...part, from: first + part.from, to: first + part.to }))
  return [{ ids, typeIds, parts: moved }]
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
  given: Given,
  { side, truncate }: Cutting,
  reader: TextReader,
  manifest: Manifest,
  most = reader.maxTokens,
): Work<EncodedText> {
  const { field, prompt } = given
  const { tokenizer } = reader
  const maxTokens = Math.min(most, given.maxTokens)
  const room = Math.max(0, maxTokens - tokenizer.specialTokens(false))
  if (room === 0) throw noRoom(field, maxTokens)
  const { dropUnknown = false } = settingsOf(manifest)
  const tokens = (text: string, wanted: number): Work<TextToken[]> =>
    dropUnknown ? knownTokens(reader, text, wanted, field, side) : reader.read(text, wanted, field, side)
  const own = yield* tokens(prompt.text + input, truncate ? room : room + 1)
  if (own.length > room) throw tooManyTokens(field, maxTokens)
  // A prompt hardly has more tokens than characters: with more of them, there is something of the text.
  if (own.length <= prompt.text.length && (yield* tokens(input, 1)).length === 0) throw emptyText(field)
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

function tooManyTogether(field: string, most: number): VergeError {
  return new VergeError(
    'input_too_large',
    `Late chunking reads all texts as one. Up to "${field}" they have more than ${most} tokens, the limit of this model. Send fewer texts, or leave out "late_chunking".`,
    { details: { field, limit_tokens: most } },
  )
}
