import type { TextTable } from './texts.ts'

/** Bytes of the longest text that a trie holds, so that a search takes steps in proportion to what it searches. */
export const LONGEST_TEXT = 4_096

/**
 * A double-array trie over the bytes of a table's texts (Aoe, 1989), as far as the texts have company: where only one
 * begins so, its number is kept, and the rest is compared with the text itself, which lies in the table anyway.
 *
 * A unit has two numbers. The first one: the base of its children (23 bits; 0: there are none, and the rest of the text
 * follows in the table), a bit that says that it is taken, and the byte that leads to it. A child is at base XOR byte. No
 * two units have the same base, so that byte and bit are proof enough of the parent. The second one: the number of the text
 * that ends here plus one, or 0. The root is unit 0, which is nobody's child.
 */
export class ByteTrie {
  readonly units: Int32Array
  readonly texts: TextTable

  constructor(units: Int32Array, texts: TextTable) {
    this.units = units
    this.texts = texts
  }

  /** The number of a text; -1 if it is not there. */
  idOf(bytes: Uint8Array, length: number): number {
    const place = this.placeOf(bytes, length)
    if (place === undefined) return -1
    const value = valueAt(this.units, place.unit)
    if (value === -1 || !this.texts.has(value)) return -1
    return this.texts.startOf(value + 1) - this.texts.startOf(value) === length ? value : -1
  }

  /** Where one is after some bytes; undefined if no text begins with them. */
  placeOf(bytes: Uint8Array, length: number): TriePlace | undefined {
    let unit = 0
    for (let depth = 0; depth < length; depth++) {
      if (isLeaf(this.units, unit)) {
        const value = valueAt(this.units, unit)
        return tailLength(this.texts, value, depth, bytes, depth, length) >= length - depth
          ? { unit, depth: length }
          : undefined
      }
      unit = childOf(this.units, unit, bytes[depth] ?? 0)
      if (unit === -1) return undefined
    }
    return { unit, depth: length }
  }

  /**
   * The longest text whose bytes from a place on are those of `bytes` from `from` on. Its number and its end are in `found`
   * and `end` afterwards; `found` is -1 if there is none.
   * @returns steps that were taken
   */
  longest(bytes: Uint8Array, from: number, end: number, { depth, unit: first }: TriePlace): number {
    const { texts, units } = this
    const to = Math.min(end, from + LONGEST_TEXT)
    let [unit, at] = [first, from]
    this.found = -1
    while (!isLeaf(units, unit)) {
      if (at >= to) return at - from
      unit = childOf(units, unit, bytes[at++] ?? 0)
      if (unit === -1) return at - from
      const value = valueAt(units, unit)
      if (value === -1 || isLeaf(units, unit)) continue
      this.found = value
      this.end = at
    }
    const value = valueAt(units, unit)
    const before = depth + at - from
    const left = texts.startOf(value + 1) - texts.startOf(value) - before
    const same = tailLength(texts, value, before, bytes, at, to)
    if (same === left && at + left > from) {
      this.found = value
      this.end = at + left
    }
    return at - from + same
  }

  /** What `longest` found. */
  found = -1
  end = 0
}

/** A unit, and the bytes before it. */
export interface TriePlace {
  readonly unit: number
  readonly depth: number
}

export const TRIE_ROOT: TriePlace = { unit: 0, depth: 0 }

/** -1 if there is none. */
export function childOf(units: Int32Array, unit: number, byte: number): number {
  const child = ((units[2 * unit] ?? 0) >>> 9) ^ byte
  return ((units[2 * child] ?? 0) & 0x1ff) === (0x100 | byte) ? child : -1
}

export function isLeaf(units: Int32Array, unit: number): boolean {
  return (units[2 * unit] ?? 0) >>> 9 === 0
}

/** -1 if no text ends at a unit, or, of a leaf, behind it. */
export function valueAt(units: Int32Array, unit: number): number {
  return (units[2 * unit + 1] ?? 0) - 1
}

/** How many bytes of a text, from `depth` on, are those of `bytes` from `at` on. */
export function tailLength(
  texts: TextTable,
  value: number,
  depth: number,
  bytes: Uint8Array,
  at: number,
  to: number,
): number {
  const from = texts.startOf(value) + depth
  const most = Math.min(texts.startOf(value + 1) - from, to - at)
  let same = 0
  while (same < most && texts.bytes[from + same] === bytes[at + same]) same++
  return same
}
