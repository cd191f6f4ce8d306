import type { Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Work } from '../../core/work.ts'
import type { Encoding, TextTokenizer } from '../../media/text/tokenizer.ts'
import { performed, type TaskModel } from '../task.ts'
import { TokenCount } from './batches.ts'
import { type Cutting, TextReader } from './reading.ts'
import { checkTexts, tooManyTokens } from './texts.ts'

/** A token as its tokenizer has it, and where it stands in its text. */
export interface TokenOfText {
  readonly id: number
  /** As the vocabulary writes it. */
  readonly piece: string
  readonly special: boolean
  /** UTF-16 units [start, end) of the text; undefined for a special token. */
  readonly place: readonly [number, number] | undefined
}

export interface TokenizeOptions extends Cutting {
  /** Whether the special tokens stand around each text that the tokenizer puts there. */
  readonly addSpecial: boolean
  /** The request's field that a text stands in, for messages. */
  readonly field: (place: number) => string
}

interface Tokenizing {
  readonly model: TaskModel
  readonly limits: Limits
}

/**
 * The tokens of each text. Without `maxTokens` they are all that there are, bounded by the tokens of a request.
 * @throws task_mismatch for a model without a tokenizer, input_too_large, empty_input
 */
export async function tokenizeTexts(
  texts: readonly string[],
  options: TokenizeOptions,
  { model, limits }: Tokenizing,
): Promise<readonly (readonly TokenOfText[])[]> {
  assertTokenizer(model.manifest)
  checkTexts(texts, options.field, limits)
  const reader = await TextReader.open(model, limits)
  const { lowercase = false } = model.manifest.embedding ?? {}
  const own = lowercase ? texts.map((text) => text.toLowerCase()) : texts
  const most = options.maxTokens ?? limits.embeddingTokens + 1
  const places = new PlaceRoom(limits)
  return reader.perform(own, most, tokens(own, options, most, reader, new TokenCount(limits), places))
}

/** Times that a unit of a text may lie in a token's place: a character has up to four bytes, each of which may be one. */
const MOST_OVERLAP = 4

/**
 * Bounds what the places of tokens hold together. The bytes of one long unknown word all have the whole word as their
 * place: written out for each of them, a text would be thousands of times as long.
 */
class PlaceRoom {
  #left: number

  constructor({ textLengthTogether }: Limits) {
    this.#left = MOST_OVERLAP * textLengthTogether
  }

  /** @throws input_too_large */
  take(units: number, field: string): void {
    this.#left -= units
    if (this.#left >= 0) return
    throw new VergeError('input_too_large', `"${field}" has a word of too many tokens. Send a shorter text.`, {
      details: { field },
    })
  }
}

function* tokens(
  texts: readonly string[],
  { addSpecial, field, side = 'right', truncate = true }: TokenizeOptions,
  most: number,
  reader: TextReader,
  count: TokenCount,
  places: PlaceRoom,
): Work<TokenOfText[][]> {
  const { tokenizer } = reader
  const room = Math.max(0, most - (addSpecial ? tokenizer.specialTokens(false) : 0))
  const all: TokenOfText[][] = []
  for (const [i, text] of texts.entries()) {
    const read = yield* reader.read(text, truncate ? room : room + 1, field(i), side)
    if (read.length > room) throw tooManyTokens(field(i), most)
    const framed = addSpecial ? tokenizer.frame(read) : bare(read)
    count.add(framed.ids.length)
    for (const token of read) places.take(token.end - token.start, field(i))
    all.push(describe(framed, tokenizer))
  }
  return all
}

function bare(tokens: readonly NonNullable<Encoding['tokens'][number]>[]): Pick<Encoding, 'ids' | 'tokens'> {
  return { ids: tokens.map(({ id }) => id), tokens }
}

function describe({ ids, tokens }: Pick<Encoding, 'ids' | 'tokens'>, tokenizer: TextTokenizer): TokenOfText[] {
  return ids.map((id, i) => {
    const token = tokens[i]
    return {
      id,
      piece: tokenizer.tokenText(id),
      special: token === undefined,
      place: token === undefined ? undefined : ([token.start, token.end] as const),
    }
  })
}

export interface DecodeOptions {
  readonly skipSpecial: boolean
  readonly field: (place: number) => string
}

/**
 * The text of each list of token ids, as the tokenizer's decoder joins them.
 * @throws task_mismatch for a model without a tokenizer, input_too_large, empty_input, invalid_request for an id that
 *   is no token's
 */
export async function decodeTokens(
  lists: readonly (readonly number[])[],
  { field, skipSpecial }: DecodeOptions,
  { model, limits }: Tokenizing,
): Promise<readonly string[]> {
  assertTokenizer(model.manifest)
  const count = new TokenCount(limits)
  for (const [i, ids] of lists.entries()) {
    if (ids.length === 0) {
      throw new VergeError('empty_input', `"${field(i)}" contains no token ids. Send some.`, {
        details: { field: field(i) },
      })
    }
    count.add(ids.length)
  }
  const { tokenizer } = await TextReader.open(model, limits)
  return performed(model, decoded(lists, skipSpecial, field, tokenizer))
}

/** Tokens of one list, between two turns of the event loop. */
const STEPS_PER_TOKEN = 2_000

function* decoded(
  lists: readonly (readonly number[])[],
  skipSpecial: boolean,
  field: (place: number) => string,
  tokenizer: TextTokenizer,
): Work<string[]> {
  const texts: string[] = []
  for (const [i, ids] of lists.entries()) {
    const wrong = ids.find((id) => !tokenizer.knows(id))
    if (wrong !== undefined) {
      throw new VergeError(
        'invalid_request',
        `"${field(i)}" contains ${wrong}, which is not a token id of this model.`,
        {
          details: { field: field(i) },
        },
      )
    }
    const kept = skipSpecial ? ids.filter((id) => !tokenizer.special.has(id)) : ids
    texts.push(tokenizer.join(kept.map((id) => tokenizer.tokenText(id))))
    yield ids.length * STEPS_PER_TOKEN
  }
  return texts
}

/** @throws task_mismatch */
function assertTokenizer(manifest: Manifest): void {
  if (TextReader.files(manifest).some(({ name }) => Object.hasOwn(manifest.files ?? {}, name))) return
  throw new VergeError(
    'task_mismatch',
    `Model "${manifest.model}" has no tokenizer. GET /models lists the models with their tasks.`,
    { details: { field: 'model' } },
  )
}
