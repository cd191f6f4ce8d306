import { bytesFromBase64 } from '../base64.ts'
import { type Aligned, Rewriter } from './aligned.ts'

/**
 * SentencePiece's precompiled normalization rules: a double-array trie (darts-clone) from UTF-8 to places in a blob of
 * replacements, each ended by a zero. They are applied as Hugging Face's Rust library applies them: to a grapheme of less
 * than six bytes as a whole, by the shortest rule that it begins with; else to each character.
 */
export class Charsmap {
  readonly #trie: Uint32Array
  readonly #replacements: Uint8Array
  readonly #graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' })

  private constructor(trie: Uint32Array, replacements: Uint8Array) {
    this.#trie = trie
    this.#replacements = replacements
  }

  /** @throws Error if it is no such map */
  static parse(base64: string): Charsmap {
    const bytes = bytesFromBase64(base64)
    if (bytes === undefined || bytes.length < 8) throw new Error('precompiled_charsmap is not base64')
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const size = view.getUint32(0, true)
    if (size % 4 !== 0 || size > bytes.length - 4) throw new Error('precompiled_charsmap is damaged')
    const trie = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true))
    return new Charsmap(trie, bytes.slice(4 + size))
  }

  apply(text: Aligned): Aligned {
    const out = new Rewriter(text)
    let kept = 0
    const change = (part: string, at: number): boolean => {
      const replacement = this.#replacementOf(utf8.encode(part))
      if (replacement === undefined) return false
      if (replacement !== part) {
        out.keep(kept, at)
        out.replace(replacement, at, at + part.length)
        kept = at + part.length
      }
      return true
    }
    for (const { segment, index } of this.#graphemes.segment(text.text)) {
      if (utf8.encode(segment).length < 6 && change(segment, index)) continue
      let at = index
      for (const character of segment) {
        change(character, at)
        at += character.length
      }
    }
    if (kept === 0) return text
    out.keep(kept, text.text.length)
    return out.finish()
  }

  #replacementOf(key: Uint8Array): string | undefined {
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
