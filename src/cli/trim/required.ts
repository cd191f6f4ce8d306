import { configsOf, isConfig, isTokenId, type TokenizerConfig } from '../../media/text/config.ts'
import type { TextTokenizer } from '../../media/text/tokenizer.ts'
import type { Vocabulary } from './vocabulary.ts'

/**
 * The numbers of pieces without which a tokenizer cannot encode every text as its file says: added tokens, the tokens
 * around texts and of padding, the unknown token, bytes, the characters of ASCII, and all characters where nothing else
 * stands for them.
 */
export function requiredIds(vocabulary: Vocabulary, tokenizer: TextTokenizer): Set<number> {
  const { added, byteLevel, file, idOf, kind, model, scores, texts } = vocabulary
  const ids = new Set<number>(added.keys())
  const add = (id: unknown): void => {
    if (isTokenId(id) && (texts[id] !== undefined || added.has(id))) ids.add(id)
  }
  for (const id of framedIds(file.post_processor, idOf)) add(id)
  add(tokenizer.padId)
  // Models put 0 where a mask hides a token.
  add(0)
  add(tokenizer.unknownId)
  if (isConfig(file.padding)) add(file.padding.pad_id)
  if (kind === 'Unigram') add(lowest(scores))
  const writesBytes = model.byte_fallback === true
  const hasUnknown = tokenizer.unknownId !== undefined && tokenizer.knows(tokenizer.unknownId)
  const replaced = hasUnknown || writesBytes || kind === 'WordLevel'
  for (const [id, text] of texts.entries()) {
    if (text === undefined) continue
    if (writesBytes && /^<0x[0-9A-F]{2}>$/.test(text)) ids.add(id)
    const character = bareCharacter(text, vocabulary)
    if (character === undefined || kind === 'WordLevel') continue
    if (!replaced || byteLevel || /^[ -~]$/.test(character)) ids.add(id)
  }
  return ids
}

/** The character that a piece is, without what marks its place in a word; undefined for longer pieces. */
function bareCharacter(text: string, { prefix, suffix }: Vocabulary): string | undefined {
  const bare = bareText(text, prefix, suffix)
  const [first = ''] = bare
  return first !== '' && first.length === bare.length ? bare : undefined
}

/** A piece without what marks its place in a word. */
export function bareText(text: string, prefix: string, suffix: string): string {
  const from = prefix !== '' && text.length > prefix.length && text.startsWith(prefix) ? prefix.length : 0
  const to = suffix !== '' && text.length > from + suffix.length && text.endsWith(suffix) ? suffix.length : 0
  return text.slice(from, text.length - to)
}

function lowest(scores: readonly number[]): number {
  return scores.reduce((best, score, id) => (score < (scores[best] ?? 0) ? id : best), 0)
}

/** The special tokens of a post-processor. */
function framedIds(config: unknown, idOf: ReadonlyMap<string, number>): unknown[] {
  if (!isConfig(config)) return []
  const pair = (value: unknown): unknown => (Array.isArray(value) ? (value as unknown[])[1] : undefined)
  const named = [...configsOf(config.single), ...configsOf(config.pair)].map((item: TokenizerConfig) =>
    isConfig(item.SpecialToken) ? idOf.get(String(item.SpecialToken.id)) : undefined,
  )
  const declared = Object.values(isConfig(config.special_tokens) ? config.special_tokens : {})
  return [
    pair(config.cls),
    pair(config.sep),
    ...named,
    ...declared.flatMap((token): unknown[] => (isConfig(token) && Array.isArray(token.ids) ? token.ids : [])),
    ...configsOf(config.processors).flatMap((part) => framedIds(part, idOf)),
  ]
}
