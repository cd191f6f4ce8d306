import { type Aligned, sliceOf, sourceOf } from './aligned.ts'
import { ADDED, type AddedTable } from './compiled/added-table.ts'
import { ByteTrie } from './compiled/byte-trie.ts'
import { SEARCHED_SECTIONS, type SearchedSections, type TokenizerImage } from './compiled/format.ts'
import { TextScanner } from './compiled/text-scanner.ts'
import { TextTable } from './compiled/texts.ts'

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

/** Tokens that stand in a text as they are written, such as "[MASK]", and are never split. @throws Error if damaged */
export function addedTokensOf(image: TokenizerImage, tokens: AddedTable): AddedTokens {
  const splitterOf = ({ bytes, offsets, places, trie }: SearchedSections): Splitter => {
    if (!image.has(trie)) return (text) => (text.text === '' ? [] : [{ text }])
    const texts = new TextTable(image.bytes(bytes), image.int32(offsets))
    return splitter(tokens, image.int32(places), new ByteTrie(image.int32(trie, 2), texts))
  }
  return { before: splitterOf(SEARCHED_SECTIONS.before), after: splitterOf(SEARCHED_SECTIONS.after) }
}

/** Finds the leftmost token, and of several there the longest: some files have thousands of them. */
function splitter(tokens: AddedTable, places: Int32Array, trie: ByteTrie): Splitter {
  const scanner = new TextScanner(trie)
  return (text, literal) => {
    const sections: Section[] = []
    const whole = text.text
    let at = 0
    for (let start = scanner.next(whole, 0); start < whole.length; ) {
      const { end } = scanner
      const place = places[scanner.found] ?? -1
      let [from, to] = [start, end]
      start = scanner.next(whole, end)
      if (from < at) continue
      const id = tokens.idAt(place)
      if (id < 0 || literal?.(...sourceOf(text, from, to), id)) continue
      if (
        tokens.is(place, ADDED.singleWord) &&
        (/[\p{L}\p{N}_]$/u.test(whole.slice(Math.max(0, from - 2), from)) ||
          /^[\p{L}\p{N}_]/u.test(whole.slice(to, to + 2)))
      )
        continue
      if (tokens.is(place, ADDED.takesSpaceBefore)) {
        while (from > at && /\p{White_Space}/u.test(whole[from - 1] ?? '')) from--
      }
      if (tokens.is(place, ADDED.takesSpaceAfter)) {
        while (to < whole.length && /\p{White_Space}/u.test(whole[to] ?? '')) to++
      }
      if (from > at) sections.push({ text: sliceOf(text, at, from) })
      sections.push({ text: sliceOf(text, from, to), id })
      at = to
    }
    if (at < whole.length) sections.push({ text: sliceOf(text, at, whole.length) })
    return sections
  }
}
