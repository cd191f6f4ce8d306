import { describe, expect, it } from 'vitest'
import { VergeError } from '../../../src/core/errors.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../../src/core/runtime.ts'
import { sha256Factory } from '../../../src/core/sha256.ts'
import type { PageInfo } from '../../../src/engine/engine.ts'
import { blobKey } from '../../../src/weights/blob.ts'
import { KvPages } from '../../../src/weights/pages/kv-pages.ts'
import { pageKey } from '../../../src/weights/pages/layout.ts'
import type { PageLayer } from '../../../src/weights/pages/page-layer.ts'
import { PageLoader, type PageLoaderOptions, type PageReport } from '../../../src/weights/pages/page-loader.ts'
import { StorePages } from '../../../src/weights/pages/store-pages.ts'
import { R2Store } from '../../../src/weights/r2.ts'
import { toBase64 } from '../../fixtures/base64.ts'
import { bindings } from '../../fixtures/bindings.ts'
import { type PagedBytes, type PagedOptions, pagedBytes, putChunks } from '../../fixtures/paged-file.ts'

const { BUCKET, KV } = bindings
const sha256 = sha256Factory()
const shared = { clock: systemClock, limits: { ...LIMITS, chunkStallMs: 60, pageCopyWaitMs: 60, chunkRetryPauseMs: 5 } }
const r2 = new StorePages(new R2Store(BUCKET), shared)
const kv = new KvPages(KV, shared)
const never = new AbortController().signal

/** A file of new bytes in KV and R2. */
async function stored(options: Partial<PagedOptions> = {}): Promise<PagedBytes> {
  const paged = await pagedBytes(sha256, {
    pages: 40,
    pageBytes: 1_000,
    chunkBytes: 10_000,
    lastBytes: 333,
    ...options,
  })
  await putChunks(new R2Store(BUCKET), paged)
  for (let i = 0; i < paged.pages.length; i += 64) {
    await Promise.all(paged.pages.slice(i, i + 64).map((page) => putCopy(paged, page, toBase64(bytesOf(paged, page)))))
  }
  return paged
}

function bytesOf({ data }: PagedBytes, { bytes, offset }: PageInfo): Uint8Array {
  return data.slice(offset, offset + bytes)
}

function putCopy({ file }: PagedBytes, page: PageInfo, text: string): Promise<void> {
  return KV.put(pageKey(file.sha256, page), text)
}

function loaderOf(layers: readonly PageLayer[], options: Partial<PageLoaderOptions> = {}) {
  const reports: PageReport[] = []
  const report = (each: PageReport): void => void reports.push(each)
  return { loader: new PageLoader(layers, { ...shared, sha256, logger: silentLogger, report, ...options }), reports }
}

/** Reads pages, and checks the bytes of each. */
async function read(layers: readonly PageLayer[], paged: PagedBytes, pages: readonly PageInfo[], signal = never) {
  const { loader, reports } = loaderOf(layers)
  const used = new Set<number>()
  const use = (index: number, bytes: Uint8Array): void => {
    expect(used.has(index)).toBe(false)
    used.add(index)
    expect(Buffer.compare(bytes, bytesOf(paged, pages[index] as PageInfo))).toBe(0)
  }
  await loader.source(paged.file).read(pages, use, signal)
  expect(used.size).toBe(pages.length)
  return reports.map(
    ({ fault, page, store }) =>
      `${store} ${paged.pages.findIndex(({ offset }) => offset === page.offset)} ${fault.kind}`,
  )
}

/** Layers with a fault that local stores never show. */
function failing(inner: PageLayer, kind: 'unavailable' | 'stalled', times = Number.POSITIVE_INFINITY) {
  const layer = {
    name: inner.name,
    reads: 0,
    read: (async (file, pages, sink, signal) => {
      if (layer.reads++ >= times) return inner.read(file, pages, sink, signal)
      for (const page of pages) sink.fault(page, kind === 'stalled' ? { kind } : { kind, cause: new Error('away') })
    }) satisfies PageLayer['read'],
  }
  return layer
}

async function spoilInR2({ data, file }: PagedBytes, chunk: number, at: number): Promise<void> {
  const bytes = data.slice(chunk * 10_000, (chunk + 1) * 10_000)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  await BUCKET.put(blobKey(file.chunks[chunk]?.sha256 ?? ''), bytes)
}

