import type { TextTable } from './texts.ts'

/** Slots that a search looks at; a table is made with more room before one takes so many. */
export const MOST_PROBES = 256

/** A hash table of a table's texts, with open addressing: each slot has a text's number plus one, or 0. */
export class TextHash {
  readonly slots: Int32Array
  readonly #texts: TextTable
  readonly #mask: number

  /** @throws Error if the number of slots is no power of two */
  constructor(slots: Int32Array, texts: TextTable) {
    this.#mask = maskOf(slots)
    this.slots = slots
    this.#texts = texts
  }

  /** The number of a text; -1 if it is not there. */
  idOf(bytes: Uint8Array, length: number): number {
    let slot = hashOf(bytes, 0, length)
    for (let probe = 0; probe < MOST_PROBES; probe++, slot++) {
      const stored = this.slots[slot & this.#mask] ?? 0
      if (stored === 0) return -1
      if (this.#texts.equals(stored - 1, bytes, 0, length)) return stored - 1
    }
    return -1
  }
}

/** @throws Error if it is no power of two */
export function maskOf(slots: Int32Array): number {
  const size = slots.length
  if (size === 0 || (size & (size - 1)) !== 0)
    throw new Error('a hash table has a number of slots that is no power of two')
  return size - 1
}

/** What a hash table is filled with. */
interface Entries {
  readonly count: number
  /** Undefined for a number without an entry. */
  hashOf(entry: number): number | undefined
  same(entry: number, other: number): boolean
}

/** Of the slots, so many are taken at most, so that searches stay short. */
const MOST_TAKEN = 0.7

/** As many times the slots that entries need, before a vocabulary counts as made to collide. */
const MOST_ROOM = 64

/**
 * Slots for entries. Of equal entries the last one is found.
 * @throws Error if too many have the same hash
 */
export function filledSlots(entries: Entries): Int32Array {
  let least = 2
  while (MOST_TAKEN * least < entries.count) least *= 2
  for (let size = least; size <= MOST_ROOM * least; size *= 2) {
    const slots = new Int32Array(size)
    if (fill(slots, entries)) return slots
  }
  throw new Error('too many tokens have the same hash')
}

function fill(slots: Int32Array, { count, hashOf: hash, same }: Entries): boolean {
  const mask = slots.length - 1
  for (let entry = count - 1; entry >= 0; entry--) {
    let slot = hash(entry)
    if (slot === undefined) continue
    for (let probe = 1; ; probe++, slot++) {
      const stored = slots[slot & mask] ?? 0
      if (stored === 0) {
        slots[slot & mask] = entry + 1
        break
      }
      if (same(stored - 1, entry)) break
      if (probe === MOST_PROBES) return false
    }
  }
  return true
}

export function buildHash(texts: TextTable): TextHash {
  const slots = filledSlots({
    count: texts.count,
    hashOf: (text) => (texts.has(text) ? hashOf(texts.bytes, texts.startOf(text), texts.startOf(text + 1)) : undefined),
    same: (text, other) =>
      texts.equals(text, texts.bytes, texts.startOf(other), texts.startOf(other + 1) - texts.startOf(other)),
  })
  return new TextHash(slots, texts)
}

/** FNV-1a, spread over all bits as MurmurHash3 ends. */
function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193)
  return spread(hash)
}

export function spread(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x7feb352d)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
