import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import type { Alias } from '../../src/catalog/alias.ts'
import { canonicalBytes } from '../../src/catalog/canonical-json.ts'
import type { ReleaseKey } from '../../src/catalog/signing/public-keys.ts'
import { DurableReleases, ReleaseGuardObject } from '../../src/releases/guard.ts'
import { testSigner } from '../fixtures/release-keys.ts'

const { RELEASES } = env as unknown as { readonly RELEASES: DurableObjectNamespace<ReleaseGuardObject> }
const [signer, second] = [await testSigner(), await testSigner()]

let names = 0
const newName = (): string => `guarded-${++names}-${crypto.randomUUID().slice(0, 8)}`

function aliasOf(model: string, generation: number, visibility: Alias['visibility'] = 'public'): Alias {
  const versions = { '1': 'a'.repeat(64) }
  return { schema: 1, model, generation, visibility, versions, live: [{ version: '1', weight: 1 }] }
}

/** Over the storage of the model's own object, with these keys configured. */
function keep(model: string, bytes: Uint8Array, keys: readonly ReleaseKey[] = [signer.key]) {
  const stub = RELEASES.get(RELEASES.idFromName(model))
  return runInDurableObject(stub, (_, state) => new ReleaseGuardObject(state, {}, async () => keys).keep(bytes))
}

describe('ReleaseGuardObject', () => {
  it('keeps the highest generation, over its own evictions', async () => {
    const model = newName()
    const [five, six] = [await signer.signed(aliasOf(model, 5)), await signer.signed(aliasOf(model, 6))]
    expect(await keep(model, five)).toEqual({ accepted: true, generation: 5 })
    expect(await keep(model, five)).toEqual({ accepted: true, generation: 5 })
    expect(await keep(model, six)).toEqual({ accepted: true, generation: 6 })
    await evictDurableObject(RELEASES.get(RELEASES.idFromName(model)))
    expect(await keep(model, five)).toEqual({ accepted: false, generation: 6 })
    expect(await keep(model, six)).toEqual({ accepted: true, generation: 6 })
  })

  it('refuses another release of the same generation', async () => {
    const model = newName()
    await keep(model, await signer.signed(aliasOf(model, 5)))
    expect(await keep(model, await signer.signed(aliasOf(model, 5, 'private')))).toEqual({
      accepted: false,
      generation: 5,
    })
  })

  it('takes a release with and without a stop of its canary for the same', async () => {
    const model = newName()
    const alias = await signer.signAlias(aliasOf(model, 5))
    const stopped = { generation: 5, version: '1', at: 9, reason: 'errors' }
    for (const each of [alias, { ...alias, stopped }, alias]) {
      expect(await keep(model, canonicalBytes(each))).toEqual({ accepted: true, generation: 5 })
    }
    const other = { ...(await signer.signAlias(aliasOf(model, 5, 'private'))), stopped }
    expect(await keep(model, canonicalBytes(other))).toEqual({ accepted: false, generation: 5 })
  })

  it('is raised by nothing that no accepted key has signed', async () => {
    const model = newName()
    await keep(model, await signer.signed(aliasOf(model, 5)))
    const forged = canonicalBytes({ ...(await signer.signAlias(aliasOf(model, 5))), generation: 9 })
    expect(await keep(model, canonicalBytes(aliasOf(model, 9)))).toEqual({ fault: 'unsigned' })
    expect(await keep(model, forged)).toEqual({ fault: 'wrong' })
    expect(await keep(model, await second.signed(aliasOf(model, 9)))).toEqual({ fault: 'unknown_key' })
    expect(await keep(model, await signer.signed(aliasOf(model, 6)))).toEqual({ accepted: true, generation: 6 })
  })

  it("does not take another model's release", async () => {
    const model = newName()
    await expect(keep(model, await signer.signed(aliasOf(newName(), 9)))).rejects.toThrow(/names the model/)
  })

  it('forgets the generations of a key that is no longer configured', async () => {
    const model = newName()
    const both = [signer.key, second.key]
    await keep(model, await second.signed(aliasOf(model, Number.MAX_SAFE_INTEGER)), both)
    const next = await signer.signed(aliasOf(model, 6))
    expect(await keep(model, next, both)).toEqual({ accepted: false, generation: Number.MAX_SAFE_INTEGER })
    expect(await keep(model, next)).toEqual({ accepted: true, generation: 6 })
  })
})

describe('DurableReleases', () => {
  it("reaches the Worker's own object, which accepts no key as long as none is configured", async () => {
    const model = newName()
    const releases = new DurableReleases(RELEASES)
    await expect(releases.keep(model, await signer.signed(aliasOf(model, 1)))).rejects.toThrow(/unknown_key/)
  })
})
