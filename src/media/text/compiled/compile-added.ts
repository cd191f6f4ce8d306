import { isTokenId, type TokenizerConfig } from '../config.ts'
import { type Normalizer, normalized } from '../normalize.ts'
import { ADDED } from './added-table.ts'
import { ADDED_SECTIONS, SEARCHED_SECTIONS, type SearchedSections, type SectionEntry } from './format.ts'
import { TextTableWriter } from './texts.ts'
import { buildTrie } from './trie-builder.ts'

interface Searched {
  readonly text: string
  /** In the list of all. */
  readonly place: number
}

/** The sections of a file's `added_tokens`. @throws Error for one without a text or a number */
export function compileAdded(declared: readonly TokenizerConfig[], normalizer: Normalizer): SectionEntry[] {
  const texts = new TextTableWriter()
  const info: number[] = []
  const before: Searched[] = []
  const after: Searched[] = []
  for (const [place, token] of declared.entries()) {
    const { content, id } = token
    if (typeof content !== 'string' || !isTokenId(id)) throw new Error('an added token lacks id or content')
    texts.add(content)
    info.push(id, flagsOf(token))
    const isNormalized = token.normalized ?? token.special !== true
    const text = isNormalized ? normalized(normalizer, content) : content
    if (text !== '') (isNormalized ? after : before).push({ text, place })
  }
  const { bytes, offsets } = texts.finish()
  return [
    [ADDED_SECTIONS.bytes, bytes],
    [ADDED_SECTIONS.offsets, offsets],
    [ADDED_SECTIONS.info, Int32Array.from(info)],
    ...searched(before, SEARCHED_SECTIONS.before),
    ...searched(after, SEARCHED_SECTIONS.after),
  ]
}

function searched(tokens: readonly Searched[], numbers: SearchedSections): SectionEntry[] {
  if (tokens.length === 0) return []
  const writer = new TextTableWriter()
  for (const { text } of tokens) writer.add(text)
  const texts = writer.finish()
  return [
    [numbers.bytes, texts.bytes],
    [numbers.offsets, texts.offsets],
    [numbers.places, Int32Array.from(tokens, ({ place }) => place)],
    [numbers.trie, buildTrie(texts).units],
  ]
}

function flagsOf(token: TokenizerConfig): number {
  return (
    (token.special === true ? ADDED.special : 0) |
    (token.single_word === true ? ADDED.singleWord : 0) |
    (token.lstrip === true ? ADDED.takesSpaceBefore : 0) |
    (token.rstrip === true ? ADDED.takesSpaceAfter : 0)
  )
}
