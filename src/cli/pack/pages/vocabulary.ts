import { VergeError } from '../../../core/errors.ts'
import { decodeUtf8 } from '../../../core/json.ts'
import { BYTES } from '../../../media/text/bytes.ts'

/** What a `tokenizer.json` says of how often its tokens come. */
export interface Vocabulary {
  /** By number: the token as text, without marks for bytes; undefined where there is none. */
  readonly texts: readonly (string | undefined)[]
  /** By number: the smaller, the more often it is expected. */
  readonly ranks: Float64Array
}

/** So many tokens that no merge makes are letters or bytes, which come often; more are characters, by how often they come. */
const ALPHABET = 512

type Json = Readonly<Record<string, unknown>>

/**
 * Reads tokens and their order from the model of a tokenizer that Verge can use.
 * @throws manifest_invalid
 */
export function readVocabulary(bytes: Uint8Array): Vocabulary {
  const file = objectOf(parsed(bytes))
  const model = objectOf(file.model)
  const { vocab } = model
  const texts: (string | undefined)[] = []
  if (Array.isArray(vocab)) for (const entry of vocab) texts.push(String((entry as unknown[])[0]))
  else for (const [text, id] of Object.entries(objectOf(vocab))) texts[id as number] = text
  const ranks = Array.isArray(vocab) ? ranksByScore(vocab) : ranksByMerge(texts, model.merges)
  const decode = isByteLevel(file) ? byteLevelText : plainText
  return { texts: Array.from(texts, (text) => (text === undefined ? undefined : decode(text))), ranks }
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decodeUtf8(bytes) ?? '')
  } catch (error) {
    throw new VergeError('manifest_invalid', "The model's tokenizer.json is not JSON. Save it again.", {
      cause: error,
    })
  }
}

function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {}
}

/** Scores of a Unigram model are logarithms of how often a token comes. */
function ranksByScore(vocab: readonly unknown[]): Float64Array {
  return Float64Array.from(vocab, (entry) => -Number((entry as unknown[])[1]))
}

/**
 * Merges are learned by how often they come. What no merge makes are letters, which stand first, and the characters of
 * large writing systems, which are spread among the merges. Without merges, a vocabulary is written by how often tokens come.
 */
function ranksByMerge(texts: readonly (string | undefined)[], merges: unknown): Float64Array {
  const ranks = Float64Array.from(texts, (_, id) => id)
  if (!Array.isArray(merges)) return ranks
  const rankOf = new Map<string, number>()
  for (const [rank, merge] of merges.entries()) {
    const whole = typeof merge === 'string' ? merge.replace(' ', '') : (merge as string[]).join('')
    if (!rankOf.has(whole)) rankOf.set(whole, rank)
  }
  const unmerged = texts.flatMap((text, id) => (text === undefined || rankOf.has(text) ? [] : [id]))
  for (const [id, text] of texts.entries()) ranks[id] = rankOf.get(text ?? '') ?? 0
  const apart = merges.length / Math.max(1, unmerged.length - ALPHABET)
  for (const [place, id] of unmerged.entries()) ranks[id] = place < ALPHABET ? -1 : (place - ALPHABET) * apart
  return ranks
}

/** What SentencePiece writes for a space, and WordPiece before parts of words. */
const MARKS = /^(?:\u2581+|##)/u

function plainText(text: string): string {
  return text.replace(MARKS, '')
}

function isByteLevel(file: Json): boolean {
  const parts = [file.pre_tokenizer, file.decoder].map((part) => JSON.stringify(part ?? null))
  return parts.some((part) => part.includes('"ByteLevel"'))
}

const utf8 = new TextDecoder()

/** Characters that a token has whole. */
function byteLevelText(text: string): string {
  return utf8.decode(Uint8Array.from(text, (letter) => BYTES.get(letter) ?? 0x20)).replaceAll('\ufffd', '')
}
