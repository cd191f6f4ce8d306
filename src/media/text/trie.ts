import { PairTable } from './pair-table.ts'

/** Texts by their UTF-16 units, each with a number. A walk from the root finds every text that begins at a place. */
export class Trie {
  static readonly ROOT = 0
  readonly #edges = new PairTable()
  /** Each node's number plus one; zero where no text ends. */
  #values = new Int32Array(64)
  #nodes = 1

  /** @param value from 0 to 2^31 - 2; a text that is there already gets the new one */
  add(text: string, value: number): void {
    let node = Trie.ROOT
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      let child = this.#edges.get(node, unit)
      if (child === -1) {
        child = this.#nodes++
        this.#edges.set(node, unit, child)
        if (child === this.#values.length) this.#grow()
      }
      node = child
    }
    this.#values[node] = value + 1
  }

  /** The node that a unit leads to; -1 if no text goes on with it. */
  step(node: number, unit: number): number {
    return this.#edges.get(node, unit)
  }

  /** The number of the text that ends at a node; -1 if none does. */
  valueAt(node: number): number {
    return (this.#values[node] ?? 0) - 1
  }

  /** The node at the end of a text; -1 if no text begins with it. */
  nodeOf(text: string): number {
    let node = Trie.ROOT
    for (let i = 0; i < text.length && node !== -1; i++) node = this.step(node, text.charCodeAt(i))
    return node
  }

  #grow(): void {
    const values = new Int32Array(2 * this.#values.length)
    values.set(this.#values)
    this.#values = values
  }
}

/** Whether a place lies between the two units of a character beyond U+FFFF. */
export function splitsCharacter(text: string, at: number): boolean {
  const after = text.charCodeAt(at)
  if (!(after >= 0xdc00 && after <= 0xdfff)) return false
  const before = text.charCodeAt(at - 1)
  return before >= 0xd800 && before <= 0xdbff
}
