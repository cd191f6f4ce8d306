import { isConfig, isTokenId, type TokenizerConfig } from '../config.ts'
import { SECTION, type SectionEntry } from './format.ts'
import { buildMerges } from './merge-table.ts'
import { Pieces } from './pieces.ts'
import type { ModelProgram } from './program.ts'
import { buildHash } from './text-hash.ts'
import { type TextTable, TextTableWriter } from './texts.ts'
import { buildTrie } from './trie-builder.ts'

export interface CompiledModel {
  readonly program: ModelProgram
  readonly pieces: Pieces
  readonly sections: readonly SectionEntry[]
}

/** As the Rust library has it where a file does not say. */
const MOST_CHARACTERS = 100
/** What is not known costs so much more than the rarest piece, as SentencePiece has it. */
const UNKNOWN_PENALTY = 10

/** The `model` of a `tokenizer.json`. @throws Error if it is damaged, or of a kind that is not known */
export function compileModel(model: TokenizerConfig): CompiledModel {
  const texts = textsOf(model.vocab)
  const own: SectionEntry[] = [
    [SECTION.pieceBytes, texts.bytes],
    [SECTION.pieceOffsets, texts.offsets],
  ]
  const type = modelTypeOf(model)
  switch (type) {
    case 'WordPiece': {
      const { pieces, section } = withTrie(texts)
      return { program: wordPiece(model, pieces), pieces, sections: [...own, section] }
    }
    case 'Unigram': {
      const { pieces, section } = withTrie(texts)
      const scores = scoresOf(model)
      return { program: unigram(model, scores), pieces, sections: [...own, section, scoreSection(scores)] }
    }
    case 'BPE': {
      const { pieces, section } = withHash(texts)
      const learned = mergesOf(model, pieces)
      const { merges, slots } = buildMerges(learned.numbers)
      const sections: SectionEntry[] = [
        [SECTION.merges, merges],
        [SECTION.mergeSlots, slots],
      ]
      return { program: bytePair(model, pieces, learned.joins), pieces, sections: [...own, section, ...sections] }
    }
    case 'WordLevel': {
      const { pieces, section } = withHash(texts)
      return { program: { type: 'WordLevel', unknown: unknownOf(model, pieces) }, pieces, sections: [...own, section] }
    }
    default:
      throw new Error(`Unknown model type: ${String(type)}`)
  }
}

/** Old files leave the type out. */
export function modelTypeOf({ continuing_subword_prefix: prefix, merges, type, vocab }: TokenizerConfig): unknown {
  if (type !== undefined && type !== null) return type
  if (Array.isArray(vocab)) return 'Unigram'
  if (Array.isArray(merges) && isConfig(vocab)) return 'BPE'
  return prefix === undefined ? 'WordLevel' : 'WordPiece'
}

function withTrie(texts: TextTable): { readonly pieces: Pieces; readonly section: SectionEntry } {
  const trie = buildTrie(texts)
  return { pieces: new Pieces(texts, trie), section: [SECTION.pieceTrie, trie.units] }
}

function withHash(texts: TextTable): { readonly pieces: Pieces; readonly section: SectionEntry } {
  const hash = buildHash(texts)
  return { pieces: new Pieces(texts, hash), section: [SECTION.pieceSlots, hash.slots] }
}

/** The vocabulary: an object of numbers by texts, or, of a Unigram model, a list of [text, score]. */
function textsOf(vocab: unknown): TextTable {
  if (!isConfig(vocab) && !Array.isArray(vocab)) throw new Error('the model has no vocabulary')
  const texts = Array.isArray(vocab) ? vocab.map(textIn) : byNumber(vocab)
  if (texts.length === 0) throw new Error('the vocabulary is empty')
  const writer = new TextTableWriter()
  // `for` also visits the numbers that have no text.
  for (const text of texts) writer.add(text)
  return writer.finish()
}

/** Numbers may be missing, but those that are there lie close together. */
const MOST_HOLES = 65_536

function byNumber(vocab: TokenizerConfig): (string | undefined)[] {
  const entries = Object.entries(vocab)
  const texts: (string | undefined)[] = []
  for (const [text, id] of entries) {
    if (!isTokenId(id)) throw new Error(`the vocabulary has no number for ${shown(text)}`)
    if (id >= 4 * entries.length + MOST_HOLES) {
      throw new Error(`the vocabulary has ${entries.length} tokens, and the number ${id} for ${shown(text)}`)
    }
    if (texts[id] !== undefined) throw new Error(`the vocabulary has the number ${id} twice, for ${shown(text)} too`)
    texts[id] = text
  }
  return texts
}

function shown(text: string): string {
  return JSON.stringify(text).slice(0, 80)
}

function textIn(entry: unknown): string {
  const text: unknown = Array.isArray(entry) ? entry[0] : undefined
  if (typeof text !== 'string') throw new Error('the vocabulary has an entry without a text')
  return text
}

