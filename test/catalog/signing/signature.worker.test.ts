import { describe, expect, it } from 'vitest'
import type { Alias } from '../../../src/catalog/alias.ts'
import { canonicalBytes } from '../../../src/catalog/canonical-json.ts'
import { checkSignature, isExpired } from '../../../src/catalog/signing/signature.ts'
import { testSigner } from '../../fixtures/release-keys.ts'

const digest = (letter: string): string => letter.repeat(64)

function aliasOf(model: string): Alias {
  return {
    schema: 1,
    model,
    generation: 7,
    visibility: 'private',
    versions: { '1': digest('a'), '2': digest('b') },
    live: [
      { version: '1', weight: 90 },
      { version: '2', weight: 10 },
    ],
    created: { '1': 100, '2': 200 },
    history: ['1'],
  }
}

function parsed(bytes: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(bytes))
}

const signer = await testSigner()
const stored = await signer.signed(aliasOf('mine'), { at: 10, expires: 20 })

describe('checkSignature', () => {
  it('accepts what an accepted key has signed', async () => {
    expect(await checkSignature(stored, parsed(stored), [signer.key])).toMatchObject({
      fault: undefined,
      signature: { key: signer.key.id, at: 10, expires: 20 },
    })
    const other = await testSigner()
    expect(await checkSignature(stored, parsed(stored), [other.key, signer.key])).toMatchObject({ fault: undefined })
    expect(await checkSignature(stored, parsed(stored), [other.key])).toMatchObject({ fault: 'unknown_key' })
    expect(await checkSignature(stored, parsed(stored), [])).toMatchObject({ fault: 'unknown_key' })
  })

  it('refuses every changed bit', async () => {
    let read = 0
    for (let at = 0; at < stored.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = stored.slice()
        changed[at] = (changed[at] ?? 0) ^ (1 << bit)
        let value: unknown
        try {
          value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(changed))
        } catch {
          // no reader takes it for an alias
          continue
        }
        read++
        const { fault } = await checkSignature(changed, value, [signer.key])
        expect(fault, `bit ${bit} of byte ${at}`).toBeDefined()
      }
    }
    // most bits of names, digests and numbers leave the text JSON
    expect(read).toBeGreaterThan(stored.length * 3)
  })

  it('refuses every field that is changed, added or taken away, of the alias and of its signature', async () => {
    const alias = await signer.signAlias(aliasOf('mine'), { at: 10, expires: 20 })
    const { signature } = alias
    const changes: Record<string, unknown> = {
      model: 'yours',
      generation: 8,
      visibility: 'public',
      versions: { '1': digest('a'), '2': digest('c') },
      live: [{ version: '2', weight: 100 }],
      created: {},
      history: [],
      schema: 2,
      seeded: 7,
      unknown: true,
      'signature.at': 11,
      'signature.expires': 2_000_000_000,
      'signature.key': 'f'.repeat(16),
      'signature.more': 1,
    }
    for (const [name, to] of Object.entries(changes)) {
      const field = name.startsWith('signature.') ? name.slice('signature.'.length) : undefined
      const changed = field ? { ...alias, signature: { ...signature, [field]: to } } : { ...alias, [name]: to }
      const bytes = canonicalBytes(changed)
      expect((await checkSignature(bytes, parsed(bytes), [signer.key])).fault, name).toBeDefined()
    }
    for (const name of Object.keys(alias)) {
      const { [name as keyof Alias]: _, ...rest } = alias
      const bytes = canonicalBytes(rest)
      const expected = name === 'signature' ? 'unsigned' : 'wrong'
      expect((await checkSignature(bytes, parsed(bytes), [signer.key])).fault, name).toBe(expected)
    }
    const endless = canonicalBytes({ ...alias, signature: { ...signature, expires: undefined } })
    expect((await checkSignature(endless, parsed(endless), [signer.key])).fault).toBe('wrong')
  })

  it('refuses the same contents in other bytes, in which another reader could find other contents', async () => {
    const text = new TextDecoder().decode(stored)
    const others = [
      ` ${text}`,
      `${text}\n`,
      text.replace('"generation":7', '"generation":7.0'),
      text.replace('"generation":7', '"generation":9,"generation":7'),
      text.replace('"mine"', '"\\u006dine"'),
    ]
    for (const other of others) {
      expect(other).not.toBe(text)
      const bytes = new TextEncoder().encode(other)
      expect(parsed(bytes)).toEqual(parsed(stored))
      expect((await checkSignature(bytes, parsed(bytes), [signer.key])).fault, other).toBe('wrong')
    }
  })

  it("does not take one model's signature for another's, nor a signature of the bare JSON", async () => {
    const mine = await signer.signAlias(aliasOf('mine'))
    const grafted = canonicalBytes({ ...aliasOf('other'), signature: mine.signature })
    expect((await checkSignature(grafted, parsed(grafted), [signer.key])).fault).toBe('wrong')
  })
})

describe('isExpired', () => {
  it('is so from the second of the end on', () => {
    expect(isExpired({ expires: 20 }, 19_999)).toBe(false)
    expect(isExpired({ expires: 20 }, 20_000)).toBe(true)
    expect(isExpired({}, Number.MAX_SAFE_INTEGER)).toBe(false)
  })
})
