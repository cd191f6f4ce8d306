import { type ByteTrie, childOf, isLeaf, LONGEST_TEXT, valueAt } from './byte-trie.ts'

/** Finds a trie's texts in a text, which is turned into bytes only where one may begin. */
export class TextScanner {
  readonly #trie: ByteTrie
  /** Bytes that texts begin with. */
  readonly #leads: Uint8Array
  readonly #character = new Uint8Array(4)
  /** The number of the text that was found, and its end; -1 if there was none. */
  found = -1
  end = 0

  constructor(trie: ByteTrie) {
    this.#trie = trie
    this.#leads = Uint8Array.from({ length: 256 }, (_, byte) => (childOf(trie.units, 0, byte) === -1 ? 0 : 1))
  }

  /** Where the first of the texts begins from a place on; the text's length if there is none. Of several the longest. */
  next(text: string, from: number): number {
    const leads = this.#leads
    for (let start = from; start < text.length; start++) {
      const unit = text.charCodeAt(start)
      if (leads[unit < 0x80 ? unit : this.#leadAt(text, start)] === 0) continue
      this.#longest(text, start)
      if (this.found !== -1) return start
    }
    return text.length
  }

  #leadAt(text: string, at: number): number {
    writeCharacter(text.codePointAt(at) ?? 0, this.#character)
    return this.#character[0] ?? 0
  }

  #longest(text: string, start: number): void {
    const { texts, units } = this.#trie
    const character = this.#character
    let [unit, depth] = [0, 0]
    this.found = -1
    for (let at = start; at < text.length && depth < LONGEST_TEXT; ) {
      const code = text.codePointAt(at) ?? 0
      const width = writeCharacter(code, character)
      at += code > 0xffff ? 2 : 1
      for (let i = 0; i < width; i++, depth++) {
        const byte = character[i] ?? 0
        if (depth > 0 && isLeaf(units, unit)) {
          const value = valueAt(units, unit)
          const place = texts.startOf(value) + depth
          if (place >= texts.startOf(value + 1) || texts.bytes[place] !== byte) return
        } else {
          unit = childOf(units, unit, byte)
          if (unit === -1) return
        }
      }
      const value = valueAt(units, unit)
      if (value === -1 || (isLeaf(units, unit) && texts.startOf(value + 1) - texts.startOf(value) !== depth)) continue
      this.found = value
      this.end = at
    }
  }
}

/** A character in UTF-8, half of one as if it was whole. @returns how many bytes it has */
function writeCharacter(code: number, bytes: Uint8Array): number {
  if (code < 0x80) {
    bytes[0] = code
    return 1
  }
  const width = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
  let rest = code
  for (let i = width - 1; i > 0; i--) {
    bytes[i] = 0x80 | (rest & 0x3f)
    rest >>= 6
  }
  bytes[0] = ((0xf00 >> width) & 0xff) | rest
  return width
}
