import { type Aligned, sliceOf, sourceOf } from './aligned.ts'
import { configsOf, isTokenId } from './config.ts'
import { type Normalizer, normalized } from './normalize.ts'
import { Trie } from './trie.ts'

/** A token that stands in a text as it is written, such as "[MASK]", and is never split. */
interface AddedToken {
  readonly id: number
  readonly content: string
  readonly singleWord: boolean
  readonly takesSpaceBefore: boolean
  readonly takesSpaceAfter: boolean
}

/** A stretch of text between added tokens, or one of them. */
export interface Section {
  readonly text: Aligned
  readonly id?: number
}

/** @param literal whether what stands at [start, end) of the source is text, though it reads as the token `id` */
export type Splitter = (text: Aligned, literal?: Literal) => Section[]

export type Literal = (start: number, end: number, id: number) => boolean

export interface AddedTokens {
  /** Finds those that are looked for in the text as it came. */
  readonly before: Splitter
  /** Finds those that are looked for in the normalized text. */
  readonly after: Splitter
}

export function addedTokensOf(value: unknown, normalizer: Normalizer): AddedTokens {
  const before: AddedToken[] = []
  const after: AddedToken[] = []
  for (const token of configsOf(value)) {
    const { id, content } = token
    if (typeof content !== 'string' || !isTokenId(id)) throw new Error('an added token lacks id or content')
    const isNormalized = token.normalized ?? token.special !== true
    const own = {
      id,
      content: isNormalized ? normalized(normalizer, content) : content,
      singleWord: token.single_word === true,
      takesSpaceBefore: token.lstrip === true,
      takesSpaceAfter: token.rstrip === true,
    }
    if (own.content !== '') (isNormalized ? after : before).push(own)
  }
  return { before: splitter(before), after: splitter(after) }
}

/** Finds the leftmost token, and of several there the longest, in a trie: some files have thousands of them. */
function splitter(tokens: readonly AddedToken[]): Splitter {
  if (tokens.length === 0) return (text) => (text.text === '' ? [] : [{ text }])
  const trie = new Trie()
  for (const [place, { content }] of tokens.entries()) trie.add(content, place)
  return (text, literal) => {
    const sections: Section[] = []
    const whole = text.text
    let at = 0
    for (let start = 0; start < whole.length; ) {
      const [place, end] = longestFrom(trie, whole, start)
      const token = tokens[place]
      if (token === undefined) {
        start++
        continue
      }
      let [from, to] = [start, end]
      start = end
      if (from < at) continue
      if (literal?.(...sourceOf(text, from, to), token.id)) continue
      if (
        token.singleWord &&
        (/[\p{L}\p{N}_]$/u.test(whole.slice(Math.max(0, from - 2), from)) ||
          /^[\p{L}\p{N}_]/u.test(whole.slice(to, to + 2)))
      )
        continue
      if (token.takesSpaceBefore) while (from > at && /\p{White_Space}/u.test(whole[from - 1] ?? '')) from--
      if (token.takesSpaceAfter) while (to < whole.length && /\p{White_Space}/u.test(whole[to] ?? '')) to++
      if (from > at) sections.push({ text: sliceOf(text, at, from) })
      sections.push({ text: sliceOf(text, from, to), id: token.id })
      at = to
    }
    if (at < whole.length) sections.push({ text: sliceOf(text, at, whole.length) })
    return sections
  }
}

/** The number of the longest text of a trie that begins at a place, and its end; -1 if none does. */
function longestFrom(trie: Trie, text: string, start: number): readonly [number, number] {
  let [found, end] = [-1, start]
  for (let at = start, node = Trie.ROOT; at < text.length; ) {
    node = trie.step(node, text.charCodeAt(at++))
    if (node === -1) break
    const value = trie.valueAt(node)
    if (value !== -1) [found, end] = [value, at]
  }
  return [found, end]
}
