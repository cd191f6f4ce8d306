import { type Limits, PLATFORM } from '../../core/limits.ts'
import type { KeySetCopies } from './issuer-keys.ts'

/** What is used of a KV namespace. */
export interface CopiesNamespace {
  get(key: string, options: { type: 'text'; cacheTtl: number }): Promise<string | null>
  put(key: string, value: string, options: { expirationTtl: number }): Promise<void>
}

/** Key sets of issuers in a KV namespace, which forgets them when they are too old to be used. */
export class KvKeySetCopies implements KeySetCopies {
  readonly #namespace: CopiesNamespace
  readonly #limits: Pick<Limits, 'signInMostAgeMs' | 'signInKeySetBytes'>

  constructor(namespace: CopiesNamespace, limits: Pick<Limits, 'signInMostAgeMs' | 'signInKeySetBytes'>) {
    this.#namespace = namespace
    this.#limits = limits
  }

  async read(name: string): Promise<string | null> {
    const text = await this.#namespace.get(keyOf(name), { type: 'text', cacheTtl: PLATFORM.kvMutableTtlSeconds })
    // A key set that is text inside of JSON is written with a backslash before each quote.
    return text !== null && text.length > 2 * this.#limits.signInKeySetBytes ? null : text
  }

  async write(name: string, text: string): Promise<void> {
    await this.#namespace.put(keyOf(name), text, { expirationTtl: Math.ceil(this.#limits.signInMostAgeMs / 1000) })
  }
}

function keyOf(name: string): string {
  return `sign-in/${name}`
}
