import { type Aligned, alignedOf, Rewriter, sliceOf } from './aligned.ts'
import { Charsmap } from './charsmap.ts'
import { type Config, configsOf, isConfig, patternOf } from './config.ts'

/**
 * The normalisers of a `tokenizer.json`, as Hugging Face's Rust library defines them, with the place in the source kept
 * for every character: character by character, where a normaliser works on characters, so that "\u03a3" becomes
 * "\u03c3" at the end of a word too.
 */
export type Normaliser = (text: Aligned) => Aligned

/** @throws Error for a kind that is not known */
export function normaliserOf(config: unknown): Normaliser {
  if (config === null || config === undefined) return (text) => text
  if (!isConfig(config)) throw new Error('a normaliser is no object')
  switch (config.type) {
    case 'Sequence': {
      const steps = configsOf(config.normalizers).map(normaliserOf)
      return (text) => steps.reduce((changed, step) => step(changed), text)
    }
    case 'BertNormalizer':
      return bertNormaliser(config)
    case 'Lowercase':
      return eachCharacter((character) => character.toLowerCase())
    case 'StripAccents':
      return eachCharacter((character) => (/\p{M}/u.test(character) ? '' : character))
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD': {
      const form = config.type
      return whole((text) => text.normalize(form))
    }
    case 'Precompiled': {
      if (typeof config.precompiled_charsmap !== 'string') return (text) => text
      const charsmap = Charsmap.parse(config.precompiled_charsmap)
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
      return (text) => {
        if (text.text === '') return text
        const out = new Rewriter(text)
        out.insert(prepend, 0)
        out.keep(0, text.text.length)
        return out.finish()
      }
    }
    default:
      throw new Error(`Unknown Normalizer type: ${String(config.type)}`)
  }
}

/** Replaces every character (code point) by what `change` makes of it. */
function eachCharacter(change: (character: string) => string): Normaliser {
  return (text) => {
    const out = new Rewriter(text)
    let at = 0
    let kept = 0
    for (const character of text.text) {
      const end = at + character.length
      const changed = change(character)
      if (changed !== character) {
        out.keep(kept, at)
        out.replace(changed, at, end)
        kept = end
      }
      at = end
    }
    if (kept === 0) return text
    out.keep(kept, at)
    return out.finish()
  }
}

/**
 * A character with the marks that follow it: Unicode's normal forms work inside of such groups, but for jamo, which join
 * to syllables, and for halfwidth signs.
 */
const GROUP = /[\s\S][\p{M}\u1160-\u11ff\uff9e-\uffdc]*/gu

/** A function of the whole text that changes groups of characters, each by itself. */
function whole(change: (text: string) => string): Normaliser {
  return (text) => {
    const changed = change(text.text)
    if (changed === text.text) return text
    const out = new Rewriter(text)
    let kept = 0
    for (const { 0: group, index } of text.text.matchAll(GROUP)) {
      const own = change(group)
      if (own === group) continue
      out.keep(kept, index)
      out.replace(own, index, index + group.length)
      kept = index + group.length
    }
    out.keep(kept, text.text.length)
    const result = out.finish()
    return result.text === changed ? result : roughly(text, changed)
  }
}

/** Where groups did not add up: what both texts begin and end with lies where it was, the rest somewhere between. */
function roughly(text: Aligned, changed: string): Aligned {
  const shorter = Math.min(text.text.length, changed.length)
  let head = 0
  while (head < shorter && text.text[head] === changed[head]) head++
  let tail = 0
  while (tail < shorter - head && text.text.at(-1 - tail) === changed.at(-1 - tail)) tail++
  const out = new Rewriter(text)
  out.keep(0, head)
  out.replace(changed.slice(head, changed.length - tail), head, text.text.length - tail)
  out.keep(text.text.length - tail, text.text.length)
  return out.finish()
}

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
  const from = left ? text.text.length - text.text.trimStart().length : 0
  const to = right ? text.text.trimEnd().length : text.text.length
  return sliceOf(text, Math.min(from, to), to)
}

/** In the order of the Rust library: control characters out, spaces around CJK, accents off, lower case. */
function bertNormaliser(config: Config): Normaliser {
  const lowercase = config.lowercase === true
  const stripAccents = config.strip_accents ?? lowercase
  const cleanText = config.clean_text === true
  const spaceChinese = config.handle_chinese_chars === true
  const steps: Normaliser[] = []
  if (cleanText) steps.push(eachCharacter(clean))
  if (spaceChinese) steps.push(spaceOutChinese)
  if (stripAccents) {
    const decompose = whole((text) => text.normalize('NFD'))
    steps.push(
      decompose,
      eachCharacter((character) => (/\p{Mn}/u.test(character) ? '' : character)),
    )
  }
  if (lowercase) steps.push(eachCharacter((character) => character.toLowerCase()))
  return (text) => steps.reduce((changed, step) => step(changed), text)
}

function clean(character: string): string {
  if (character >= '!' && character <= '~') return character
  if (character === '\t' || character === '\n' || character === '\r') return ' '
  if (character === '\ufffd' || /[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/u.test(character)) return ''
  return /\p{White_Space}/u.test(character) ? ' ' : character
}

/** The blocks that BERT's own tokeniser takes for Chinese. */
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

/** A short text by a normaliser, its places forgotten. */
export function normalised(normaliser: Normaliser, text: string): string {
  return normaliser(alignedOf(text)).text
}
