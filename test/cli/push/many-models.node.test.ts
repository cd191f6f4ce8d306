import { expect, it } from 'vitest'
import { manyModels, manyModelsTable } from '../../../src/cli/push/many-models.ts'
import { indexSweepOf } from '../../../src/cli/target/target.ts'
import { nameOf, storeModel } from '../../fixtures/catalogue.ts'
import { MemoryStore } from '../../fixtures/memory-store.ts'

const { signal } = new AbortController()

it('lists many models by the index: the first hundred, all of them, or those whose names begin so', async () => {
  const store = new MemoryStore()
  for (let i = 0; i < 100; i++) await storeModel(store, nameOf(i))
  const live = ['1', '2'].map((version) => ({ version, weight: Number(version) }))
  await storeModel(store, nameOf(7), { versions: ['1', '2'], live, visibility: 'private', generation: 4 })
  expect(await manyModels(store, { all: false }, signal)).toBeNull()
  await indexSweepOf(store).run(200)
  // Few models are listed with all that their manifests say.
  expect(await manyModels(store, { all: false }, signal)).toBeNull()
  await storeModel(store, nameOf(100))
  await indexSweepOf(store).run(200)
  const first = await manyModels(store, { all: false }, signal)
  expect([first?.entries.length, first?.more]).toEqual([100, true])
  const all = await manyModels(store, { all: true }, signal)
  expect([all?.entries.length, all?.more]).toEqual([101, false])
  const some = await manyModels(store, { all: false, prefix: 'model-00000' }, signal)
  expect(some?.entries.map(({ model }) => model)).toEqual(Array.from({ length: 10 }, (_, i) => nameOf(i)))
  expect(
    manyModelsTable(some?.entries.slice(6, 8) ?? [])
      .split('\n')
      .map((line) => line.split(/ {2,}/)),
  ).toEqual([
    ['model', 'live', 'visibility', 'task', 'smallest artifact', 'generation'],
    [nameOf(6), '1', 'public', 'text-classification', '7 B', '1'],
    [nameOf(7), '2 and 1 more', 'private', 'text-classification', '7 B', '4'],
  ])
})
