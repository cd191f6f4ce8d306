import { type Aligned, nearestTo, Rewriter, sliceOf, withLead } from './aligned.ts'
import { toBytes } from './bytes.ts'
import { GROUP, grouped } from './character-groups.ts'
import { configsOf, isConfig, patternOf, type TokenizerConfig } from './config.ts'

/**
 * The pre-tokenizers of a `tokenizer.json`, as Hugging Face's Rust library defines them: a normalized text into words,
 * in its order, each with its place in the source.
 */
export type PreTokenizer = (text: Aligned) => Aligned[]

/** @throws Error for a kind that is not known */
export function preTokenizerOf(config: unknown): PreTokenizer {
  if (config === null || config === undefined) return (text) => [text]
  if (!isConfig(config)) throw new Error('a pre-tokenizer is not an object')
  switch (config.type) {
    case 'Sequence': {
      const steps = configsOf(config.pretokenizers).map(preTokenizerOf)
      return (text) => steps.reduce((pieces, step) => pieces.flatMap(step), [text])
    }
    case 'BertPreTokenizer':
      return grouped((character) =>
        SPACE.test(character) ? GROUP.none : SIGN.test(character) ? GROUP.alone : GROUP.first,
      )
    case 'Whitespace':
      return grouped((character) =>
        LETTER.test(character) ? GROUP.first : SPACE.test(character) ? GROUP.none : GROUP.second,
      )
    case 'WhitespaceSplit':
      return grouped((character) => (SPACE.test(character) ? GROUP.none : GROUP.first))
    case 'Digits':
      return config.individual_digits === true ? split(/\p{N}/gu, 'isolated') : split(/\p{N}+/gu, 'isolated')
    case 'Punctuation':
      return split(new RegExp(`[${PUNCTUATION}]`, 'gu'), behaviourOf(config, 'isolated'))
    case 'CharDelimiterSplit':
      return split(new RegExp(`[\\u{${codePoint(config.delimiter).toString(16)}}]`, 'gu'), 'removed')
    case 'Split':
      return split(patternOf(config), behaviourOf(config, 'isolated'), config.invert === true)
    case 'FixedLength':
      return fixedLength(config)
    case 'Metaspace':
      return metaspace(config)
    case 'ByteLevel':
      return byteLevel(config)
    default:
      throw new Error(`Unknown PreTokenizer type: ${String(config.type)}`)
  }
}

/** ASCII's signs and Unicode's punctuation. */
const PUNCTUATION = '\\p{P}\\u0021-\\u002f\\u003a-\\u0040\\u005b-\\u0060\\u007b-\\u007e'
/** What `\w` means to Rust's regular expressions. */
const WORD = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200c\\u200d'

type Behaviour = 'removed' | 'isolated' | 'mergedwithprevious' | 'mergedwithnext' | 'contiguous'
const BEHAVIOURS: readonly string[] = ['removed', 'isolated', 'mergedwithprevious', 'mergedwithnext', 'contiguous']

function behaviourOf(config: TokenizerConfig, otherwise: Behaviour): Behaviour {
  if (config.behavior === undefined) return otherwise
  const name = String(config.behavior).toLowerCase()
  if (!BEHAVIOURS.includes(name)) throw new Error(`Unknown behavior: ${name}`)
  return name as Behaviour
}

function codePoint(delimiter: unknown): number {
  const code = typeof delimiter === 'string' ? delimiter.codePointAt(0) : undefined
  if (code === undefined) throw new Error('a CharDelimiterSplit step has no delimiter')
  return code
}

const SPACE = /\p{White_Space}/u
const SIGN = new RegExp(`[${PUNCTUATION}]`, 'u')
const LETTER = new RegExp(`[${WORD}]`, 'u')

/** Only what matches, or all, what lies between the matches by itself. */
function matches(pattern: RegExp, isolated = false): PreTokenizer {
  return (text) => {
    const words: Aligned[] = []
    let at = 0
    for (const { 0: match, index } of text.text.matchAll(pattern)) {
      if (match === '') continue
      if (isolated && index > at) words.push(sliceOf(text, at, index))
      at = index + match.length
      words.push(sliceOf(text, index, at))
    }
    if (isolated && at < text.text.length) words.push(sliceOf(text, at, text.text.length))
    return words
  }
}

