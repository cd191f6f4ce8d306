import { expect, it } from 'vitest'
import { ObservedStore } from '../../src/weights/observed-store.ts'
import type { Store } from '../../src/weights/store.ts'
import { MemoryStore } from '../fixtures/memory-store.ts'

it('tells of each read what came of it, and of nothing that its caller ended', async () => {
  const told: string[] = []
  const memory = new MemoryStore()
  await memory.put('alias/digits', new Uint8Array(3))
  const failing: Store = new Proxy(memory, {
    get: (target, name) => (name === 'get' ? () => Promise.reject(new Error('away')) : Reflect.get(target, name)),
  })
  const observed = new ObservedStore(memory, (key, outcome) => told.push(`${key} ${outcome}`))
  expect(await observed.head('alias/digits')).toMatchObject({ bytes: 3 })
  expect(await observed.get('alias/digits')).not.toBeNull()
  expect(await observed.get('alias/none')).toBeNull()
  const broken = new ObservedStore(failing, (key, outcome) => told.push(`${key} ${outcome}`))
  await expect(broken.get('blob/sha256/0')).rejects.toThrow('away')
  await expect(broken.get('blob/sha256/1', { signal: AbortSignal.abort() })).rejects.toThrow()
  expect(told).toEqual(['alias/digits hit', 'alias/none miss', 'blob/sha256/0 failed'])
})
