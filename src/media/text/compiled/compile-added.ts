import { isTokenId, type TokenizerConfig } from '../config.ts'
import { type Normalizer, normalized } from '../normalize.ts'
import { ADDED } from './added-table.ts'
import { ADDED_SECTIONS, type AddedSections, type SectionEntry } from './format.ts'
import { TextTableWriter } from './texts.ts'
import { buildTrie } from './trie-builder.ts'

interface AddedToken {
  readonly id: number
  readonly content: string
  readonly flags: number
}

/** The sections of a file's `added_tokens`. @throws Error for one without a text or a number */
export function compileAdded(declared: readonly TokenizerConfig[], normalizer: Normalizer): SectionEntry[] {
  const all: AddedToken[] = []
  const before: AddedToken[] = []
  const after: AddedToken[] = []
  for (const token of declared) {
    const { content, id } = token
    if (typeof content !== 'string' || !isTokenId(id)) throw new Error('an added token lacks id or content')
    const isNormalized = token.normalized ?? token.special !== true
    const own = { id, content, flags: flagsOf(token) }
    all.push(own)
    const text = isNormalized ? normalized(normalizer, content) : content
    if (text !== '') (isNormalized ? after : before).push({ ...own, content: text })
  }
  const { written } = ADDED_SECTIONS
  const table = tableOf(all)
  return [
    [written.bytes, table.texts.bytes],
    [written.offsets, table.texts.offsets],
    [written.info, table.info],
    ...searched(before, ADDED_SECTIONS.before),
    ...searched(after, ADDED_SECTIONS.after),
  ]
}

function searched(tokens: readonly AddedToken[], numbers: AddedSections): SectionEntry[] {
  if (tokens.length === 0) return []
  const { info, texts } = tableOf(tokens)
  return [
    [numbers.bytes, texts.bytes],
    [numbers.offsets, texts.offsets],
    [numbers.info, info],
    [numbers.trie, buildTrie(texts).units],
  ]
}

function tableOf(tokens: readonly AddedToken[]) {
  const writer = new TextTableWriter()
  for (const { content } of tokens) writer.add(content)
  return { texts: writer.finish(), info: Int32Array.from(tokens.flatMap(({ flags, id }) => [id, flags])) }
}

function flagsOf(token: TokenizerConfig): number {
  return (
    (token.special === true ? ADDED.special : 0) |
    (token.single_word === true ? ADDED.singleWord : 0) |
    (token.lstrip === true ? ADDED.takesSpaceBefore : 0) |
    (token.rstrip === true ? ADDED.takesSpaceAfter : 0)
  )
}
