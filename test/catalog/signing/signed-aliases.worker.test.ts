import { describe, expect, it } from 'vitest'
import type { Alias } from '../../../src/catalog/alias.ts'
import { canonicalBytes } from '../../../src/catalog/canonical-json.ts'
import { aliasKey } from '../../../src/catalog/keys.ts'
import { ReleaseCheck } from '../../../src/catalog/signing/release-check.ts'
import { SignedAliases } from '../../../src/catalog/signing/signed-aliases.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { silentLogger } from '../../../src/core/runtime.ts'
import { sha256Factory } from '../../../src/core/sha256.ts'
import { readValue, text } from '../../contract/store.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { MemoryStore } from '../../fixtures/memory-store.ts'
import { testSigner } from '../../fixtures/release-keys.ts'

const signer = await testSigner()

function aliasOf(model: string, generation = 1): Alias {
  const versions = { '1': 'a'.repeat(64) }
  return { schema: 1, model, generation, visibility: 'public', versions, live: [{ version: '1', weight: 1 }] }
}

function setUp() {
  const inner = new MemoryStore()
  const shared = { clock: new ManualClock(), logger: silentLogger, sha256: sha256Factory(), limits: LIMITS }
  return { inner, store: new SignedAliases(inner, new ReleaseCheck({ ...shared, keys: [signer.key] }), LIMITS) }
}

describe('SignedAliases', () => {
  it('gives out signed aliases as they are, whole and in part', async () => {
    const { inner, store } = setUp()
    const bytes = await signer.signed(aliasOf('a'))
    await inner.put(aliasKey('a'), bytes)
    expect(await readValue(store, aliasKey('a'))).toEqual(bytes)
    const part = await store.get(aliasKey('a'), { range: { offset: 5, length: 7 } })
    expect(part?.bytes).toBe(bytes.length)
    expect(new Uint8Array(await new Response(part?.body).arrayBuffer())).toEqual(bytes.slice(5, 12))
    expect(await store.get(aliasKey('none'))).toBeNull()
  })

  it('gives out no others, also not in part', async () => {
    const { inner, store } = setUp()
    await inner.put(aliasKey('a'), canonicalBytes(aliasOf('a')))
    await inner.put(aliasKey('b'), canonicalBytes({ ...(await signer.signAlias(aliasOf('b'))), visibility: 'private' }))
    for (const model of ['a', 'b']) {
      const refusal = { code: 'signature_invalid' }
      await expect(store.get(aliasKey(model))).rejects.toMatchObject(refusal)
      await expect(store.get(aliasKey(model), { range: { offset: 0, length: 1 } })).rejects.toMatchObject(refusal)
    }
    await inner.put(aliasKey('c'), new Uint8Array(LIMITS.aliasBytes + 1))
    await expect(store.get(aliasKey('c'))).rejects.toMatchObject({ code: 'alias_invalid' })
  })

  it('gives out no older one than before', async () => {
    const { inner, store } = setUp()
    await inner.put(aliasKey('a'), await signer.signed(aliasOf('a', 2)))
    await readValue(store, aliasKey('a'))
    await inner.put(aliasKey('a'), await signer.signed(aliasOf('a', 1)))
    await expect(store.get(aliasKey('a'))).rejects.toMatchObject({ code: 'release_outdated' })
  })

  it('leaves everything else as it is', async () => {
    const { inner, store } = setUp()
    await inner.put('manifest/a/1', text('{}'))
    expect(await readValue(store, 'manifest/a/1')).toEqual(text('{}'))
  })
})
