import { describe, expect, it } from 'vitest'
import type { Alias } from '../../../src/catalog/alias.ts'
import { lastReleaseKey } from '../../../src/catalog/keys.ts'
import { keepLastRelease } from '../../../src/catalog/signing/last-release.ts'
import { ReleaseSigning } from '../../../src/catalog/signing/release-signing.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { readValue, text } from '../../contract/store.ts'
import { MemoryStore } from '../../fixtures/memory-store.ts'
import { testSigner } from '../../fixtures/release-keys.ts'

const [signer, stranger] = [await testSigner(), await testSigner()]
const signing = new ReleaseSigning({ signer })

function aliasOf(generation: number): Alias {
  const versions = { '1': 'a'.repeat(64) }
  return { schema: 1, model: 'a', generation, visibility: 'public', versions, live: [{ version: '1', weight: 1 }] }
}

async function kept(store: MemoryStore): Promise<number> {
  const bytes = await readValue(store, lastReleaseKey('a'))
  return (JSON.parse(new TextDecoder().decode(bytes ?? undefined)) as Alias).generation
}

describe('keepLastRelease', () => {
  it('never goes back: the command that is slower may have the older release', async () => {
    const store = new MemoryStore()
    for (const [generation, stored] of [
      [5, 5],
      [4, 5],
      [6, 6],
    ] as const) {
      await keepLastRelease(store, 'a', await signer.signed(aliasOf(generation)), signing, LIMITS)
      expect(await kept(store)).toBe(stored)
    }
  })

  it.each([
    ['unreadable', async () => text('{')],
    ['of a key that is not accepted', () => stranger.signed(aliasOf(900))],
  ])('replaces a record that is %s', async (_, record) => {
    const store = new MemoryStore()
    await store.put(lastReleaseKey('a'), await record())
    await keepLastRelease(store, 'a', await signer.signed(aliasOf(5)), signing, LIMITS)
    expect(await kept(store)).toBe(5)
  })

  it('gives way to another command that writes at the same time', async () => {
    const store = new MemoryStore()
    const newer = await signer.signed(aliasOf(7))
    const put = store.put.bind(store)
    let raced = false
    store.put = async (...args) => {
      if (!raced) {
        raced = true
        await put(lastReleaseKey('a'), newer)
      }
      return put(...args)
    }
    await keepLastRelease(store, 'a', await signer.signed(aliasOf(5)), signing, LIMITS)
    expect(await kept(store)).toBe(7)
  })
})
