import { expect, it } from 'vitest'
import { INDEX_HEAD_KEY, INDEX_PAGE_PREFIX } from '../../../src/catalog/keys.ts'
import { checkIndex } from '../../../src/cli/doctor/lists.ts'
import { indexSweepOf } from '../../../src/cli/target/target.ts'
import { storeModel } from '../../fixtures/catalogue.ts'
import { MemoryStore } from '../../fixtures/memory-store.ts'

it('says whether the index of lists is as the aliases are', async () => {
  const store = new MemoryStore()
  expect(await checkIndex(store)).toEqual([])
  await storeModel(store, 'one')
  expect(await checkIndex(store)).toMatchObject([{ status: 'warn', finding: /there is no index/ }])
  await indexSweepOf(store).run(10)
  expect(await checkIndex(store)).toMatchObject([{ status: 'ok', finding: /has 1 model/ }])
  await storeModel(store, 'two')
  expect(await checkIndex(store)).toMatchObject([{ status: 'warn', finding: /lags behind 1 model of 2/ }])
  for (const key of (await store.list(INDEX_PAGE_PREFIX)).keys) await store.delete(key)
  expect(await checkIndex(store)).toMatchObject([{ status: 'warn', finding: /2 pages missing/ }])
  await store.put(INDEX_HEAD_KEY, new TextEncoder().encode('{"schema":9}'))
  expect(await checkIndex(store)).toMatchObject([{ status: 'warn', finding: /newer Verge/ }])
})
