/** Where a ledger keeps its numbers. All of it is synchronous: a Durable Object's SQLite is. */
export interface LedgerStore {
  /** A value as JSON holds it; undefined where there is none. */
  get(key: string): unknown
  set(key: string, value: unknown): void
  delete(key: string): void
  /** All of it is kept, or, if it throws, nothing. */
  transaction<T>(work: () => T): T
}

/** For what may be forgotten: rates of addresses and of models, which no key pays for. */
export class MemoryLedgerStore implements LedgerStore {
  #values = new Map<string, string>()

  get(key: string): unknown {
    const text = this.#values.get(key)
    return text === undefined ? undefined : JSON.parse(text)
  }

  set(key: string, value: unknown): void {
    this.#values.set(key, JSON.stringify(value))
  }

  delete(key: string): void {
    this.#values.delete(key)
  }

  transaction<T>(work: () => T): T {
    const before = new Map(this.#values)
    try {
      return work()
    } catch (error) {
      this.#values = before
      throw error
    }
  }
}
