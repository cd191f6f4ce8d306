import { describe, expect, it } from 'vitest'
import { tracedStore } from '../../../src/telemetry/traces/traced-store.ts'
import { MemoryStore } from '../../fixtures/memory-store.ts'
import { tracing } from '../../fixtures/traces.ts'

describe('a store whose calls are recorded', () => {
  it('shows the kind of a key and what was found, never the key', async () => {
    const { arrival, exported, tracer } = tracing()
    const store = tracedStore(new MemoryStore(), 'r2', tracer)
    await store.put('alias/secret-model', new Uint8Array(3))
    expect(await exported()).toEqual([])
    await tracer.request(arrival, async () => {
      await (await store.get('alias/secret-model', { range: { offset: 0, length: 2 } }))?.body.cancel()
      await store.get('key/secret')
      await store.head('secret')
      await store.list('alias/')
      await store.delete('alias/secret-model')
    })
    const spans = await exported()
    expect(spans.slice(0, -1).map(({ attributes }) => Object.values(attributes))).toEqual([
      ['get', 'alias', 'hit', 2],
      ['get', 'key', 'miss'],
      ['head', 'other', 'miss'],
      ['list', 'alias', 1],
      ['delete', 'alias'],
    ])
    expect(JSON.stringify(spans)).not.toContain('secret')
  })
})
