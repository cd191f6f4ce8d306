/**
 * Linear memories of one isolate, which may hold so many bytes together. None is ever given back: what one has grown to,
 * another cannot have.
 */
export class HeapBudget {
  readonly limitBytes: number
  readonly #held = new Map<string, number>()

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  /** Lets a memory grow to so many bytes, and counts them, where all of them together stay within the limit. */
  grow(owner: string, bytes: number): boolean {
    const others = [...this.#held].reduce((sum, [name, held]) => (name === owner ? sum : sum + held), 0)
    if (others + bytes > this.limitBytes) return false
    this.#held.set(owner, Math.max(bytes, this.#held.get(owner) ?? 0))
    return true
  }

  /** Bytes that all memories have grown to. */
  get bytes(): number {
    return [...this.#held.values()].reduce((sum, held) => sum + held, 0)
  }
}
