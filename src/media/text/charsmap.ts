import { type Aligned, Rewriter } from './aligned.ts'

/** Parts of texts whose replacements are kept: the characters of a language, and no more than fit a page. */
const KEPT_PARTS = 2_048

/**
 * SentencePiece's precompiled normalization rules: a double-array trie (darts-clone) from UTF-8 to places in a blob of
 * replacements, each ended by a zero. They are applied as Hugging Face's Rust library applies them: to a grapheme of less
 * than six bytes as a whole, by the shortest rule that it begins with; else to each character.
 */
export class Charsmap {
  readonly #trie: Uint32Array
  readonly #replacements: Uint8Array
  readonly #known = new Map<string, string | undefined>()
  /** Made when a text first needs it, which takes longer than to read the text. */
  #graphemes: Intl.Segmenter | undefined

  private constructor(trie: Uint32Array, replacements: Uint8Array) {
    this.#trie = trie
    this.#replacements = replacements
  }

  /** @param bytes at a multiple of four, so that the trie is used where it lies. @throws Error if it is no such map */
  static open(bytes: Uint8Array): Charsmap {
    if (bytes.length < 8) throw new Error('precompiled_charsmap is damaged')
    const size = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true)
    if (size % 4 !== 0 || size > bytes.length - 4) throw new Error('precompiled_charsmap is damaged')
    const trie = new Uint32Array(bytes.buffer, bytes.byteOffset + 4, size / 4)
    return new Charsmap(trie, bytes.subarray(4 + size))
  }

  apply(text: Aligned): Aligned {
    const whole = text.text
    const out = new Rewriter(text)
    let kept = 0
    const change = (part: string, at: number): boolean => {
      const replacement = this.#replacementOf(part)
      if (replacement === undefined) return false
      if (replacement !== part) {
        out.keep(kept, at)
        out.replace(replacement, at, at + part.length)
        kept = at + part.length
      }
      return true
    }
    for (let at = 0; at < whole.length; ) {
      if (!isBetween(whole, at + 1)) {
        const end = runEnd(whole, at)
        for (const { segment, index } of this.#segmentsOf(whole.slice(at, end))) {
          if (segment.length < 6 && utf8.encode(segment).length < 6 && change(segment, at + index)) continue
          let place = at + index
          for (const character of segment) {
            change(character, place)
            place += character.length
          }
        }
        at = end
      } else change(whole.charAt(at), at++)
    }
    if (kept === 0) return text
    out.keep(kept, whole.length)
    return out.finish()
  }

  #segmentsOf(part: string): Iterable<{ readonly segment: string; readonly index: number }> {
    this.#graphemes ??= new Intl.Segmenter('und', { granularity: 'grapheme' })
    return this.#graphemes.segment(part)
  }

  #replacementOf(part: string): string | undefined {
    const known = this.#known.get(part)
    if (known !== undefined || this.#known.has(part)) return known
    const replacement = this.#search(utf8.encode(part))
    if (this.#known.size >= KEPT_PARTS) this.#known.clear()
    this.#known.set(part, replacement)
    return replacement
  }

  #search(key: Uint8Array): string | undefined {
    let node = offsetOf(this.#trie[0] ?? 0)
    for (const byte of key) {
      if (byte === 0) return undefined
      node ^= byte
      const unit = this.#trie[node] ?? 0
      // The top bit marks a value, which no byte leads to.
      if ((unit & 0x8000_00ff) !== byte) return undefined
      node ^= offsetOf(unit)
      if (((unit >>> 8) & 1) === 1) return this.#textAt((this.#trie[node] ?? 0) & 0x7fff_ffff)
    }
    return undefined
  }

  #textAt(start: number): string {
    const end = this.#replacements.indexOf(0, start)
    return new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(
      this.#replacements.subarray(start, end === -1 ? undefined : end),
    )
  }
}

const utf8 = new TextEncoder()

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6)
}

/** Whether a place lies between graphemes whatever else there is: between two of ASCII, but for a line's end in two. */
function isBetween(text: string, at: number): boolean {
  if (at >= text.length) return text.charCodeAt(at - 1) < 0x80
  const [before, after] = [text.charCodeAt(at - 1), text.charCodeAt(at)]
  return before < 0x80 && after < 0x80 && !(before === 0x0d && after === 0x0a)
}

/** The first such place after another one, or the end. */
function runEnd(text: string, from: number): number {
  let end = from + 1
  while (end < text.length && !isBetween(text, end)) end++
  return end
}
