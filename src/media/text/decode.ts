import { lettersToBytes } from './bytes.ts'
import { configsOf, patternOf, type TokenizerConfig } from './config.ts'

/**
 * What a token stands for in UTF-8. The decoders of a `tokenizer.json`, as Hugging Face's Rust library defines them, but
 * one token at a time: none of them looks at a later one, save `BPEDecoder`, whose space after a word is written before
 * the next one.
 * @param first whether nothing stands before the token
 */
export type Decoder = (token: string, first: boolean) => Uint8Array

/** A step on the text of one token. */
type Step = (text: string, first: boolean) => string

/** @throws Error for a kind that is not known */
export function decoderOf(config: TokenizerConfig | undefined): Decoder {
  if (config === undefined) {
    // The Rust library joins what has no decoder with spaces.
    return (token, first) => utf8.encode(first ? token : ` ${token}`)
  }
  const parts = flattened(config)
  const fuse = parts.findIndex(({ type }) => type === 'Fuse')
  const steps = parts.map((part, i) => stepOf(part, fuse !== -1 && i > fuse))
  const fallback = parts.findIndex(({ type }) => type === 'ByteFallback')
  const letters = parts.some(({ type }) => type === 'ByteLevel')
  const all = inTurn(steps.flat())
  const afterBytes = inTurn(steps.slice(fallback + 1).flat())
  return (token, first) => {
    const byte = fallback === -1 ? undefined : byteOf(token)
    if (byte !== undefined) {
      return byte < 0x80 ? utf8.encode(afterBytes(String.fromCharCode(byte), first)) : Uint8Array.of(byte)
    }
    const text = all(token, first)
    return (letters ? lettersToBytes(text) : undefined) ?? utf8.encode(text)
  }
}

/**
 * Some tokens as a text of their own.
 * @throws Error for a decoder of a kind that is not known
 */
export function joinedTokens(tokens: readonly string[], config: TokenizerConfig | undefined): string {
  const decoder = decoderOf(config)
  // Characters may be spread over several tokens.
  const utf8Text = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })
  const text = tokens.map((token, i) => utf8Text.decode(decoder(token, i === 0), { stream: true })).join('')
  return text + utf8Text.decode()
}

function byteOf(token: string): number | undefined {
  const digits = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1]
  return digits === undefined ? undefined : Number.parseInt(digits, 16)
}

function inTurn(steps: readonly Step[]): Step {
  return (text, first) => steps.reduce((changed, step) => step(changed, first), text)
}

function flattened(config: TokenizerConfig): TokenizerConfig[] {
  return config.type === 'Sequence' ? configsOf(config.decoders).flatMap(flattened) : [config]
}

/** @param fused whether it works on the whole text, and not on each token */
function stepOf(config: TokenizerConfig, fused: boolean): Step[] {
  switch (config.type) {
    case 'ByteLevel':
    case 'ByteFallback':
    case 'Fuse':
      return []
    case 'WordPiece':
      return [wordPiece(config)]
    case 'Metaspace':
      return [metaspace(config)]
    case 'BPEDecoder':
      return [bytePair(config)]
    case 'Replace': {
      const pattern = patternOf(config)
      const content = typeof config.content === 'string' ? config.content : ''
      return [(text) => text.replace(pattern, () => content)]
    }
    case 'Strip':
      return [strip(config, fused)]
    default:
      throw new Error(`Unknown Decoder type: ${String(config.type)}`)
  }
}

function metaspace(config: TokenizerConfig): Step {
  const replacement = typeof config.replacement === 'string' ? config.replacement : '\u2581'
  const scheme = config.prepend_scheme ?? (config.add_prefix_space === false ? 'never' : 'always')
  return (text, first) => {
    const own = first && scheme !== 'never' && text.startsWith(replacement) ? text.slice(replacement.length) : text
    return own.replaceAll(replacement, ' ')
  }
}

function wordPiece(config: TokenizerConfig): Step {
  const prefix = typeof config.prefix === 'string' ? config.prefix : '##'
  const cleanup = config.cleanup !== false
  return (text, first) => {
    const own = first ? text : text.startsWith(prefix) ? text.slice(prefix.length) : ` ${text}`
    return cleanup ? cleaned(own) : own
  }
}

/** English as it is written, and not as it was cut into words: the replacements of the Rust library, in its order. */
const CLEANUPS: readonly (readonly [string, string])[] = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [' do not', " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
]

function cleaned(text: string): string {
  return CLEANUPS.reduce((changed, [from, to]) => changed.replaceAll(from, to), text)
}

function bytePair(config: TokenizerConfig): Step {
  const suffix = typeof config.suffix === 'string' && config.suffix !== '' ? config.suffix : '</w>'
  // The step's own memory: a decoder is made for one text, and spaces at its end are left out.
  let spaces = 0
  return (text, first) => {
    const before = first ? '' : ' '.repeat(spaces)
    let end = text.length
    for (spaces = 0; end > 0 && text.endsWith(suffix, end); spaces++) end -= suffix.length
    return before + text.slice(0, end).replaceAll(suffix, ' ')
  }
}

/** Takes characters from the ends of each token, or, of the whole text, from its beginning. */
function strip(config: TokenizerConfig, fused: boolean): Step {
  const content = typeof config.content === 'string' ? config.content : ' '
  const [start, stop] = [countOf(config.start), countOf(config.stop)]
  if (fused && stop > 0) throw new Error('a Strip step removes the end of a text, which streaming does not allow')
  return (text, first) => {
    let from = 0
    let to = text.length
    if (!fused || first) while (from < start && text.startsWith(content, from)) from += content.length
    if (!fused) for (let i = 0; i < stop && to > from && text.endsWith(content); i++) to -= content.length
    return text.slice(from, to)
  }
}

function countOf(value: unknown): number {
  return Number.isSafeInteger(value) ? Math.max(0, Number(value)) : 0
}

const utf8 = new TextEncoder()
