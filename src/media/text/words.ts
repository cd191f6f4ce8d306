import { BPE, type Tokenizer, Unigram, WordPiece } from '@huggingface/tokenizers'
import type { Config } from './config.ts'

/** A token within a word. */
export interface Piece {
  /** Undefined where the vocabulary has no token for what it does not know. */
  readonly id: number | undefined
  /** UTF-16 units [start, end) of the word. */
  readonly start: number
  readonly end: number
}

/** One word (what a pre-tokeniser made) to tokens that cover it from its beginning to its end. */
export type WordModel = (word: string) => Piece[]

/**
 * The model of a tokeniser. Vocabulary, merges and trie are the library's; here the pieces are found with their
 * places, which the library forgets.
 * @throws Error for a model that the library does not know
 */
export function wordModelOf(model: Tokenizer['model'], config: Config): WordModel {
  if (model instanceof WordPiece) return wordPiece(model)
  if (model instanceof BPE) return bytePair(model)
  if (model instanceof Unigram) return unigram(model, config.byte_fallback === true)
  if (model === null) throw new Error('the tokeniser has no model')
  // WordLevel: a word is a token.
  const ids = model.tokens_to_ids
  const unknown = typeof config.unk_token === 'string' ? ids.get(config.unk_token) : undefined
  return (word) => [{ id: ids.get(word) ?? unknown, start: 0, end: word.length }]
}

/** Greedy, longest piece first. */
function wordPiece(model: WordPiece): WordModel {
  const ids = model.tokens_to_ids
  const prefix = model.config.continuing_subword_prefix ?? '##'
  return (word) => {
    const unknown = [{ id: model.unk_token_id, start: 0, end: word.length }]
    if (longerThan(word, model.max_input_chars_per_word)) return unknown
    const pieces: Piece[] = []
    for (let start = 0; start < word.length; ) {
      let end = word.length
      let id: number | undefined
      for (; end > start; end--) {
        if (splitsCharacter(word, end)) continue
        const text = word.slice(start, end)
        id = ids.get(start === 0 ? text : prefix + text)
        if (id !== undefined) break
      }
      if (id === undefined) return unknown
      pieces.push({ id, start, end })
      start = end
    }
    return pieces
  }
}

function longerThan(word: string, characters: number): boolean {
  if (word.length <= characters) return false
  let count = 0
  for (const _ of word) if (++count > characters) return true
  return false
}

function splitsCharacter(text: string, at: number): boolean {
  const before = text.charCodeAt(at - 1)
  const after = text.charCodeAt(at)
  return before >= 0xd800 && before <= 0xdbff && after >= 0xdc00 && after <= 0xdfff
}

function bytePair(model: BPE): WordModel {
  const ids = model.tokens_to_ids
  const bytes = model.byte_fallback ? byteIds(ids) : undefined
  const [endMark, insideMark] = [model.end_of_word_suffix ?? '', model.continuing_subword_suffix ?? '']
  return (word) => {
    const whole = model.ignore_merges ? ids.get(word) : undefined
    if (whole !== undefined) return [{ id: whole, start: 0, end: word.length }]
    const pieces: Piece[] = []
    const parts = model.bpe(word)
    let start = 0
    for (const [i, part] of parts.entries()) {
      const mark = i === parts.length - 1 ? endMark : insideMark
      const end = start + part.length - mark.length
      addPieces(pieces, ids.get(part), word, start, end, { bytes, unknown: model.unk_token_id, fuse: model.fuse_unk })
      start = end
    }
    return pieces
  }
}

interface Unknown {
  /** Ids of the 256 tokens for bytes, where the model writes with them what it does not know. */
  readonly bytes: readonly number[] | undefined
  readonly unknown: number | undefined
  /** What is unknown side by side is one token. */
  readonly fuse: boolean
}

function addPieces(
  pieces: Piece[],
  id: number | undefined,
  word: string,
  start: number,
  end: number,
  { bytes, unknown, fuse }: Unknown,
): void {
  if (id !== undefined) {
    pieces.push({ id, start, end })
  } else if (bytes !== undefined) {
    for (const byte of utf8.encode(word.slice(start, end))) pieces.push({ id: bytes[byte], start, end })
  } else {
    const last = pieces.at(-1)
    if (fuse && last !== undefined && last.id === unknown) pieces[pieces.length - 1] = { ...last, end }
    else pieces.push({ id: unknown, start, end })
  }
}

const utf8 = new TextEncoder()

/** Undefined if one of the 256 is missing: then what is not known is the unknown token. */
function byteIds(ids: ReadonlyMap<string, number>): number[] | undefined {
  const found = Array.from({ length: 256 }, (_, byte) =>
    ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
  ).filter((id) => id !== undefined)
  return found.length === 256 ? found : undefined
}

/**
 * The most likely pieces by their scores (Viterbi). Kudo, "Subword Regularization", 2018; what is not known costs ten
 * more than the rarest piece, as SentencePiece has it.
 */
function unigram(model: Unigram, byteFallback: boolean): WordModel {
  const ids = model.tokens_to_ids
  const bytes = byteFallback ? byteIds(ids) : undefined
  // A file says null where there is none.
  const unknown = model.unk_token_id ?? undefined
  return (word) => {
    const best = new Float64Array(word.length + 1).fill(Number.NEGATIVE_INFINITY)
    const from = new Int32Array(word.length + 1)
    const token = new Int32Array(word.length + 1).fill(-1)
    best[0] = 0
    for (let start = 0; start < word.length; ) {
      const width = splitsCharacter(word, start + 1) ? 2 : 1
      const soFar = best[start] ?? 0
      const offer = (end: number, id: number, score: number): void => {
        if (soFar + score <= (best[end] ?? 0)) return
        best[end] = soFar + score
        from[end] = start
        token[end] = id
      }
      let single = false
      let node = model.trie.root
      for (let end = start; end < word.length; ) {
        const next = end + (splitsCharacter(word, end + 1) ? 2 : 1)
        const child = node.children.get(word.slice(end, next))
        if (child === undefined) break
        end = next
        node = child
        if (!node.is_leaf) continue
        const id = ids.get(word.slice(start, end)) ?? -1
        offer(end, id, model.scores[id] ?? model.unk_score)
        if (end === start + width) single = true
      }
      if (!single) offer(start + width, -1, model.unk_score)
      start += width
    }
    const cuts: number[] = []
    for (let end = word.length; end > 0; end = from[end] ?? 0) cuts.push(end)
    const pieces: Piece[] = []
    for (const end of cuts.reverse()) {
      const id = token[end] ?? -1
      const known = id === -1 || id === unknown ? undefined : id
      addPieces(pieces, known, word, from[end] ?? 0, end, { bytes, unknown, fuse: true })
    }
    return pieces
  }
}
