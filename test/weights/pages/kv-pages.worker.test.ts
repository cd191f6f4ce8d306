import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/core/limits.ts'
import { systemClock } from '../../../src/core/runtime.ts'
import { sha256Factory } from '../../../src/core/sha256.ts'
import type { PageInfo } from '../../../src/engine/engine.ts'
import { type KvBulkLike, KvPages } from '../../../src/weights/pages/kv-pages.ts'
import { pageKey } from '../../../src/weights/pages/layout.ts'
import { expectBytes, pageLayerContract, readPages } from '../../contract/page-layer.ts'
import { toBase64 } from '../../fixtures/base64.ts'
import { bindings } from '../../fixtures/bindings.ts'
import { type PagedBytes, type PagedOptions, pagedBytes } from '../../fixtures/paged-file.ts'

const { KV } = bindings
const sha256 = sha256Factory()

function keyOf({ file }: PagedBytes, page: PageInfo): string {
  return pageKey(file.sha256, page)
}

function contentOf({ data }: PagedBytes, { bytes, offset }: PageInfo): Uint8Array {
  return data.slice(offset, offset + bytes)
}

async function store(paged: PagedBytes, pages: readonly PageInfo[] = paged.pages): Promise<void> {
  for (let i = 0; i < pages.length; i += 64) {
    const some = pages.slice(i, i + 64)
    await Promise.all(some.map((page) => KV.put(keyOf(paged, page), toBase64(contentOf(paged, page)))))
  }
}

const make = (options: PagedOptions) => pagedBytes(sha256, options)
const kvPages = (namespace: KvBulkLike = KV, limits: Partial<Record<keyof typeof LIMITS, number>> = {}) =>
  new KvPages(namespace, { clock: systemClock, limits: { ...LIMITS, ...limits } })

pageLayerContract('kv', () => ({
  layer: kvPages(),
  make,
  store,
  async remove(paged, page) {
    await KV.delete(keyOf(paged, page))
    return [page]
  },
  async spoil(paged, page) {
    const content = contentOf(paged, page)
    content[5] = (content[5] ?? 0) ^ 1
    await KV.put(keyOf(paged, page), toBase64(content))
  },
}))

/** Real KV, watched. */
class Watched implements KvBulkLike {
  readonly asked: string[][] = []
  open = 0
  mostOpen = 0

  async get(keys: string[], options: { type: 'text'; cacheTtl: number }): Promise<Map<string, string | null>> {
    this.asked.push(keys)
    this.mostOpen = Math.max(this.mostOpen, ++this.open)
    try {
      return await KV.get(keys, options)
    } finally {
      this.open--
    }
  }
}