describe('PageLoader', () => {
  it('reads pages from the copies, and the truth is not asked', async () => {
    const paged = await stored()
    const truth = failing(r2, 'unavailable')
    expect(await read([kv, truth], paged, paged.pages)).toEqual([])
    expect(truth.reads).toBe(0)
    expect(loaderOf([kv]).loader.source(paged.file).bytes).toBe(paged.data.length)
  })

  it('reads pages from the truth that are missing or damaged in the copies, those alone, and reports them', async () => {
    const paged = await stored()
    const [p0, p1, p2, p3] = paged.pages as [PageInfo, PageInfo, PageInfo, PageInfo]
    await KV.delete(pageKey(paged.file.sha256, p0))
    await putCopy(paged, p1, toBase64(bytesOf(paged, p2)))
    await putCopy(paged, p2, 'not base64 at all')
    await putCopy(paged, p3, '%'.repeat(toBase64(bytesOf(paged, p3)).length))
    expect(await read([kv, r2], paged, paged.pages)).toEqual([
      'kv 0 missing',
      'kv 1 corrupt',
      'kv 2 short',
      'kv 3 malformed',
    ])
  })

  it('reads everything from the truth where there are no copies, and logs that in one line', async () => {
    const paged = await pagedBytes(sha256, { pages: 3_000, pageBytes: 500, chunkBytes: 100_000 })
    await putChunks(new R2Store(BUCKET), paged)
    expect(await read([kv, r2], paged, paged.pages)).toHaveLength(3_000)
    const lines: unknown[] = []
    const log = (event: string, fields: unknown): void => void lines.push([event, fields])
    const { loader } = loaderOf([kv, r2], { logger: { info: log, warn: log, error: log } })
    await loader.source(paged.file).read(paged.pages.slice(0, 200), () => {}, never)
    const fields = { store: 'kv', file: paged.file.sha256, fault: 'missing', count: 200, offset: 0 }
    expect(lines).toEqual([['pages_unusable', fields]])
  })

  it('goes on without copies that are unavailable or late, or whose store answers something else', async () => {
    const paged = await stored()
    const silent = new KvPages({ get: () => new Promise(() => {}) }, shared)
    const reports = await read([silent, r2], paged, paged.pages.slice(0, 2))
    expect(reports).toEqual(['kv 0 stalled', 'kv 1 stalled'])
    const away = new KvPages({ get: () => Promise.reject(new Error('away')) }, shared)
    expect(await read([away, r2], paged, paged.pages.slice(0, 1))).toEqual(['kv 0 unavailable'])
    const other = new KvPages({ get: async () => null as never }, shared)
    expect(await read([other, r2], paged, paged.pages.slice(0, 1))).toEqual(['kv 0 malformed'])
  })

  it('asks the truth once more where that may help', async () => {
    const paged = await stored()
    const pages = paged.pages.slice(7, 9)
    expect(await read([failing(r2, 'stalled', 1)], paged, pages)).toEqual(['r2 7 stalled', 'r2 8 stalled'])
    const broken = failing(r2, 'unavailable')
    const failure = await read(
      [kv, broken],
      { ...paged, file: { ...paged.file, sha256: 'f'.repeat(64) } },
      pages,
    ).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'weights_unavailable', retryAfter: 1, details: { offset: 7_000 } })
    expect(broken.reads).toBe(2)
  })

  it('fails with a typed error where a page is missing or damaged in every store', async () => {
    const paged = await stored()
    const [page] = paged.pages.slice(12, 13) as [PageInfo]
    await spoilInR2(paged, 1, 2_005)
    expect(await read([kv, r2], paged, [page])).toEqual([])
    await putCopy(paged, page, toBase64(new Uint8Array(1_000)))
    const damaged = await read([kv, r2], paged, [page]).catch((error: unknown) => error)
    expect(damaged).toMatchObject({ code: 'weights_corrupt', details: { sha256: page.sha256, offset: 12_000 } })
    expect((damaged as Error).message).toMatch(/page at byte 12000.*damaged in every store. Push this version again/)

    await KV.delete(pageKey(paged.file.sha256, page))
    await BUCKET.delete(blobKey(paged.file.chunks[1]?.sha256 ?? ''))
    const missing = await read([kv, r2], paged, [page]).catch((error: unknown) => error)
    expect(missing).toMatchObject({
      code: 'weights_unavailable',
      message: expect.stringMatching(/missing in every store/),
    })
    // the others are not harmed
    expect(await read([kv, r2], paged, paged.pages.slice(13))).toEqual([])
  })

  it('takes a chunk that is shorter than declared for damaged', async () => {
    const paged = await stored()
    await BUCKET.put(blobKey(paged.file.chunks[3]?.sha256 ?? ''), paged.data.slice(30_000, 32_500))
    await expect(read([r2], paged, paged.pages.slice(30, 32))).resolves.toEqual([])
    await expect(read([r2], paged, paged.pages.slice(32, 33))).rejects.toMatchObject({ code: 'weights_corrupt' })
  })

  it('refuses pages outside the file or above the limits before it asks any store', async () => {
    const paged = await stored()
    const untouched = failing(r2, 'unavailable')
    const source = loaderOf([untouched]).loader.source(paged.file)
    const good = paged.pages[0] as PageInfo
    const wrong = [
      { offset: -1 },
      { offset: 0.5 },
      { offset: paged.data.length },
      { offset: 39_000, bytes: 334 },
      { bytes: 0 },
      { bytes: -5 },
      { bytes: Number.NaN },
      { bytes: LIMITS.pageBytes + 1 },
      { offset: Number.MAX_SAFE_INTEGER },
    ]
    for (const fields of wrong) {
      const reading = source.read([good, { ...good, ...fields }], () => {}, never)
      await expect(reading, JSON.stringify(fields)).rejects.toMatchObject({ code: 'manifest_invalid' })
    }
    expect(untouched.reads).toBe(0)
    const lying = { ...paged.file, bytes: paged.file.bytes + 1 }
    expect(() => loaderOf([r2]).loader.source(lying)).toThrow(/add up to/)
  })

  it('ends with the reason of its signal, or with what uses the pages, and uses nothing after that', async () => {
    const paged = await stored()
    const late = new VergeError('deadline_exceeded', 'Too late.')
    await expect(read([kv, r2], paged, paged.pages, AbortSignal.abort(late))).rejects.toBe(late)

    for (const layers of [[kv], [r2]]) {
      const controller = new AbortController()
      let used = 0
      const use = (): void => {
        if (++used === 5) controller.abort(late)
      }
      const reading = loaderOf(layers).loader.source(paged.file).read(paged.pages, use, controller.signal)
      await expect(reading).rejects.toBe(late)
      expect(used).toBe(5)

      const failure = new Error('a mistake')
      const throwing = loaderOf(layers)
        .loader.source(paged.file)
        .read(
          paged.pages,
          () => {
            throw failure
          },
          never,
        )
      await expect(throwing).rejects.toBe(failure)
    }
  })
})
