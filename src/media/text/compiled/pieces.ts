import type { ByteTrie } from './byte-trie.ts'
import type { TextHash } from './text-hash.ts'
import type { TextTable } from './texts.ts'

/** The tokens of a model, by their texts and by their numbers. */
export class Pieces {
  readonly #texts: TextTable
  readonly #index: ByteTrie | TextHash
  #scratch = new Uint8Array(256)

  constructor(texts: TextTable, index: ByteTrie | TextHash) {
    this.#texts = texts
    this.#index = index
  }

  /** Undefined if there is no such token. */
  idOf(text: string): number | undefined {
    if (this.#scratch.length < 3 * text.length) this.#scratch = new Uint8Array(6 * text.length)
    const { read, written } = utf8.encodeInto(text, this.#scratch)
    if (read !== text.length || !text.isWellFormed()) return undefined
    const id = this.#index.idOf(this.#scratch, written)
    return id === -1 ? undefined : id
  }

  /** Undefined if there is no such token. */
  textOf(id: number): string | undefined {
    return this.#texts.textOf(id)
  }

  has(id: number): boolean {
    return this.#texts.has(id)
  }
}

const utf8 = new TextEncoder()