describe('KvPages', () => {
  const small = { pages: 12, pageBytes: 1_000, chunkBytes: 4_000 }

  it('asks once for up to a hundred pages, and in parallel for more, within the bounds of keys and bytes', async () => {
    const paged = await make({ pages: 350, pageBytes: 300, chunkBytes: 30_000 })
    await store(paged)
    const once = new Watched()
    await readPages(kvPages(once), paged, paged.pages.slice(0, 100))
    expect(once.asked.map((keys) => keys.length)).toEqual([100])

    const more = new Watched()
    const outcome = await readPages(kvPages(more), paged, paged.pages)
    expect(outcome.found.size).toBe(350)
    expect(more.asked.map((keys) => keys.length)).toEqual([100, 100, 100, 50])
    expect(more.mostOpen).toBe(4)

    const bounded = new Watched()
    await readPages(kvPages(bounded, { pageBulkBytes: 6_000 }), paged, paged.pages)
    expect(bounded.asked.every((keys) => keys.length <= 20)).toBe(true)
    expect(bounded.mostOpen).toBe(LIMITS.parallelFetches)
  })

  it('asks for a page once that is wanted twice', async () => {
    const paged = await make(small)
    await store(paged)
    const watched = new Watched()
    const pages = [3, 3, 3].flatMap((index) => paged.pages[index] ?? [])
    expectBytes(paged, pages, await readPages(kvPages(watched), paged, pages))
    expect(watched.asked).toEqual([[keyOf(paged, pages[0] as PageInfo)]])
  })

  it('does not look for a while for pages of a file that has no copies, but does for one that lacks a few', async () => {
    let now = 0
    const watched = new Watched()
    const clock = { ...systemClock, now: () => now }
    const layer = new KvPages(watched, { clock, limits: LIMITS })
    const [none, some] = [await make(small), await make(small)]
    await store(some, some.pages.slice(3))

    for (const pages of [none.pages.slice(0, 3), none.pages.slice(0, 4), none.pages]) {
      expect(new Set((await readPages(layer, none, pages)).faults.values())).toEqual(new Set(['missing']))
    }
    expect(watched.asked).toHaveLength(2)
    for (const pages of [some.pages.slice(0, 3), some.pages]) {
      expect((await readPages(layer, some, pages)).faults.size).toBe(3)
    }
    expect(watched.asked).toHaveLength(4)
    now += LIMITS.pageCopyRestMs
    await store(none)
    expect((await readPages(layer, none, none.pages)).found.size).toBe(12)
    await expect(readPages(layer, none, none.pages, AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' })
  })

  it('looks for copies of a file that has some, however many others are missing', async () => {
    const paged = await make({ pages: 220, pageBytes: 300, chunkBytes: 30_000 })
    const some = paged.pages.slice(0, 110)
    await store(paged, some)
    // One bulk read finds copies, and the one after it none.
    const one = kvPages(KV, { parallelFetches: 1 })
    expect((await readPages(one, paged, paged.pages)).found.size).toBe(110)
    expect((await readPages(one, paged, paged.pages.slice(110))).faults.size).toBe(110)
    expect((await readPages(one, paged, some)).found.size).toBe(110)
  })

  it('takes a text of another length or with other characters for a fault of the copy', async () => {
    const paged = await make(small)
    await store(paged)
    const right = toBase64(contentOf(paged, paged.pages[0] as PageInfo))
    const wrong: readonly (readonly [string, string])[] = [
      ['', 'short'],
      [right.slice(4), 'short'],
      [`${right}AAAA`, 'long'],
      [`%${right.slice(1)}`, 'malformed'],
      [`${right.slice(0, 100)}ä${right.slice(101)}`, 'malformed'],
      [`${right.slice(0, 500)}=${right.slice(501)}`, 'malformed'],
      [`${right.slice(0, -2)}AA`, 'malformed'],
      [right.replaceAll(/[A-Z]/g, '-'), 'malformed'],
    ]
    for (const [index, [text]] of wrong.entries()) await KV.put(keyOf(paged, paged.pages[index] as PageInfo), text)
    const { faults } = await readPages(kvPages(), paged, paged.pages)
    expect([...faults]).toEqual(wrong.map(([, kind], index) => [index, kind]))
  })

  const broken: readonly (readonly [string, string, KvBulkLike['get']])[] = [
    ['rejects', 'unavailable', () => Promise.reject(new Error('413'))],
    [
      'throws',
      'unavailable',
      () => {
        throw new TypeError('no bulk reads here')
      },
    ],
    ['never answers', 'stalled', () => new Promise(() => {})],
    ['answers nothing', 'missing', async () => new Map()],
    ['knows no bulk reads, and answers null', 'malformed', async () => null as never],
    ['answers an object', 'malformed', async () => ({}) as never],
    ['answers numbers', 'malformed', async (keys) => new Map(keys.map((key) => [key, 7 as never]))],
  ]
  for (const [what, kind, get] of broken) {
    it(`reports every page where KV ${what}`, async () => {
      const paged = await make(small)
      const limits = { pageCopyWaitMs: 40 }
      const { faults } = await readPages(kvPages({ get }, limits), paged, paged.pages)
      expect([...faults.values()]).toEqual(paged.pages.map(() => kind))
    })
  }
})
