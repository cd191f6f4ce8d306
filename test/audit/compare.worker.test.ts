import { expect, it } from 'vitest'
import { compareRecords } from '../../src/audit/compare.ts'
import { sha256Factory, sha256Hex } from '../../src/core/sha256.ts'
import { R2Store } from '../../src/weights/r2.ts'
import type { Store } from '../../src/weights/store.ts'
import { text } from '../contract/store.ts'
import { bindings } from '../fixtures/bindings.ts'
import { partOfStore } from '../fixtures/part-of-store.ts'

const sha256 = sha256Factory()

it('compares each record with the last entry about it', async () => {
  const store = partOfStore(new R2Store(bindings.BUCKET, { pageSize: 2 }), `compare-${crypto.randomUUID()}/`)
  const digest = (value: string) => sha256Hex(sha256, text(value))
  const [old, now] = [await digest('old'), await digest('now')]
  await store.put('alias/as-recorded', text('now'))
  await store.put('alias/interrupted', text('old'))
  await store.put('alias/edited', text('edited'))
  await store.put('alias/unknown', text('now'))
  await store.put('key/returned', text('old'))
  await store.put('manifest/m/1', text('not of the log'))
  const recorded = new Map([
    ['alias/as-recorded', { seq: 1, before: old, after: now }],
    ['alias/interrupted', { seq: 2, before: old, after: now }],
    ['alias/edited', { seq: 3, before: old, after: now }],
    ['alias/lost', { seq: 4, before: old, after: now }],
    ['alias/removed', { seq: 5, before: old, after: null }],
    ['alias/never-made', { seq: 6, before: null, after: now }],
    ['key/returned', { seq: 7, before: now, after: null }],
  ])
  let reading = 0
  let most = 0
  const counting: Store = Object.assign(Object.create(store) as Store, {
    get: async (key: string) => {
      most = Math.max(most, ++reading)
      return store.get(key).finally(() => reading--)
    },
    list: store.list.bind(store),
  })
  const options = { prefixes: ['alias/', 'key/'], sha256, limits: { auditPage: 3 } }
  const report = await compareRecords(counting, recorded, options)
  expect(most).toBe(3)
  expect(report).toEqual({
    records: 5,
    differences: [
      { subject: 'alias/edited', kind: 'changed', seq: 3, sha256: await digest('edited') },
      { subject: 'alias/interrupted', kind: 'as-before', seq: 2, sha256: old },
      { subject: 'alias/lost', kind: 'missing', seq: 4, sha256: null },
      { subject: 'alias/never-made', kind: 'as-before', seq: 6, sha256: null },
      { subject: 'alias/unknown', kind: 'unrecorded', sha256: now },
      { subject: 'key/returned', kind: 'present', seq: 7, sha256: old },
    ],
  })
})
