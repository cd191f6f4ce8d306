import { describe, expect, it } from 'vitest'
import { Attempts } from '../../src/access/attempts.ts'
import { Credentials } from '../../src/access/credentials.ts'
import { KeyReader } from '../../src/access/keys/reader.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { callerOf } from '../../src/rpc/caller.ts'
import { issueKey, storeKey } from '../fixtures/keys.ts'
import { MemoryStore } from '../fixtures/memory-store.ts'

const context = { waitUntil() {} }

async function knowing() {
  const store = new MemoryStore()
  const { record, text } = await issueKey({ models: ['m'] })
  await storeKey(record, store)
  const shared = { clock: systemClock, limits: LIMITS, logger: silentLogger }
  const credentials = new Credentials({
    ...shared,
    keys: new KeyReader(store, store, shared),
    attempts: new Attempts(shared),
  })
  return { known: { callers: new Set(['shop']), credentials }, record, text }
}

describe('the caller over a binding', () => {
  it('is who the token names, whatever the binding says', async () => {
    const { known, record, text } = await knowing()
    for (const props of [undefined, { caller: 'shop' }, { caller: 'unknown' }]) {
      expect(await callerOf(props, text, known, context)).toMatchObject({
        kind: 'granted',
        principal: `key:${record.id}`,
      })
      expect(await callerOf(props, 'none', known, context)).toEqual({ kind: 'anonymous', unaccepted: 'key' })
    }
  })

  it('is the Worker that the binding names, without a token', async () => {
    const { known } = await knowing()
    expect(await callerOf({ caller: 'shop' }, undefined, known, context)).toEqual({ kind: 'service', name: 'shop' })
    for (const caller of ['Shop', '', 5, null, ['shop']]) {
      expect(await callerOf({ caller }, undefined, known, context)).toEqual({ kind: 'anonymous', unaccepted: 'name' })
    }
    for (const props of [undefined, null, 'shop', {}]) {
      expect(await callerOf(props, undefined, known, context)).toEqual({ kind: 'anonymous' })
    }
  })

  it('has no way in by a token where none is accepted, or by one that is longer than any', async () => {
    const { known, text } = await knowing()
    expect(await callerOf(undefined, text, { callers: new Set() }, context)).toEqual({
      kind: 'anonymous',
      unaccepted: 'key',
    })
    const long = callerOf(undefined, 'x'.repeat(LIMITS.credentialLength + 1), known, context)
    await expect(long).rejects.toMatchObject({ code: 'unauthorized' })
  })
})
