import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/core/limits.ts'
import { systemClock } from '../../../src/core/runtime.ts'
import { sha256Factory } from '../../../src/core/sha256.ts'
import { blobKey } from '../../../src/weights/blob.ts'
import { StorePages } from '../../../src/weights/pages/store-pages.ts'
import { R2Store } from '../../../src/weights/r2.ts'
import type { ByteRange, GetOptions, Store, StoredValue } from '../../../src/weights/store.ts'
import { expectBytes, pageLayerContract, readPages } from '../../contract/page-layer.ts'
import { bindings } from '../../fixtures/bindings.ts'
import { MemoryStore } from '../../fixtures/memory-store.ts'
import { type PagedBytes, type PagedOptions, pagedBytes, putChunks } from '../../fixtures/paged-file.ts'

const sha256 = sha256Factory()
const make = (options: PagedOptions) => pagedBytes(sha256, options)
const storePages = (store: Store, limits: Partial<Record<keyof typeof LIMITS, number>> = {}) =>
  new StorePages(store, { clock: systemClock, limits: { ...LIMITS, ...limits } })

/** The chunk that has a byte of a file, and where it begins. */
function chunkAt(
  { file }: PagedBytes,
  offset: number,
): { readonly key: string; readonly from: number; readonly to: number } {
  let from = 0
  for (const { bytes, sha256 } of file.chunks) {
    if (offset < from + bytes) return { key: blobKey(sha256), from, to: from + bytes }
    from += bytes
  }
  throw new Error('past the end')
}

const stores: readonly (readonly [string, () => Store])[] = [
  ['r2', () => new R2Store(bindings.BUCKET)],
  ['memory', () => new MemoryStore()],
]
for (const [name, makeStore] of stores) {
  pageLayerContract(name, () => {
    const store = makeStore()
    return {
      layer: storePages(store),
      make,
      store: (paged) => putChunks(store, paged),
      async remove(paged, page) {
        const { key, from, to } = chunkAt(paged, page.offset)
        await store.delete(key)
        return paged.pages.filter(({ offset }) => offset >= from && offset < to)
      },
      async spoil(paged, page) {
        const { key, from, to } = chunkAt(paged, page.offset)
        const chunk = paged.data.slice(from, to)
        chunk[page.offset - from] = (chunk[page.offset - from] ?? 0) ^ 1
        await store.put(key, chunk)
      },
    }
  })
}

/** A store, watched: which ranges are read, and how many at once. */
class Watched extends MemoryStore {
  readonly ranges: (ByteRange | undefined)[] = []
  open = 0
  mostOpen = 0

  override async get(key: string, options: GetOptions = {}): Promise<StoredValue | null> {
    this.ranges.push(options.range)
    this.mostOpen = Math.max(this.mostOpen, ++this.open)
    await systemClock.sleep(1)
    this.open--
    return super.get(key, options)
  }
}

describe('StorePages', () => {
  const KiB = 1024
  const options = { pages: 256, pageBytes: KiB, chunkBytes: 64 * KiB }
  const gaps = { pageGapBytes: 2 * KiB, pageRangeBytes: 16 * KiB }
  const pick = ({ pages }: PagedBytes, places: readonly number[]) => places.flatMap((index) => pages[index] ?? [])

  it('reads neighbours, and pages with a small gap between them, at once, but never across chunks', async () => {
    const store = new Watched()
    const paged = await make(options)
    await putChunks(store, paged)
    const pages = pick(paged, [5, 6, 7, 10, 14, 63, 64, 200])
    expectBytes(paged, pages, await readPages(storePages(store, gaps), paged, pages))
    expect(store.ranges).toEqual([
      { offset: 5 * KiB, length: 6 * KiB },
      { offset: 14 * KiB, length: KiB },
      { offset: 63 * KiB, length: KiB },
      { offset: 0, length: KiB },
      { offset: 8 * KiB, length: KiB },
    ])
  })

  it('bounds what it reads at once, and how much of it', async () => {
    const store = new Watched()
    const paged = await make(options)
    await putChunks(store, paged)
    const outcome = await readPages(storePages(store, gaps), paged, paged.pages)
    expect(outcome.found.size).toBe(256)
    expect(store.ranges).toHaveLength(16)
    expect(store.ranges.every((range) => range?.length === 16 * KiB)).toBe(true)
    expect(store.mostOpen).toBe(LIMITS.parallelFetches)
  })

  it('puts pages together that lie in several chunks', async () => {
    const store = new MemoryStore()
    const paged = await make({ pages: 30, pageBytes: 1_000, chunkBytes: 300, lastBytes: 950 })
    await putChunks(store, paged)
    const outcome = await readPages(storePages(store), paged, paged.pages)
    expect(outcome.found.size).toBe(30)
    expectBytes(paged, paged.pages, outcome)
    await store.delete(chunkAt(paged, 4_250).key)
    const { faults } = await readPages(storePages(store), paged, paged.pages)
    expect([...faults]).toEqual([[4, 'missing']])
  })

  it('finds what a chunk has that is shorter than declared, and reports the rest', async () => {
    for (const store of [new MemoryStore(), new R2Store(bindings.BUCKET)]) {
      const paged = await make(options)
      await putChunks(store, paged)
      const { key, from } = chunkAt(paged, 64 * KiB)
      await store.put(key, paged.data.slice(from, from + 10_000))
      const pages = pick(paged, [64, 72, 73, 74, 100, 127, 128])
      const outcome = await readPages(storePages(store, gaps), paged, pages)
      expect([...outcome.faults.values()], store.name).toEqual(['short', 'short', 'short', 'short'])
      expect([...outcome.found.keys()].sort(), store.name).toEqual([0, 1, 6])
      expectBytes(paged, pages, outcome)
    }
  })

  it('takes no more than it asked for from a store that sends more', async () => {
    class Generous extends MemoryStore {
      override get(key: string, { signal }: GetOptions = {}): Promise<StoredValue | null> {
        return super.get(key, { ...(signal && { signal }) })
      }
    }
    const store = new Generous()
    const paged = await make(options)
    await putChunks(store, paged)
    const pages = pick(paged, [0, 64])
    expectBytes(paged, pages, await readPages(storePages(store, gaps), paged, pages))
  })

  const broken: readonly (readonly [string, string, () => Promise<StoredValue | null>])[] = [
    ['never answers', 'stalled', () => new Promise(() => {})],
    ['never sends', 'stalled', async () => ({ bytes: 1, body: new ReadableStream() })],
  ]
  for (const [what, kind, get] of broken) {
    it(`reports every page of a store that ${what}`, async () => {
      const store = Object.assign(new MemoryStore(), { get })
      const paged = await make(options)
      const pages = pick(paged, [1, 2, 70])
      const { faults } = await readPages(storePages(store, { chunkStallMs: 40 }), paged, pages)
      expect([...faults.values()]).toEqual([kind, kind, kind])
    })
  }

  it('does not take an error of its own for a fault of the store', async () => {
    const store = Object.assign(new MemoryStore(), { get: () => Promise.reject(new RangeError('a mistake')) })
    const paged = await make(options)
    await expect(readPages(storePages(store), paged, paged.pages.slice(0, 2))).rejects.toThrow('a mistake')
  })
})
