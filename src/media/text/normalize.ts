import { type Aligned, alignedOf, Rewriter, sliceOf, withLead } from './aligned.ts'
import { toBytes } from './bytes.ts'
import { Charsmap } from './charsmap.ts'
import { configsOf, isConfig, patternOf, type TokenizerConfig } from './config.ts'
import { normalForm } from './normal-form.ts'

/**
 * The normalizers of a `tokenizer.json`, as Hugging Face's Rust library defines them, with the place in the source kept
 * for every character: character by character, where a normalizer works on characters, so that "\u03a3" becomes
 * "\u03c3" at the end of a word too.
 */
export type Normalizer = (text: Aligned) => Aligned

/**
 * @param charsmaps the map of each `Precompiled` step, by its number
 * @throws Error for a kind that is not known
 */
export function normalizerOf(config: unknown, charsmaps: readonly Uint8Array[]): Normalizer {
  if (config === null || config === undefined) return (text) => text
  if (!isConfig(config)) throw new Error('a normalizer is not an object')
  switch (config.type) {
    case 'Sequence': {
      const steps = configsOf(config.normalizers).map((part) => normalizerOf(part, charsmaps))
      return (text) => steps.reduce((changed, step) => step(changed), text)
    }
    case 'BertNormalizer':
      return bertNormalizer(config)
    case 'Lowercase':
      return lowercase
    case 'StripAccents':
      return unlessAscii(
        eachCharacter((character) => (/\p{M}/u.test(character) ? '' : character)),
        unchanged,
      )
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
      return unlessAscii(normalForm(config.type), unchanged)
    case 'Nmt':
      return eachCharacter(nmt)
    case 'ByteLevel':
      return toBytes
    case 'Precompiled': {
      const { charsmap: number } = config
      if (number === undefined) return (text) => text
      const bytes = typeof number === 'number' ? charsmaps[number] : undefined
      if (bytes === undefined) throw new Error('a Precompiled step has no map')
      const charsmap = Charsmap.open(bytes)
      return (text) => charsmap.apply(text)
    }
    case 'Replace': {
      const pattern = patternOf(config)
      const content = typeof config.content === 'string' ? config.content : ''
      return (text) => replaceAll(text, pattern, content)
    }
    case 'Strip':
      return (text) => strip(text, config.strip_left === true, config.strip_right === true)
    case 'Prepend': {
      const prepend = typeof config.prepend === 'string' ? config.prepend : ''
      return (text) => (text.text === '' ? text : withLead(text, prepend))
    }
    default:
      throw new Error(`Unknown Normalizer type: ${String(config.type)}`)
  }
}

/** What most texts are made of: no normal form changes it, and its small letters are as long as its capital ones. */
const ASCII = /^[\0-\x7f]*$/

/** Characters whose replacements are kept: those of two bytes in UTF-8. */
const KEPT_CHARACTERS = 0x800

/** Replaces every character (code point) by what `change` makes of it. */
function eachCharacter(change: (character: string) => string): Normalizer {
  const known: (string | undefined)[] = new Array(KEPT_CHARACTERS)
  const changeOf = (character: string, code: number): string => {
    if (code >= KEPT_CHARACTERS) return change(character)
    known[code] ??= change(character)
    return known[code]
  }
  return (text) => {
    const whole = text.text
    let out: Rewriter | undefined
    // What is written otherwise in the same length stays in its place.
    let [kept, written, unwritten] = [0, '', 0]
    for (let at = 0; at < whole.length; ) {
      const code = whole.codePointAt(at) ?? 0
      const end = at + (code > 0xffff ? 2 : 1)
      const character = whole.slice(at, end)
      const changed = changeOf(character, code)
      if (changed !== character) {
        out ??= new Rewriter(text)
        if (changed.length === character.length) written += whole.slice(unwritten, at) + changed
        else {
          out.keep(kept, at, written + whole.slice(unwritten, at))
          out.replace(changed, at, end)
          written = ''
          kept = end
        }
        unwritten = end
      }
      at = end
    }
    if (out === undefined) return text
    out.keep(kept, whole.length, written + whole.slice(unwritten))
    return out.finish()
  }
}

