import { describe, expect, it } from 'vitest'
import type { ModelEntry } from '../../../src/catalog/index/entry.ts'
import { parseHead } from '../../../src/catalog/index/format.ts'
import { AliasLists, IndexedLists } from '../../../src/catalog/index/model-lists.ts'
import type { ListQuery, ListScope, ModelPage } from '../../../src/catalog/index/query.ts'
import { IndexReader } from '../../../src/catalog/index/reader.ts'
import { IndexSweep } from '../../../src/catalog/index/sweep.ts'
import { IndexWriter } from '../../../src/catalog/index/writer.ts'
import { aliasKey, INDEX_HEAD_KEY, INDEX_PAGE_PREFIX, manifestKey } from '../../../src/catalog/keys.ts'
import { CatalogReader } from '../../../src/catalog/reader.ts'
import { nodeSha256 } from '../../../src/cli/pack/bytes.ts'
import { VergeError } from '../../../src/core/errors.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { readAtMost } from '../../../src/weights/body.ts'
import type { Store } from '../../../src/weights/store.ts'
import { nameOf, storeModel } from '../../fixtures/catalogue.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { MemoryStore } from '../../fixtures/memory-store.ts'

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

const HOUR = 3_600_000
const ALL: ListScope = { tree: 'all', sees: () => true }
const PUBLIC: ListScope = { tree: 'public', sees: ({ visibility }) => visibility === 'public' }

/** What a key sees that names these models, or beginnings of names with "*". */
function grantedTo(names: readonly string[], open = false): ListScope {
  const named = (model: string) =>
    names.some((name) => (name.endsWith('*') ? model.startsWith(name.slice(0, -1)) : model === name))
  return {
    tree: 'all',
    some: { names, open },
    sees: ({ model, visibility }) => named(model) || (open && visibility === 'public'),
  }
}

