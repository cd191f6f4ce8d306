import { expect, it } from 'vitest'
import { auditKey, hashOf } from '../../src/audit/entry.ts'
import { verifyChain } from '../../src/audit/verify.ts'
import { canonicalBytes } from '../../src/catalog/canonical-json.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { nodeSha256 } from '../../src/origin/sha256.ts'
import type { Store } from '../../src/weights/store.ts'
import { MemoryStore } from '../fixtures/memory-store.ts'

const OTHER = 'cd'.repeat(32)

it('reads a chain of 1,000 entries in pages', async () => {
  const store = new MemoryStore({ pageSize: 150 })
  let previous = '0'.repeat(64)
  const entries: [string, Uint8Array][] = []
  for (let seq = 1; seq <= 1000; seq++) {
    const fields = { at: '2026-01-01T00:00:00.000Z', by: 'ann', action: 'release', subject: `alias/m${seq % 7}` }
    const content = { schema: 1, seq, ...fields, before: null, after: { sha256: OTHER, value: seq }, previous }
    const hash = await hashOf(content, nodeSha256)
    entries.push([auditKey(seq), canonicalBytes({ ...content, hash })])
    previous = hash
  }
  await Promise.all(entries.map(([key, bytes]) => store.put(key, bytes)))
  let reading = 0
  let most = 0
  const counting: Store = {
    name: store.name,
    head: (key) => store.head(key),
    put: (key, value, options) => store.put(key, value, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: (key) => store.delete(key),
    async get(key, options) {
      most = Math.max(most, ++reading)
      const found = await store.get(key, options)
      reading--
      return found
    },
  }
  const report = await verifyChain(counting, { sha256: nodeSha256, limits: LIMITS })
  expect(report).toMatchObject({ entries: 1000, faults: [], last: { seq: 1000, hash: previous } })
  expect(report.recorded.get('alias/m6')?.seq).toBe(1000)
  expect(most).toBe(LIMITS.auditPage)
  await store.delete(auditKey(500))
  const { faults } = await verifyChain(store, { sha256: nodeSha256, limits: LIMITS })
  expect(faults).toEqual([{ seq: 500, finding: 'Entry 500 is missing.' }])
})
