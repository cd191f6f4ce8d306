/**
 * Values by key within a budget; evicts the least recently used first. The newest is kept even if it exceeds the
 * budget.
 */
export class LruMap<V> {
  readonly #budget: number
  readonly #sizeOf: (value: V) => number
  readonly #entries = new Map<string, V>()
  #total = 0

  /** @param sizeOf size of a value; default 1, so that the budget is a number of values */
  constructor(budget: number, sizeOf: (value: V) => number = () => 1) {
    this.#budget = budget
    this.#sizeOf = sizeOf
  }

  get(key: string): V | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  /** The least recently used first. */
  values(): IterableIterator<V> {
    return this.#entries.values()
  }

  /** Whether a value would be kept without another one's leaving. */
  hasRoom(size: number): boolean {
    return this.#total + size <= this.#budget
  }

  set(key: string, value: V): void {
    this.delete(key)
    this.#entries.set(key, value)
    this.#total += this.#sizeOf(value)
    for (const oldest of this.#entries.keys()) {
      if (this.#total <= this.#budget || this.#entries.size === 1) return
      this.delete(oldest)
    }
  }

  delete(key: string): void {
    const value = this.#entries.get(key)
    if (value === undefined || !this.#entries.delete(key)) return
    this.#total -= this.#sizeOf(value)
  }
}