/** A step that changes ASCII otherwise, which takes a fraction of the time. */
function unlessAscii(step: Normalizer, ofAscii: Normalizer): Normalizer {
  return (text) => (ASCII.test(text.text) ? ofAscii(text) : step(text))
}

const unchanged: Normalizer = (text) => text

const lowercase = unlessAscii(
  eachCharacter((character) => character.toLowerCase()),
  (text) => ({ ...text, text: text.text.toLowerCase() }),
)

function replaceAll(text: Aligned, pattern: RegExp, content: string): Aligned {
  const out = new Rewriter(text)
  let kept = 0
  let found = false
  for (const { 0: match, index } of text.text.matchAll(pattern)) {
    // The Rust library passes over empty matches.
    if (match === '') continue
    found = true
    out.keep(kept, index)
    out.replace(content, index, index + match.length)
    kept = index + match.length
  }
  if (!found) return text
  out.keep(kept, text.text.length)
  return out.finish()
}

function strip(text: Aligned, left: boolean, right: boolean): Aligned {
  let [from, to] = [0, text.text.length]
  if (left) while (from < to && WHITE_SPACE.test(text.text[from] ?? '')) from++
  if (right) while (to > from && WHITE_SPACE.test(text.text[to - 1] ?? '')) to--
  return sliceOf(text, from, to)
}

/** Unicode's, as Rust has it; JavaScript's own takes in U+FEFF and leaves out U+0085. */
const WHITE_SPACE = /\p{White_Space}/u

/** What the normalizer of SentencePiece's NMT rules drops, and what it takes for a space. */
function nmt(character: string): string {
  const code = character.codePointAt(0) ?? 0
  if ((code >= 0x01 && code <= 0x08) || code === 0x0b || (code >= 0x0e && code <= 0x1f)) return ''
  if (code === 0x7f || code === 0x8f || code === 0x9f) return ''
  return /[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/.test(character) ? ' ' : character
}

/** In the order of the Rust library: control characters out, spaces around CJK, accents off, lower case. */
function bertNormalizer(config: TokenizerConfig): Normalizer {
  const lowers = config.lowercase === true
  const stripAccents = config.strip_accents ?? lowers
  const steps: Normalizer[] = []
  if (config.clean_text === true) steps.push(cleaning)
  if (config.handle_chinese_chars === true) steps.push(unlessAscii(spaceOutChinese, unchanged))
  if (stripAccents) {
    const withoutMarks = eachCharacter((character) => (/\p{Mn}/u.test(character) ? '' : character))
    steps.push(unlessAscii(normalForm('NFD'), unchanged), unlessAscii(withoutMarks, unchanged))
  }
  if (lowers) steps.push(lowercase)
  return (text) => steps.reduce((changed, step) => step(changed), text)
}

/** ASCII that may be dropped, or become a space. */
const CONTROLS = /\p{Cc}/u
const cleaningAll = eachCharacter(clean)
const cleaning = unlessAscii(cleaningAll, (text) => (CONTROLS.test(text.text) ? cleaningAll(text) : text))

function clean(character: string): string {
  if (character >= '!' && character <= '~') return character
  if (character === '\t' || character === '\n' || character === '\r') return ' '
  if (character === '\ufffd' || /[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/u.test(character)) return ''
  return /\p{White_Space}/u.test(character) ? ' ' : character
}

/** The blocks that BERT's own tokenizer takes for Chinese. */
const CHINESE =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu

function spaceOutChinese(text: Aligned): Aligned {
  const out = new Rewriter(text)
  let kept = 0
  for (const { 0: sign, index } of text.text.matchAll(CHINESE)) {
    out.keep(kept, index)
    out.insert(' ', index)
    kept = index + sign.length
    out.keep(index, kept)
    out.insert(' ', kept)
  }
  if (kept === 0) return text
  out.keep(kept, text.text.length)
  return out.finish()
}

/** A short text by a normalizer, its places forgotten. */
export function normalized(normalizer: Normalizer, text: string): string {
  return normalizer(alignedOf(text)).text
}