function put(limits = {}, store = new MemoryStore()) {
  const clock = new ManualClock()
  const logged: string[] = []
  const log = (event: string) => void logged.push(event)
  const logger = { info: log, warn: log, error: log }
  let ids = 0
  let gets = 0
  const counting: Store = {
    name: 'r2',
    get: (key, options) => {
      gets++
      return store.get(key, options)
    },
    head: (key, options) => store.head(key, options),
    put: (key, value, options) => store.put(key, value, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: (key, options) => store.delete(key, options),
  }
  const shared = { sha256: nodeSha256, clock, logger, limits: { ...LIMITS, ...limits } }
  const writer = (truth: Store = store) =>
    new IndexWriter(truth, { ...shared, randomId: () => `number-${String(ids++).padStart(4, '0')}` })
  const sweep = (truth: Store = store) => new IndexSweep(truth, writer(truth), shared)
  const reader = () => new IndexReader(counting, shared)
  const lists = (truth: Store = counting) => {
    const catalogue = new CatalogReader([truth], shared)
    return new IndexedLists(new IndexReader(truth, shared), new AliasLists(catalogue, shared), logger)
  }
  const readsOf = async (work: () => Promise<unknown>): Promise<number> => {
    gets = 0
    await work()
    return gets
  }
  const pages = async () => (await store.list(INDEX_PAGE_PREFIX)).keys
  return { store, clock, logged, writer, sweep, reader, lists, readsOf, pages }
}

function query(scope: ListScope, more: Partial<ListQuery> = {}): ListQuery {
  return { scope, limit: 1_000, manifests: true, ...more }
}

const namesIn = ({ entries }: Pick<ModelPage, 'entries'>): string[] => entries.map(({ model }) => model)

/** All of a list, page by page. */
async function whole(
  lists: { page(query: ListQuery): Promise<ModelPage | null> },
  asked: ListQuery,
): Promise<string[]> {
  const names: string[] = []
  let after = asked.after
  for (let turns = 0; turns < 200; turns++) {
    const page = await lists.page({ ...asked, after })
    if (page === null) throw new Error('There is no index.')
    names.push(...namesIn(page))
    if (page.next === undefined) return names
    expect(after === undefined || page.next > after).toBe(true)
    after = page.next
  }
  throw new Error('The list does not end.')
}

/** Pages of 64 entries of a short store, so that there are many. */
const SMALL = { indexPageEntries: 128 }

async function filled(count: number, limits = {}) {
  const all = put(limits)
  for (let i = 0; i < count; i++) {
    await storeModel(all.store, nameOf(i), { visibility: i % 2 === 0 ? 'public' : 'private' })
  }
  const names = Array.from({ length: count }, (_, i) => nameOf(i))
  return { ...all, names, open: names.filter((_, i) => i % 2 === 0) }
}

describe('lists by the index', () => {
  it('have every model once, in parts of any size, and strangers the public ones', async () => {
    const { names, open, reader, sweep } = await filled(600, SMALL)
    expect(await sweep().run(600)).toMatchObject({ head: 'missing', done: 600, whole: true })
    for (const limit of [1_000, 64, 63, 7]) {
      expect(await whole(reader(), query(ALL, { limit }))).toEqual(names)
      expect(await whole(reader(), query(PUBLIC, { limit }))).toEqual(open)
    }
  })

  it('take three reads at most, and none while the isolate has what it needs', async () => {
    const { clock, names, readsOf, reader, sweep } = await filled(600, SMALL)
    await sweep().run(600)
    const mine = reader()
    const asked = query(ALL, { limit: 100, after: names[250] })
    expect(await readsOf(() => mine.page(asked))).toBeLessThanOrEqual(3)
    expect(await readsOf(() => mine.page(asked))).toBe(0)
    await clock.advance(LIMITS.aliasTtlMs)
    expect(await readsOf(() => mine.page(asked))).toBe(1)
    // More than three reads would bring: fewer entries, and where to go on.
    const page = await reader().page(query(ALL))
    expect(page?.entries.length).toBeGreaterThan(100)
    expect(page?.next).toBe(page?.entries.at(-1)?.model)
    expect(await readsOf(() => reader().page(query(ALL)))).toBe(3)
  })

  it('go by the beginning of names, and backwards', async () => {
    const { names, reader, readsOf, sweep } = await filled(600, SMALL)
    await sweep().run(600)
    const asked = query(ALL, { prefix: 'model-00031' })
    expect(namesIn((await reader().page(asked)) ?? { entries: [] })).toEqual(names.slice(310, 320))
    expect(await readsOf(() => reader().page(asked))).toBe(2)
    expect(await whole(reader(), query(ALL, { prefix: 'other' }))).toEqual([])
    const back = await reader().page(query(ALL, { before: names[300], limit: 10 }))
    expect(back && namesIn(back)).toEqual(names.slice(290, 300))
    expect(back?.next).toBe(names[290])
    const first = await reader().page(query(ALL, { before: names[4], limit: 10 }))
    expect(first && namesIn(first)).toEqual(names.slice(0, 4))
    expect(first?.next).toBeUndefined()
  })

  it('show a key what it names, and never the name of another model, also where they go on', async () => {
    const { names, open, reader, sweep } = await filled(600, SMALL)
    await sweep().run(600)
    const granted = [names[1], names[299], 'model-00040*', names[599], 'model-000123x'].flatMap((name) => name ?? [])
    const expected = names.filter((name, i) => [1, 299, 599].includes(i) || name.startsWith('model-00040'))
    expect(await whole(reader(), query(grantedTo(granted)))).toEqual(expected)
    expect(await whole(reader(), query(grantedTo(granted), { limit: 2 }))).toEqual(expected)
    const all = await whole(reader(), query(grantedTo(granted, true)))
    expect(all).toEqual([...new Set([...expected, ...open])].sort())
    // Names of models that there are not, far apart: nothing is found, and the list ends.
    const absent = Array.from({ length: 30 }, (_, i) => `${nameOf(i * 20)}x`)
    expect(await whole(reader(), query(grantedTo(absent)))).toEqual([])
    const page = await reader().page(query(grantedTo(absent)))
    expect(page?.next === undefined || absent.includes(page.next)).toBe(true)
  })

  it('say of a model what its alias and its manifest say, within bounds', async () => {
    const { lists, store, writer } = put()
    const versions = Array.from({ length: 50 }, (_, i) => `v${i}`)
    const live = [
      { version: 'v3', weight: 1 },
      { version: 'v7', weight: 19 },
    ]
    await storeModel(store, 'one', { versions, live, description: 'ü'.repeat(1_000), generation: 12 })
    await writer().touch('one')
    const { entries } = await lists().page(query(ALL))
    expect(entries).toMatchObject([
      {
        model: 'one',
        generation: 12,
        visibility: 'public',
        created: 1_007,
        live: live.toReversed(),
        versionCount: 50,
        main: {
          version: 'v7',
          created: 1_007,
          task: 'text-classification',
          bytes: 7,
          context: 128,
          places: ['edge', 'origin'],
        },
      },
    ])
    expect(entries[0]?.versions.slice(0, 4)).toEqual(['v7', 'v3', 'v49', 'v48'])
    expect(entries[0]?.versions).toHaveLength(32)
    expect(entries[0]?.main?.description).toHaveLength(256)
  })
})

describe('the index', () => {
  it('follows releases, and pages split, join and vanish', async () => {
    const { lists, names, sweep, store, writer } = await filled(300, SMALL)
    await sweep().run(300)
    await storeModel(store, nameOf(150), { visibility: 'private', generation: 2 })
    await writer().touch(nameOf(150))
    expect((await lists().page(query(ALL, { prefix: nameOf(150) }))).entries).toMatchObject([{ generation: 2 }])
    expect((await lists().page(query(PUBLIC, { prefix: nameOf(150) }))).entries).toEqual([])
    for (let i = 0; i < 200; i++) {
      await storeModel(store, `${nameOf(150)}-${String(i).padStart(3, '0')}`)
      if (i % 10 === 9)
        await writer().write(Array.from({ length: 10 }, (_, j) => `${nameOf(150)}-${String(i - j).padStart(3, '0')}`))
    }
    expect(await whole(lists(), query(ALL))).toHaveLength(500)
    expect(await sweep().compare()).toMatchObject({ head: 'whole', models: 500, differing: [], lostPages: 0 })
    for (const name of names) await store.delete(aliasKey(name))
    expect(await sweep().run(1_000)).toMatchObject({ done: 300, whole: true })
    expect(await whole(lists(), query(ALL))).toHaveLength(200)
    for (let i = 0; i < 200; i++) await store.delete(aliasKey(`${nameOf(150)}-${String(i).padStart(3, '0')}`))
    await sweep().run(1_000)
    expect(await lists().page(query(ALL))).toEqual({ entries: [] })
  })

  it('is made by the first change where there are few models, and by the cron trigger where there are many', async () => {
    const few = await filled(5)
    await few.writer().touch(nameOf(3))
    expect(await whole(few.reader(), query(ALL))).toEqual(few.names)

    const many = await filled(300, { indexWrite: 64, indexModelsPerRun: 100 })
    await many.writer().touch(nameOf(3))
    expect(await many.reader().page(query(ALL))).toBeNull()
    // Until it is whole, lists are made of the aliases.
    expect(await whole(many.lists(), query(ALL))).toEqual(many.names)
    expect(many.logged).toContain('list_without_index')
    for (const done of [100, 100, 99]) expect(await many.sweep().tick()).toMatchObject({ done })
    expect(await whole(many.reader(), query(ALL))).toEqual(many.names)
    expect(await many.sweep().tick()).toMatchObject({ done: 0, changed: false, whole: true })
  })

  it('has the newest of two writers, in whatever order they write', async () => {
    const { lists, store, sweep, writer } = await filled(4)
    await sweep().run(10)
    const slow: Store = {
      name: 'slow',
      get: (key, options) => store.get(key, options),
      head: (key, options) => store.head(key, options),
      list: (prefix, options) => store.list(prefix, options),
      delete: (key, options) => store.delete(key, options),
      // Between the first writer's pages and its head, another one releases and writes both.
      put: async (key, value, options) => {
        if (key === INDEX_HEAD_KEY && options?.onlyIf !== undefined && !raced) {
          raced = true
          await storeModel(store, nameOf(1), { generation: 3 })
          await writer().touch(nameOf(1))
        }
        return store.put(key, value, options)
      },
    }
    let raced = false
    await storeModel(store, nameOf(1), { generation: 2 })
    await writer(slow).touch(nameOf(1))
    expect(raced).toBe(true)
    expect((await lists().page(query(ALL, { prefix: nameOf(1) }))).entries).toMatchObject([{ generation: 3 }])
    expect(await sweep().compare()).toMatchObject({ head: 'whole', differing: [] })
  })

  it('survives a writer that ends before the head, a store that fails, and what it leaves behind', async () => {
    const { clock, lists, logged, pages, store, sweep, writer } = await filled(4)
    await sweep().run(10)
    const before = await pages()
    const failing: Store = {
      name: 'failing',
      get: (key, options) => store.get(key, options),
      head: (key, options) => store.head(key, options),
      list: (prefix, options) => store.list(prefix, options),
      delete: (key, options) => store.delete(key, options),
      put: async (key, value, options) => {
        if (key === INDEX_HEAD_KEY) throw new VergeError('store_unavailable', 'R2 does not answer.')
        return store.put(key, value, options)
      },
    }
    await storeModel(store, nameOf(1), { generation: 2 })
    await writer(failing).touch(nameOf(1))
    expect(logged).toContain('index_not_updated')
    expect((await pages()).length).toBeGreaterThan(before.length)
    const generation = async () => (await lists().page(query(ALL, { prefix: nameOf(1) }))).entries[0]?.generation
    expect(await generation()).toBe(1)
    expect(await sweep().tick()).toMatchObject({ done: 1, changed: true, whole: true })
    expect(await generation()).toBe(2)
    await clock.advance(LIMITS.indexPageHours * HOUR)
    expect(await sweep().deleteOldPages()).toBeGreaterThan(0)
    expect(await pages()).toHaveLength(2)
    expect(await generation()).toBe(2)
  })

  it('is mended where a page is missing or damaged, and lists are whole meanwhile', async () => {
    const { logged, lists, names, open, store, sweep } = await filled(300, SMALL)
    await sweep().run(300)
    const head = await store.get(INDEX_HEAD_KEY)
    const bytes = head && (await readAtMost(head.body, LIMITS.indexHeadBytes))
    const { all, public: shown } = parseHead(bytes ?? new Uint8Array()) ?? { all: [], public: [] }
    await store.delete(INDEX_PAGE_PREFIX + all[1]?.id)
    await store.put(INDEX_PAGE_PREFIX + shown[0]?.id, utf8('{"model":"other"}'))
    expect(await whole(lists(), query(ALL))).toEqual(names)
    expect(logged).toContain('index_damaged')
    expect(await sweep().compare()).toMatchObject({ head: 'damaged', lostPages: 2 })
    while (!(await sweep().run(300)).whole) expect(logged.length).toBeLessThan(1_000)
    expect(await sweep().compare()).toMatchObject({ head: 'whole', differing: [], lostPages: 0 })
    const after = logged.length
    expect(await whole(lists(), query(ALL))).toEqual(names)
    expect(await whole(lists(), query(PUBLIC))).toEqual(open)
    expect(logged.slice(after)).toEqual([])
  })

  it('is read again where a page was replaced since the head was read', async () => {
    const { names, pages, reader, store, sweep, writer } = await filled(10)
    await sweep().run(10)
    const mine = reader()
    expect(await mine.page(query(PUBLIC, { limit: 1 }))).not.toBeNull()
    const old = await pages()
    await storeModel(store, nameOf(0), { generation: 2 })
    await writer().touch(nameOf(0))
    for (const key of old) await store.delete(key)
    expect(namesIn((await mine.page(query(ALL))) ?? { entries: [] })).toEqual(names)
  })

  it('is left alone where a newer Verge wrote it, and made anew where the head is damaged', async () => {
    const { lists, names, reader, store, sweep, writer } = await filled(5)
    await store.put(INDEX_HEAD_KEY, utf8('{"schema":2,"pages":[]}'))
    await writer().touch(nameOf(0))
    expect(await sweep().run(10)).toMatchObject({ head: 'newer', done: 0, whole: false })
    expect(await whole(lists(), query(ALL))).toEqual(names)
    for (const bad of ['', '{', '[]', '{"schema":1,"complete":true,"all":[{"id":"../x","blocks":[]}],"public":[]}']) {
      await store.put(INDEX_HEAD_KEY, utf8(bad))
      expect(await reader().page(query(ALL))).toBeNull()
      await writer().touch(nameOf(0))
      expect(await whole(reader(), query(ALL))).toEqual(names)
    }
    await store.put(INDEX_HEAD_KEY, new Uint8Array(LIMITS.indexHeadBytes + 1))
    expect(await sweep().run(10)).toMatchObject({ head: 'damaged', whole: true })
    expect(await whole(reader(), query(ALL))).toEqual(names)
  })

  it('leaves out models that cannot be read, and keeps those whose manifest cannot', async () => {
    const { lists, logged, store, sweep } = await filled(3)
    await store.put(aliasKey(nameOf(1)), utf8('no JSON'))
    await store.delete(manifestKey(nameOf(2), '1'))
    expect(await sweep().run(10)).toMatchObject({ whole: true })
    const { entries } = await lists().page(query(ALL))
    expect(entries.map(({ main, model }) => [model, main?.version])).toEqual([
      [nameOf(0), '1'],
      [nameOf(2), undefined],
    ])
    expect(logged).toContain('model_left_out_of_index')
    await store.delete(INDEX_HEAD_KEY)
    expect(namesIn(await lists().page(query(ALL)))).toEqual([nameOf(0), nameOf(2)])
    expect(logged).toContain('model_left_out_of_list')
  })

  it('is compared every few minutes where it has many models', async () => {
    const { clock, sweep } = await filled(30, { indexCompared: 10 })
    await sweep().run(30)
    const looked: boolean[] = []
    for (let minute = 0; minute < 6; minute++) {
      looked.push((await sweep().tick()) !== null)
      await clock.advance(60_000)
    }
    expect(looked).toEqual([true, false, false, true, false, false])
  })

  it('keeps pages and the head within their bytes, whatever names and descriptions there are', async () => {
    const { logged, pages, reader, store, sweep } = put({ indexPageBytes: 16 * 1024, indexHeadBytes: 2_000 })
    const long = (i: number) => `${'n'.repeat(60)}${i}`
    for (let i = 100; i < 140; i++)
      await storeModel(store, long(i), { description: 'x'.repeat(500), versions: ['a', 'b'] })
    await sweep().run(100)
    for (const key of await pages()) {
      const found = await store.get(key)
      expect(found && (await readAtMost(found.body, 16 * 1024))?.length).toBeGreaterThan(1_000)
    }
    expect(await whole(reader(), query(ALL))).toHaveLength(40)
    for (let i = 140; i < 400; i++) await storeModel(store, long(i), { description: 'x'.repeat(500) })
    await sweep().run(400)
    expect(logged).toContain('index_full')
    expect(await whole(reader(), query(ALL))).not.toHaveLength(300)
  })
})

it('an entry of another shape is not taken for one', async () => {
  const { pages, reader, store, sweep } = await filled(1)
  await sweep().run(1)
  const [key = ''] = await pages()
  const found = await store.get(key)
  const bytes = found && (await readAtMost(found.body, 10_000))
  const entry = JSON.parse(new TextDecoder().decode(bytes ?? undefined)) as ModelEntry
  const wrong = [
    { ...entry, visibility: 'everybody' },
    { ...entry, model: '../x' },
    { ...entry, versions: ['a/b'] },
    { ...entry, live: [{ version: '1' }] },
    { ...entry, main: { ...entry.main, places: ['moon'] } },
    { ...entry, main: { ...entry.main, bytes: '1' } },
    { ...entry, created: 1e15 },
    { ...entry, main: { ...entry.main, created: -1 } },
    [],
    null,
  ]
  for (const value of wrong) {
    const line = `${JSON.stringify(value)}`.padEnd((bytes?.length ?? 0) - 1).slice(0, (bytes?.length ?? 0) - 1)
    for (const page of await pages()) await store.put(page, utf8(`${line}\n`))
    expect(await reader().page(query(ALL))).toBeNull()
  }
})

it('a head that claims pages of any length has nothing of that length read', async () => {
  const { lists, names, store, sweep } = await filled(2)
  await sweep().run(2)
  const page = (first: string, i: number, bytes: number) => ({
    id: `1-${'x'.repeat(8)}${i}`,
    blocks: [[first, 1, 1, bytes]],
  })
  const asked: (number | undefined)[] = []
  const watching: Store = {
    name: 'r2',
    head: (key, options) => store.head(key, options),
    put: (key, value, options) => store.put(key, value, options),
    delete: (key, options) => store.delete(key, options),
    get: (key, options) => {
      if (key.startsWith(INDEX_PAGE_PREFIX)) asked.push(options?.range?.length)
      return store.get(key, options)
    },
    list: (prefix, options) => store.list(prefix, options),
  }
  for (const bytes of [1e9, Number.MAX_SAFE_INTEGER]) {
    const tree = names.map((name, i) => page(name, i, bytes))
    await store.put(INDEX_HEAD_KEY, utf8(JSON.stringify({ schema: 1, complete: true, all: tree, public: tree })))
    expect(await whole(lists(watching), query(ALL))).toEqual(names)
    expect(asked).toEqual([])
  }
  await sweep().run(10)
  expect(await sweep().run(10)).toMatchObject({ whole: true })
  expect(await whole(lists(), query(PUBLIC))).toEqual(['model-000000'])
})

it('a time that no calendar has breaks no list', async () => {
  const { lists, store, writer } = put()
  await storeModel(store, 'one', { created: { '1': Number.MAX_SAFE_INTEGER } })
  await writer().touch('one')
  const { entries } = await lists().page(query(ALL))
  const [{ created = 0, main } = {}] = entries
  expect([created, main?.created].map((at = 0) => new Date(at * 1000).getUTCFullYear())).toEqual([9999, 9999])
})

it('a clock that went back has the head read again', async () => {
  const { clock, names, reader, store, sweep, writer } = await filled(3)
  await clock.advance(HOUR)
  await sweep().run(3)
  const mine = reader()
  await mine.page(query(ALL))
  await storeModel(store, 'later')
  await writer().touch('later')
  await clock.advance(-HOUR)
  expect(namesIn((await mine.page(query(ALL))) ?? { entries: [] })).toEqual(['later', ...names])
})
