/** Slots at the beginning; always a power of two. */
const FIRST_SLOTS = 64

/**
 * A map from two whole numbers of 31 bits to a third: an open-addressing hash table in one typed array. A vocabulary has
 * up to a million such entries, and a JavaScript map takes three times the memory for each.
 */
export class PairTable {
  /** Three words for each slot: both keys, and the value plus one; zero where the slot is free. */
  #slots = new Int32Array(3 * FIRST_SLOTS)
  #mask = FIRST_SLOTS - 1
  #count = 0

  /** -1 if there is no entry. */
  get(first: number, second: number): number {
    const slots = this.#slots
    for (let slot = hash(first, second) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const value = slots[3 * slot + 2] ?? 0
      if (value === 0) return -1
      if (slots[3 * slot] === first && slots[3 * slot + 1] === second) return value - 1
    }
  }

  /** @param value from 0 to 2^31 - 2 */
  set(first: number, second: number, value: number): void {
    // At most half of the slots are taken, so that searches stay short.
    if (2 * (this.#count + 1) > this.#mask + 1) this.#grow()
    if (this.#put(this.#slots, first, second, value + 1)) this.#count++
  }

  #put(slots: Int32Array, first: number, second: number, stored: number): boolean {
    let slot = hash(first, second) & this.#mask
    while (slots[3 * slot + 2] !== 0 && !(slots[3 * slot] === first && slots[3 * slot + 1] === second)) {
      slot = (slot + 1) & this.#mask
    }
    const isNew = slots[3 * slot + 2] === 0
    slots[3 * slot] = first
    slots[3 * slot + 1] = second
    slots[3 * slot + 2] = stored
    return isNew
  }

  #grow(): void {
    const old = this.#slots
    const slots = new Int32Array(2 * old.length)
    this.#mask = 2 * this.#mask + 1
    for (let at = 0; at < old.length; at += 3) {
      const stored = old[at + 2] ?? 0
      if (stored !== 0) this.#put(slots, old[at] ?? 0, old[at + 1] ?? 0, stored)
    }
    this.#slots = slots
  }
}

/** Both keys spread over all bits, as MurmurHash3 ends. */
function hash(first: number, second: number): number {
  let mixed = Math.imul(first, 0x9e3779b1) ^ Math.imul(second + 0x7f4a7c15, 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x7feb352d)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
