import { DurableObject } from 'cloudflare:workers'
import { aliasJson, checkAlias } from '../catalog/parse.ts'
import { type GenerationVerdict, judgeGeneration, type KeptGeneration } from '../catalog/signing/generations.ts'
import type { ReleaseKey } from '../catalog/signing/public-keys.ts'
import type { ReleaseMemory } from '../catalog/signing/release-check.ts'
import { checkSignature, releaseBytes, type SignatureFault } from '../catalog/signing/signature.ts'
import { toHex } from '../core/bytes.ts'

/** An object that was started with other keys does not judge what it cannot verify. */
type GuardVerdict = GenerationVerdict | { readonly fault: SignatureFault }

/** The generations that all isolates of a deployment have seen, with one Durable Object for each model. */
export class DurableReleases implements ReleaseMemory {
  readonly #namespace: DurableObjectNamespace<ReleaseGuardObject>

  constructor(namespace: DurableObjectNamespace<ReleaseGuardObject>) {
    this.#namespace = namespace
  }

  async keep(model: string, bytes: Uint8Array): Promise<GenerationVerdict> {
    const verdict = await this.#namespace.get(this.#namespace.idFromName(model)).keep(bytes)
    if ('fault' in verdict) throw new Error(`the object does not accept the signature: ${verdict.fault}`)
    const { accepted, generation } = verdict
    return { accepted, generation }
  }
}

/**
 * Keeps a model's highest generation. It verifies the signature itself, so that nothing but a signed release raises the
 * generation. Storage is synchronous, and the platform holds an answer back until its writes are durable.
 */
export class ReleaseGuardObject extends DurableObject {
  readonly #readKeys: () => Promise<readonly ReleaseKey[]>
  /** As long as this object is in memory: a deployment with other keys makes another one. */
  #keys: readonly ReleaseKey[] | undefined

  constructor(state: DurableObjectState, env: unknown, keys: () => Promise<readonly ReleaseKey[]>) {
    super(state, env as never)
    this.#readKeys = keys
    state.storage.sql.exec(
      'CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, generation INTEGER NOT NULL, digest TEXT NOT NULL)',
    )
  }

  /** @throws alias_invalid */
  async keep(bytes: Uint8Array): Promise<GuardVerdict> {
    const model = this.ctx.id.name ?? ''
    const value = aliasJson(bytes, model)
    const { generation } = checkAlias(value, model)
    const keys = this.#keys ?? (await this.#readKeys())
    this.#keys = keys
    const { fault, signature } = await checkSignature(bytes, value, keys)
    if (fault !== undefined) return { fault }
    const release = releaseBytes(bytes, value) as Uint8Array<ArrayBuffer>
    const digest = toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', release)))
    // From here on nothing waits, so that no other release comes in between.
    const kept = { key: signature.key, generation, digest }
    const accepted = keys.map(({ id }) => id)
    const verdict = judgeGeneration(this.#kept(), accepted, kept)
    if (verdict.accepted) {
      this.ctx.storage.sql.exec(
        'INSERT OR REPLACE INTO kept (key, generation, digest) VALUES (?, ?, ?)',
        kept.key,
        kept.generation,
        kept.digest,
      )
    }
    return verdict
  }

  #kept(): KeptGeneration[] {
    return this.ctx.storage.sql
      .exec<{ key: string; generation: number; digest: string }>('SELECT key, generation, digest FROM kept')
      .toArray()
  }
}