interface Part {
  readonly from: number
  to: number
  readonly delimiter: boolean
}

/** Matches are delimiters; with `invert`, what lies between them is. */
function split(pattern: RegExp, behaviour: Behaviour, invert = false): PreTokenizer {
  if (behaviour === 'isolated') return matches(pattern, true)
  if (behaviour === 'removed' && invert) return matches(pattern)
  return (text) => {
    const parts: Part[] = []
    let at = 0
    for (const { 0: match, index } of text.text.matchAll(pattern)) {
      if (match === '') continue
      if (index > at) parts.push({ from: at, to: index, delimiter: invert })
      at = index + match.length
      parts.push({ from: index, to: at, delimiter: !invert })
    }
    if (at < text.text.length) parts.push({ from: at, to: text.text.length, delimiter: invert })
    return joined(parts, behaviour).map(({ from, to }) => sliceOf(text, from, to))
  }
}

function joined(parts: readonly Part[], behaviour: Behaviour): readonly Part[] {
  if (behaviour === 'removed') return parts.filter(({ delimiter }) => !delimiter)
  const out: Part[] = []
  for (const [i, part] of parts.entries()) {
    const before = parts[i - 1]
    const last = out.at(-1)
    const joins =
      before !== undefined &&
      (behaviour === 'contiguous'
        ? part.delimiter === before.delimiter
        : behaviour === 'mergedwithprevious'
          ? part.delimiter && !before.delimiter
          : !part.delimiter && before.delimiter)
    if (joins && last !== undefined) last.to = part.to
    else out.push({ ...part })
  }
  return out
}

function fixedLength(config: TokenizerConfig): PreTokenizer {
  const length = Number(config.length ?? 5)
  if (!Number.isSafeInteger(length) || length < 1) throw new Error('a FixedLength step has no length')
  return matches(new RegExp(`[\\s\\S]{1,${length}}`, 'gu'))
}

function metaspace(config: TokenizerConfig): PreTokenizer {
  const replacement = typeof config.replacement === 'string' ? config.replacement : '\u2581'
  // `add_prefix_space` is how files were written before there was `prepend_scheme`.
  const scheme = config.prepend_scheme ?? (config.add_prefix_space === false ? 'never' : 'always')
  const splits = config.split !== false
  const begins = (text: string): boolean => text.startsWith(' ') || text.startsWith(replacement)
  return (text) => {
    if (text.text === '') return []
    const atStart = nearestTo(text, 0) === 0
    const lacks = (scheme === 'always' || (scheme === 'first' && atStart)) && !begins(text.text)
    const marked = marking(text, replacement)
    const changed = lacks ? withLead(marked, replacement) : marked
    return splits ? splitBefore(changed, replacement) : [changed]
  }
}

/** A mark in place of each space. */
function marking(text: Aligned, mark: string): Aligned {
  if (mark.length === 1) return { ...text, text: text.text.replaceAll(' ', mark) }
  const out = new Rewriter(text)
  let kept = 0
  for (let at = text.text.indexOf(' '); at !== -1; at = text.text.indexOf(' ', kept)) {
    out.keep(kept, at)
    out.replace(mark, at, at + 1)
    kept = at + 1
  }
  out.keep(kept, text.text.length)
  return out.finish()
}

/** Into parts that begin with `mark`, but for the first. */
function splitBefore(text: Aligned, mark: string): Aligned[] {
  const parts: Aligned[] = []
  let from = 0
  while (from < text.text.length) {
    const next = text.text.indexOf(mark, from + 1)
    const to = next === -1 ? text.text.length : next
    parts.push(sliceOf(text, from, to))
    from = to
  }
  return parts
}

const GPT2 =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu

function byteLevel(config: TokenizerConfig): PreTokenizer {
  const prefix = config.add_prefix_space === true
  const words = config.use_regex === false ? (text: Aligned) => [text] : matches(GPT2)
  return (text) => {
    if (text.text === '') return []
    return words(prefix && !text.text.startsWith(' ') ? withLead(text, ' ') : text).map(toBytes)
  }
}
