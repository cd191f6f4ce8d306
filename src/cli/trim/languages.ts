import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { lettersToBytes } from '../../media/text/bytes.ts'
import { SOURCE } from '../files/project.ts'
import { UsageError } from '../terminal/command-line.ts'
import { bareText } from './required.ts'
import type { Vocabulary } from './vocabulary.ts'

/** Letters of languages by Unicode's CLDR, and the digits, marks and signs of their scripts: scripts/languages.mjs writes it. */
const FILE = join(SOURCE, 'cli/trim/languages.json')

/** Characters that texts in any language have: digits, punctuation, symbols, emoji, and marks of no one script. */
const SHARED = /[\p{sc=Common}\p{sc=Inherited}]/u
const IDEOGRAPH = /\p{sc=Han}/u

/** Whether a character occurs in texts of the languages. */
export type Alphabet = (character: string) => boolean

/**
 * The characters of languages: their letters in both cases, of ideographs all, because no list has those of names, and
 * characters that all languages share.
 * @param languages codes of CLDR such as `de` and `zh-Hant`; a region that CLDR does not list writes as its language does
 * @throws UsageError for a code that CLDR does not list
 */
export function alphabetOf(languages: readonly string[]): Alphabet {
  const known = JSON.parse(readFileSync(FILE, 'utf8')) as Readonly<Record<string, string>>
  const letters = languages.map((code) => lettersOf(code, known)).join('')
  const own = new RegExp(`[${letters}]`, 'u')
  const hasIdeographs = IDEOGRAPH.test(letters)
  const found = new Map<string, boolean>()
  return (character) => {
    const before = found.get(character)
    if (before !== undefined) return before
    const is =
      own.test(character) ||
      SHARED.test(character) ||
      (hasIdeographs && IDEOGRAPH.test(character)) ||
      // Some letters have a form with a mark, and a form of their own that is no longer written.
      [...character.normalize('NFD')].every((part) => own.test(part))
    found.set(character, is)
    return is
  }
}

function lettersOf(code: string, known: Readonly<Record<string, string>>): string {
  const byName = new Map(Object.keys(known).map((name) => [name.toLowerCase(), name]))
  for (let name = code.trim().toLowerCase().replaceAll('_', '-'); name !== ''; name = name.replace(/-?[^-]*$/, '')) {
    const letters = known[byName.get(name) ?? '']
    if (letters !== undefined) return letters
  }
  throw new UsageError(
    `--languages does not know "${code}". Give codes such as en, de, pt or zh-Hant, separated by commas, or texts of the language as --keep-corpus.`,
  )
}

/** Whether texts of an alphabet may have a piece. */
export function piecesOf(alphabet: Alphabet, { byteLevel, prefix, suffix }: Vocabulary): (text: string) => boolean {
  const isOwn = (text: string): boolean => [...text].every(alphabet)
  if (!byteLevel) return (text) => isOwn(bareText(text, prefix, suffix))
  const parts = partsOfCharacters(alphabet)
  return (text) => {
    const bytes = lettersToBytes(bareText(text, prefix, suffix))
    // A token in plain letters, such as an added one.
    if (bytes === undefined) return isOwn(text)
    const { before, after, middle } = cutUtf8(bytes)
    if (middle === undefined) return false
    return (
      isOwn(middle) &&
      (before.length === 0 || parts.ends.has(before.join())) &&
      (after.length === 0 || parts.beginnings.has(after.join()))
    )
  }
}

interface Utf8Parts {
  /** The end of a character that began in the piece before. */
  readonly before: Uint8Array
  /** Whole characters; undefined where the bytes are no UTF-8. */
  readonly middle: string | undefined
  /** The beginning of a character that ends in the next piece. */
  readonly after: Uint8Array
}

function cutUtf8(bytes: Uint8Array): Utf8Parts {
  let from = 0
  while (from < bytes.length && isContinuation(bytes[from])) from++
  let to = bytes.length
  for (let at = bytes.length - 1; at >= from; at--) {
    if (isContinuation(bytes[at])) continue
    if (at + widthOf(bytes[at] ?? 0) > bytes.length) to = at
    break
  }
  let middle: string | undefined
  try {
    middle = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(from, to))
  } catch {
    middle = undefined
  }
  return { before: bytes.subarray(0, from), middle, after: bytes.subarray(to) }
}

function isContinuation(byte = 0): boolean {
  return byte >= 0x80 && byte < 0xc0
}

function widthOf(byte: number): number {
  return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4
}

const utf8 = new TextEncoder()

/** Of the planes that languages are written in. */
const LAST_CHARACTER = 0x3_ffff

/** Beginnings and ends of the bytes of an alphabet's characters. */
function partsOfCharacters(alphabet: Alphabet): { readonly beginnings: Set<string>; readonly ends: Set<string> } {
  const [beginnings, ends] = [new Set<string>(), new Set<string>()]
  for (let point = 0x80; point <= LAST_CHARACTER; point++) {
    const character = String.fromCodePoint(point)
    if ((point >= 0xd800 && point < 0xe000) || !alphabet(character)) continue
    const bytes = utf8.encode(character)
    for (let cut = 1; cut < bytes.length; cut++) {
      beginnings.add(bytes.subarray(0, cut).join())
      ends.add(bytes.subarray(cut).join())
    }
  }
  return { beginnings, ends }
}