function unknownOf({ unk_token: token }: TokenizerConfig, pieces: Pieces): number | undefined {
  return typeof token === 'string' ? pieces.idOf(token) : undefined
}

function wordPiece(model: TokenizerConfig, pieces: Pieces): ModelProgram {
  const { continuing_subword_prefix: prefix = '##', max_input_chars_per_word: most = MOST_CHARACTERS } = model
  if (typeof most !== 'number' || typeof prefix !== 'string') {
    throw new Error('a WordPiece model has a limit or a prefix of the wrong type')
  }
  return { type: 'WordPiece', mostCharacters: most, prefix, unknown: unknownOf(model, pieces) }
}

/** What SentencePiece writes for a space. */
const MARK = '\u2581'
/** Marks in a token that do not begin it, nor follow another mark; a byte may stand for any character. */
const JOINED = new RegExp(`<0x[0-9A-F]{2}>${MARK}|[^${MARK}]${MARK}`, 'gu')
/** A few files have a few characters that are joined with a mark; more are no exceptions. */
const MOST_JOINS = 32

/** @param joins what merges join with a mark behind it */
function bytePair(model: TokenizerConfig, pieces: Pieces, joins: ReadonlySet<string>): ModelProgram {
  const prefix = stringOr(model.continuing_subword_prefix)
  const suffix = stringOr(model.end_of_word_suffix)
  const wholeWords = model.ignore_merges === true
  const exceptions = [...joins].every((each) => each.length === 1) && joins.size <= MOST_JOINS
  const divides = exceptions && !wholeWords && prefix === '' && suffix === '' && pieces.idOf(MARK) !== undefined
  return {
    type: 'BPE',
    prefix,
    suffix,
    mark: divides ? MARK : undefined,
    joinsMark: divides ? [...joins].join('') : '',
    unknown: unknownOf(model, pieces),
    fusesUnknown: model.fuse_unk === true,
    writesBytes: model.byte_fallback === true,
    wholeWords,
  }
}

function stringOr(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** Three numbers for each merge, and what they join with a mark behind it. @throws Error for a merge of what the vocabulary lacks, as the Rust library does */
function mergesOf({ continuing_subword_prefix: prefix, merges }: TokenizerConfig, pieces: Pieces) {
  if (!Array.isArray(merges)) throw new Error('a BPE model has no list of merges')
  const cut = typeof prefix === 'string' ? prefix.length : 0
  const numbers = new Int32Array(3 * merges.length)
  const joins = new Set<string>()
  for (const [rank, merge] of merges.entries()) {
    const pair: unknown = typeof merge === 'string' ? merge.split(' ') : merge
    const [left, right, more] = Array.isArray(pair) ? (pair as unknown[]) : []
    if (typeof left !== 'string' || typeof right !== 'string' || more !== undefined) {
      throw new Error(`merge ${rank} does not have two tokens`)
    }
    const whole = left + right.slice(cut)
    for (const [joined] of whole.includes(MARK, 1) ? whole.matchAll(JOINED) : []) joins.add(joined.slice(0, -1))
    const ids = [left, right, whole].map((text) => pieces.idOf(text))
    if (ids.includes(undefined)) throw new Error(`merge ${rank} has tokens that are not in the vocabulary`)
    numbers.set(ids as number[], 3 * rank)
  }
  return { numbers, joins }
}

function unigram(model: TokenizerConfig, scores: readonly number[]): ModelProgram {
  const least = scores.reduce((so, score) => Math.min(so, score), Number.POSITIVE_INFINITY)
  return {
    type: 'Unigram',
    unknown: unknownNumber(model, scores.length),
    unknownScore: least - UNKNOWN_PENALTY,
    writesBytes: model.byte_fallback === true,
  }
}

function unknownNumber({ unk_id: id }: TokenizerConfig, count: number): number | undefined {
  // A file says null where there is none.
  if (id === undefined || id === null) return undefined
  if (!isTokenId(id) || id >= count) throw new Error('unk_id is not in the vocabulary')
  return id
}

function scoresOf({ vocab }: TokenizerConfig): number[] {
  if (!Array.isArray(vocab)) throw new Error('a Unigram model has no list of pieces')
  return vocab.map((entry: unknown) => {
    const score: unknown = Array.isArray(entry) ? entry[1] : undefined
    if (typeof score !== 'number' || !Number.isFinite(score)) {
      throw new Error('a Unigram model has a piece without a score')
    }
    return score
  })
}

/** SentencePiece keeps scores in 32 bits, which are half the bytes; others may need all of them. */
function scoreSection(scores: readonly number[]): SectionEntry {
  return scores.every((score) => Math.fround(score) === score)
    ? [SECTION.scores32, Float32Array.from(scores)]
    : [SECTION.scores64, Float64Array.from(scores)]
}
