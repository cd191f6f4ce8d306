import * as z from 'zod'
import type { Sha256Factory } from '../../core/runtime.ts'
import { sha256Hex } from '../../core/sha256.ts'
import { readAtMost } from '../../weights/body.ts'
import type { Store } from '../../weights/store.ts'
import { canonicalBytes } from '../canonical-json.ts'
import { aliasJson, checkAlias } from '../parse.ts'
import { type GenerationVerdict, judgeGeneration, type KeptGeneration } from './generations.ts'
import { KEY_ID, type ReleaseKey } from './public-keys.ts'
import type { ReleaseMemory } from './release-check.ts'
import { releaseBytes } from './signature.ts'

/** A few keys, of 120 bytes each. */
const MOST_BYTES = 16_384

const recordSchema = z.array(
  z.object({
    key: z.string().regex(KEY_ID),
    generation: z.number().int().positive(),
    digest: z.string().length(64),
  }),
)

/**
 * The generations that one process has seen, in a store that is its own, such as a folder of an origin. They survive a
 * restart, and are lost with the store. A record that cannot be read or written accepts nothing.
 */
export class StoredGenerations implements ReleaseMemory {
  readonly #store: Store
  readonly #accepted: readonly string[]
  readonly #sha256: Sha256Factory
  readonly #known = new Map<string, readonly KeptGeneration[]>()
  /** The write in progress: writes follow one another, so that the newest comes last. */
  #written: Promise<unknown> = Promise.resolve()

  constructor(store: Store, keys: readonly ReleaseKey[], sha256: Sha256Factory) {
    this.#store = store
    this.#accepted = keys.map(({ id }) => id)
    this.#sha256 = sha256
  }

  /** @param bytes verified already */
  async keep(model: string, bytes: Uint8Array): Promise<GenerationVerdict> {
    const value = aliasJson(bytes, model)
    const { generation, signature } = checkAlias(value, model)
    if (signature === undefined) throw new Error('the release is not signed')
    const release = {
      key: signature.key,
      generation,
      digest: await sha256Hex(this.#sha256, releaseBytes(bytes, value)),
    }
    const read = this.#known.get(model) ?? (await this.#read(model))
    // another call may have read or written meanwhile
    const kept = this.#known.get(model) ?? read
    this.#known.set(model, kept)
    const verdict = judgeGeneration(kept, this.#accepted, release)
    const isKnown = kept.some(({ key, digest }) => key === release.key && digest === release.digest)
    if (!verdict.accepted || isKnown) return verdict
    const next = [...kept.filter(({ key }) => key !== release.key), release]
    this.#known.set(model, next)
    try {
      await this.#write(model, next)
    } catch (error) {
      this.#known.delete(model)
      throw error
    }
    return verdict
  }

  async #read(model: string): Promise<readonly KeptGeneration[]> {
    const found = await this.#store.get(keyOf(model))
    if (found === null) return []
    const bytes = (await readAtMost(found.body, MOST_BYTES)) ?? new Uint8Array(0)
    return recordSchema.parse(JSON.parse(new TextDecoder().decode(bytes)))
  }

  #write(model: string, kept: readonly KeptGeneration[]): Promise<unknown> {
    const write = () => this.#store.put(keyOf(model), canonicalBytes(kept))
    const written = this.#written.then(write, write)
    this.#written = written
    return written
  }
}

function keyOf(model: string): string {
  return `generation/${model}`
}
