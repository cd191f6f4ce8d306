import { describe, expect, it } from 'vitest'
import { cacheFiles } from '../../../src/browser/weights/cache-files.ts'
import { chunkName, type KeptFiles } from '../../../src/browser/weights/kept.ts'
import { WEIGHTS_LIMITS } from '../../../src/browser/weights/limits.ts'
import { type Locks, tabLocks } from '../../../src/browser/weights/locks.ts'
import { memoryFiles } from '../../../src/browser/weights/memory.ts'
import { opfsFiles } from '../../../src/browser/weights/opfs.ts'
import { BrowserWeights, type WeightsEvent, type WeightsOptions } from '../../../src/browser/weights/weights.ts'
import type { Clock } from '../../../src/core/runtime.ts'
import type { BlobInfo } from '../../../src/weights/blob.ts'
import { MemoryFolder } from '../../fixtures/browser-storage.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { WeightsServer } from '../../fixtures/node/weights-server.ts'

const OWNER = { model: 'reviews', version: '1', pinned: false }

/** Time that passes whenever somebody waits. */
class HastyClock implements Clock {
  #now = 1_000
  readonly slept: number[] = []
  now(): number {
    return this.#now
  }
  async sleep(ms: number): Promise<void> {
    this.slept.push(ms)
    this.#now += ms
    await new Promise((resolve) => setImmediate(resolve))
  }
  after(): () => void {
    return () => {}
  }
}

/** A clock whose sleeps for pauses pass, and whose watch for stalls never fires. */
class PatientClock extends HastyClock {
  override async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms > 3_000) return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
    await super.sleep(ms)
  }
}

interface Tab {
  readonly weights: BrowserWeights
  readonly events: WeightsEvent[]
  readonly came: { network: number; storage: number }
  readonly clock: HastyClock
}

function openTab(server: WeightsServer, files: KeptFiles, more: Partial<WeightsOptions> = {}): Tab {
  const events: WeightsEvent[] = []
  const came = { network: 0, storage: 0 }
  const clock = new PatientClock()
  const weights = new BrowserWeights({
    base: 'https://verge.test',
    fetch: server.fetch,
    files,
    locks: tabLocks(),
    clock,
    random: () => 0.5,
    limits: WEIGHTS_LIMITS,
    quotaBytes: 1 << 20,
    onEvent: (event) => void events.push(event),
    onBytes: (_, bytes, from) => {
      came[from] += bytes
    },
    ...more,
  })
  return { weights, events, came, clock }
}

async function read({ weights }: Tab, blob: BlobInfo, owner = OWNER, signal?: AbortSignal): Promise<Uint8Array> {
  weights.know(owner, [blob])
  const whole = new Uint8Array(blob.bytes)
  await weights.source(blob).deliver((offset, data) => whole.set(data, offset), signal)
  return whole
}

describe('BrowserWeights', () => {
  it('downloads a blob once, and finds it on the next visit', async () => {
    const [server, folder] = [new WeightsServer(), new MemoryFolder()]
    const blob = server.add(25_000, 8_000)
    const first = openTab(server, opfsFiles(folder))
    expect(await read(first, blob)).toEqual(server.bytesOf(blob))
    expect(server.requests).toHaveLength(4)
    expect(server.requests[0]?.path).toMatch(/^\/weights\/reviews\/[0-9a-f]{64}$/)
    expect(first.came).toEqual({ network: 25_000, storage: 0 })

    const second = openTab(server, opfsFiles(folder))
    expect(await second.weights.missing([blob])).toBe(0)
    expect(await read(second, blob)).toEqual(server.bytesOf(blob))
    expect(server.requests).toHaveLength(4)
    expect(second.came).toEqual({ network: 0, storage: 25_000 })
  })

  it('names the version of a request that was made for it by name', async () => {
    const server = new WeightsServer()
    const blob = server.add(100, 100)
    await read(openTab(server, memoryFiles()), blob, { model: 'reviews', version: '0.9', pinned: true })
    expect(server.requests[0]?.path).toMatch(/\?version=0\.9$/)
  })

  it.each([
    ['with ranges', false],
    ['without ranges', true],
  ])('continues a broken download, from a server %s', async (_, ignoresRanges) => {
    const server = new WeightsServer()
    server.ignoresRanges = ignoresRanges
    const blob = server.add(10_000, 10_000)
    server.faults.push({ kind: 'cut', after: 4_000 }, { kind: 'offline' }, { kind: 'status', status: 503 })
    const tab = openTab(server, opfsFiles(new MemoryFolder()))
    expect(await read(tab, blob)).toEqual(server.bytesOf(blob))
    expect(server.requests.map(({ range }) => range)).toEqual([null, 'bytes=4000-', 'bytes=4000-', 'bytes=4000-'])
    expect(tab.came.network).toBe(10_000)
  })

  it('continues after the tab was closed midway, with what the closed tab had stored', async () => {
    const [server, folder] = [new WeightsServer(), new MemoryFolder()]
    const blob = server.add(10_000, 10_000)
    server.faults.push({ kind: 'stall', after: 6_000 })
    const leaving = new AbortController()
    const closed = read(openTab(server, opfsFiles(folder)), blob, OWNER, leaving.signal)
    const name = chunkName(blob.chunks[0] ?? { sha256: '', bytes: 0 })
    await expect.poll(() => folder.files.get(name)?.length).toBe(6_000)
    folder.killTab()

    const tab = openTab(server, opfsFiles(folder))
    expect(await read(tab, blob)).toEqual(server.bytesOf(blob))
    expect(server.requests.map(({ range }) => range)).toEqual([null, 'bytes=6000-'])
    expect(tab.came).toEqual({ network: 4_000, storage: 6_000 })
    leaving.abort()
    await expect(closed).rejects.toMatchObject({ code: 'cancelled' })
  })

  it('ends the downloads of a version that nobody waits for, keeps what came, and begins again when asked', async () => {
    const server = new WeightsServer()
    const blob = server.add(10_000, 10_000)
    server.faults.push({ kind: 'stall', after: 6_000 })
    const tab = openTab(server, opfsFiles(new MemoryFolder()))
    const reading = read(tab, blob)
    await expect.poll(() => tab.came.network).toBe(6_000)
    tab.weights.stop({ model: 'another', version: '1' })
    tab.weights.stop(OWNER)
    await expect(reading).rejects.toMatchObject({ code: 'cancelled' })
    expect(await read(tab, blob)).toEqual(server.bytesOf(blob))
    expect(server.requests.map(({ range }) => range)).toEqual([null, 'bytes=6000-'])
  })

  it('requests again what stalls', async () => {
    const server = new WeightsServer()
    const blob = server.add(10_000, 10_000)
    server.faults.push({ kind: 'stall', after: 5_000 })
    const clock = new ManualClock()
    const reading = read(openTab(server, opfsFiles(new MemoryFolder()), { clock }), blob)
    while (server.requests.length < 2) {
      await new Promise((resolve) => setImmediate(resolve))
      await clock.advance(WEIGHTS_LIMITS.chunkStallMs)
    }
    expect(await reading).toEqual(server.bytesOf(blob))
    expect(server.requests[1]?.range).toBe('bytes=5000-')
  })

  it('gives up after a few attempts without a byte, keeps the beginning, and goes on later', async () => {
    const [server, folder] = [new WeightsServer(), new MemoryFolder()]
    const blob = server.add(10_000, 10_000)
    server.faults.push({ kind: 'cut', after: 3_000 }, ...Array(4).fill({ kind: 'offline' }))
    const tab = openTab(server, opfsFiles(folder))
    await expect(read(tab, blob)).rejects.toMatchObject({ code: 'weights_unavailable' })
    expect(server.requests).toHaveLength(4)
    server.faults.length = 0
    expect(await read(tab, blob)).toEqual(server.bytesOf(blob))
    expect(server.requests.at(-1)?.range).toBe('bytes=3000-')
  })

  it('says what the server refuses with, at once', async () => {
    const server = new WeightsServer()
    const blob = server.add(100, 100)
    server.faults.push({ kind: 'status', status: 403, code: 'forbidden' })
    const refusal = read(openTab(server, memoryFiles()), blob)
    await expect(refusal).rejects.toMatchObject({ code: 'forbidden', message: 'Refused: forbidden.' })
    expect(server.requests).toHaveLength(1)
  })

  it('does not wait longer than it may for a server that asks for a pause', async () => {
    const server = new WeightsServer()
    const blob = server.add(100, 100)
    server.faults.push({ kind: 'status', status: 429, retryAfter: 2 }, { kind: 'status', status: 429, retryAfter: 600 })
    const tab = openTab(server, memoryFiles())
    await expect(read(tab, blob)).rejects.toMatchObject({ code: 'weights_unavailable' })
    expect(tab.clock.slept).toEqual([2_000])
  })

  it('never resolves with bytes that a proxy changed', async () => {
    const [server, folder] = [new WeightsServer(), new MemoryFolder()]
    const blob = server.add(10_000, 10_000)
    server.faults.push({ kind: 'flip', at: 77 }, { kind: 'flip', at: 77 })
    const tab = openTab(server, opfsFiles(folder))
    await expect(read(tab, blob)).rejects.toMatchObject({ code: 'weights_corrupt' })
    // The second time past every cache.
    expect(server.requests.map(({ cache }) => cache)).toEqual([undefined, 'no-store'])
    expect([...folder.files.keys()]).toEqual(['index.json'])
    expect(await read(tab, blob)).toEqual(server.bytesOf(blob))
  })

  it('downloads again what was damaged once on the way', async () => {
    const server = new WeightsServer()
    const blob = server.add(10_000, 10_000)
    server.faults.push({ kind: 'flip', at: 9_999 })
    expect(await read(openTab(server, opfsFiles(new MemoryFolder())), blob)).toEqual(server.bytesOf(blob))
  })

  it('finds a damaged file by its digest, removes it, and downloads it again', async () => {
    const [server, folder] = [new WeightsServer(), new MemoryFolder()]
    const blob = server.add(10_000, 10_000)
    await read(openTab(server, opfsFiles(folder)), blob)
    const name = chunkName(blob.chunks[0] ?? { sha256: '', bytes: 0 })
    const stored = folder.files.get(name) ?? new Uint8Array()
    stored[5_000] = (stored[5_000] ?? 0) ^ 0x40
    const tab = openTab(server, opfsFiles(folder))
    expect(await read(tab, blob)).toEqual(server.bytesOf(blob))
    expect(tab.events).toEqual([{ type: 'damaged', model: 'reviews' }])
    expect(server.requests).toHaveLength(2)
    expect(folder.files.get(name)).toEqual(server.bytesOf(blob))
  })

  it.each([
    ['longer', (bytes: Uint8Array<ArrayBuffer>) => new Uint8Array([...bytes, 1])],
    ['shorter, and wrong', () => new Uint8Array(4_000)],
    ['empty', () => new Uint8Array()],
  ])('copes with a stored file that is %s', async (_, damage) => {
    const [server, folder] = [new WeightsServer(), new MemoryFolder()]
    const blob = server.add(10_000, 10_000)
    await read(openTab(server, opfsFiles(folder)), blob)
    const name = chunkName(blob.chunks[0] ?? { sha256: '', bytes: 0 })
    folder.files.set(name, damage(folder.files.get(name) ?? new Uint8Array()))
    expect(await read(openTab(server, opfsFiles(folder)), blob)).toEqual(server.bytesOf(blob))
    expect(folder.files.get(name)).toEqual(server.bytesOf(blob))
  })

  it('goes on in memory when the storage is full, and says so once', async () => {
    const [server, folder] = [new WeightsServer(), new MemoryFolder()]
    const blob = server.add(30_000, 10_000)
    folder.capacity = 14_000
    const tab = openTab(server, opfsFiles(folder))
    expect(await read(tab, blob)).toEqual(server.bytesOf(blob))
    expect(tab.events).toEqual([{ type: 'not-kept', model: 'reviews', reason: expect.stringMatching(/takes no more/) }])
    expect(folder.usedBytes).toBeLessThanOrEqual(14_000)
  })

  it('goes on where the browser stores nothing, and says so', async () => {
    const server = new WeightsServer()
    const blob = server.add(20_000, 10_000)
    const tab = openTab(server, memoryFiles())
    expect(await read(tab, blob)).toEqual(server.bytesOf(blob))
    expect(await read(tab, blob)).toEqual(server.bytesOf(blob))
    expect(server.requests).toHaveLength(2)
    expect(tab.events).toEqual([
      { type: 'not-kept', model: 'reviews', reason: expect.stringMatching(/store anything/) },
    ])
  })

  it('keeps no beginning that another tab has removed: the rest of a file is no file', async () => {
    const [server, folder] = [new WeightsServer(), new MemoryFolder()]
    const blob = server.add(10_000, 10_000)
    const name = chunkName(blob.chunks[0] ?? { sha256: '', bytes: 0 })
    server.faults.push({ kind: 'cut', after: 4_000 }, ...Array(3).fill({ kind: 'offline' }))
    await expect(read(openTab(server, opfsFiles(folder)), blob)).rejects.toMatchObject({ code: 'weights_unavailable' })
    const files = opfsFiles(folder)
    const robbed: KeptFiles = {
      ...files,
      write: (file, from) => {
        if (file === name && from > 0) folder.files.delete(name)
        return files.write(file, from)
      },
    }
    server.faults.length = 0
    expect(await read(openTab(server, robbed), blob)).toEqual(server.bytesOf(blob))
    const next = openTab(server, opfsFiles(folder))
    expect(await read(next, blob)).toEqual(server.bytesOf(blob))
    expect(next.events).toEqual([])
  })

  it('sees that a write has failed which says so with a number: Chromium gives its error as one of bytes', async () => {
    const [server, folder] = [new WeightsServer(), new MemoryFolder()]
    const blob = server.add(30_000, 10_000)
    folder.capacity = 14_000
    folder.refusal = 2 ** 32 - 8
    const tab = openTab(server, opfsFiles(folder))
    expect(await read(tab, blob)).toEqual(server.bytesOf(blob))
    expect(tab.events).toEqual([{ type: 'not-kept', model: 'reviews', reason: expect.stringMatching(/part/) }])
    const next = openTab(server, opfsFiles(folder))
    expect(await next.weights.missing([blob])).toBe(20_000)
  })

  it('removes what was used least recently to stay within the quota', async () => {
    const [server, folder] = [new WeightsServer(), new MemoryFolder()]
    const blobs = [1, 2, 3].map((seed) => server.add(10_000, 5_000, seed))
    const tab = openTab(server, opfsFiles(folder), { quotaBytes: 25_000 })
    const owner = (index: number) => ({ model: `model-${index}`, version: '1', pinned: false })
    for (const [index, blob] of blobs.slice(0, 2).entries()) {
      await read(tab, blob, owner(index))
      await tab.clock.sleep(10)
    }
    // The first is used again, so that the second goes.
    await read(tab, blobs[0] as BlobInfo, owner(0))
    await tab.clock.sleep(10)
    await read(tab, blobs[2] as BlobInfo, owner(2))
    const { models, quotaBytes, usedBytes } = await tab.weights.usage()
    expect(models.map(({ bytes, model }) => [model, bytes]).sort()).toEqual([
      ['model-0', 10_000],
      ['model-2', 10_000],
    ])
    expect([usedBytes, quotaBytes]).toEqual([20_000, 25_000])
    await tab.weights.clear('model-0')
    expect((await tab.weights.usage()).usedBytes).toBe(10_000)
    await tab.weights.clear()
    expect(await tab.weights.usage()).toMatchObject({ kind: 'opfs', usedBytes: 0, models: [] })
    expect([...folder.files.keys()]).toEqual(['index.json'])
  })

  it('leaves half of what the browser has left to the page', async () => {
    const [server, folder] = [new WeightsServer(), new MemoryFolder()]
    const blob = server.add(30_000, 10_000)
    const estimate = async () => ({ quota: 40_000, usage: folder.usedBytes })
    const tab = openTab(server, opfsFiles(folder), { estimate })
    expect(await read(tab, blob)).toEqual(server.bytesOf(blob))
    expect(folder.usedBytes).toBeLessThan(25_000)
    expect(tab.events).toMatchObject([{ type: 'not-kept', reason: expect.stringMatching(/quota/) }])
  })

  it('keeps to the quota together with what another tab has stored since', async () => {
    const [server, folder] = [new WeightsServer(), new MemoryFolder()]
    const blobs = [1, 2, 3].map((seed) => server.add(10_000, 5_000, seed)) as [BlobInfo, BlobInfo, BlobInfo]
    const locks = tabLocks()
    const [one, other] = [1, 2].map(() => openTab(server, opfsFiles(folder), { quotaBytes: 25_000, locks })) as [
      Tab,
      Tab,
    ]
    const owner = (model: string) => ({ model, version: '1', pinned: false })
    await read(one, blobs[0], owner('a'))
    await other.clock.sleep(10)
    await read(other, blobs[1], owner('b'))
    await one.clock.sleep(20)
    await read(one, blobs[2], owner('c'))
    const { models, usedBytes } = await one.weights.usage()
    expect([usedBytes, models.map(({ model }) => model).sort()]).toEqual([20_000, ['b', 'c']])
  })

  it('leaves no file open that it could not write, so that the list of files goes on later', async () => {
    const [server, folder] = [new WeightsServer(), new MemoryFolder()]
    const [small, later] = [server.add(1_000, 1_000, 1), server.add(1_000, 1_000, 2)] as const
    const tab = openTab(server, opfsFiles(folder))
    folder.capacity = 10
    await read(tab, small)
    folder.capacity = Number.POSITIVE_INFINITY
    await read(tab, later, { ...OWNER, model: 'later' })
    expect((await tab.weights.usage()).models).toMatchObject([{ model: 'later', bytes: 1_000 }])
  })

  it.each(['shared locks', 'no locks'])('lets two tabs download the same at once, with %s', async (kind) => {
    const [server, folder] = [new WeightsServer(), new MemoryFolder()]
    const blob = server.add(40_000, 10_000)
    const shared = tabLocks()
    const locks = (): Locks => (kind === 'no locks' ? tabLocks() : shared)
    const tabs = [1, 2, 3].map(() => openTab(server, opfsFiles(folder), { locks: locks() }))
    const all = await Promise.all(tabs.map((tab) => read(tab, blob)))
    for (const bytes of all) expect(bytes).toEqual(server.bytesOf(blob))
    if (kind === 'shared locks') expect(server.requests).toHaveLength(4)
    const requests = server.requests.length
    expect(await read(openTab(server, opfsFiles(folder)), blob)).toEqual(server.bytesOf(blob))
    expect(server.requests).toHaveLength(requests)
  })

  it('keeps whole chunks in the Cache API where there is no file system', async () => {
    const server = new WeightsServer()
    const entries = new Map<string, Uint8Array<ArrayBuffer>>()
    const cache = {
      match: async (url: string) => (entries.has(url) ? new Response(entries.get(url)) : undefined),
      put: async (url: string, response: Response) => {
        entries.set(url, new Uint8Array(await response.arrayBuffer()))
      },
      delete: async (url: string) => entries.delete(url),
      keys: async () => [...entries.keys()].map((url) => ({ url })),
    }
    const blob = server.add(20_000, 10_000)
    await read(openTab(server, cacheFiles(cache)), blob)
    const tab = openTab(server, cacheFiles(cache))
    expect(await read(tab, blob)).toEqual(server.bytesOf(blob))
    expect(tab.came).toEqual({ network: 0, storage: 20_000 })
    expect(await tab.weights.usage()).toMatchObject({ kind: 'cache', usedBytes: 20_000 })
  })

  it('refuses a blob whose chunks do not add up, before anything is requested', async () => {
    const server = new WeightsServer()
    const blob = server.add(100, 100)
    await expect(read(openTab(server, memoryFiles()), { ...blob, bytes: 200 })).rejects.toMatchObject({
      code: 'manifest_invalid',
    })
    expect(server.requests).toEqual([])
  })
})

describe('pages of tables', () => {
  it('are read by range, verified, and kept', async () => {
    const [server, folder] = [new WeightsServer(), new MemoryFolder()]
    const file = server.add(40_000, 20_000)
    const whole = server.bytesOf(file)
    const { createHash } = await import('node:crypto')
    const pages = [0, 7, 19, 39].map((index) => {
      const bytes = whole.subarray(index * 1_000, (index + 1) * 1_000)
      return { offset: index * 1_000, bytes: 1_000, sha256: createHash('sha256').update(bytes).digest('hex') }
    })
    const readPages = async (tab: Tab) => {
      tab.weights.know(OWNER, [file])
      const found = new Map<number, Uint8Array>()
      const use = (index: number, bytes: Uint8Array) => void found.set(index, bytes.slice())
      await tab.weights.pages(file).read(pages, use, new AbortController().signal)
      return [0, 1, 2, 3].map((index) => found.get(index))
    }
    const expected = pages.map(({ bytes, offset }) => whole.slice(offset, offset + bytes))
    const first = openTab(server, opfsFiles(folder))
    expect(await readPages(first)).toEqual(expected)
    const usage = await first.weights.usage()
    expect(usage).toMatchObject({ usedBytes: 4_000, models: [{ model: 'reviews', version: '1', bytes: 4_000 }] })
    const requests = server.requests.length
    expect(server.requests.every(({ range }) => range !== null)).toBe(true)
    expect(await readPages(first)).toEqual(expected)
    expect(await readPages(openTab(server, opfsFiles(folder)))).toEqual(expected)
    expect(server.requests).toHaveLength(requests)

    // One that was damaged in storage comes from the server again.
    const [name] = [...folder.files.keys()].filter((key) => key.startsWith('page-'))
    folder.files.set(name ?? '', new Uint8Array(1_000))
    const tab = openTab(server, opfsFiles(folder))
    expect(await readPages(tab)).toEqual(expected)
    expect(server.requests).toHaveLength(requests + 1)
    await tab.weights.usage()
    expect(await readPages(openTab(server, opfsFiles(folder)))).toEqual(expected)
    expect(server.requests).toHaveLength(requests + 1)
  })

  it('that find no room leave no file open', async () => {
    const [server, folder] = [new WeightsServer(), new MemoryFolder()]
    const file = server.add(2_000, 2_000)
    const { createHash } = await import('node:crypto')
    const sha256 = createHash('sha256').update(server.bytesOf(file).subarray(0, 1_000)).digest('hex')
    const tab = openTab(server, opfsFiles(folder))
    tab.weights.know(OWNER, [file])
    folder.capacity = 500
    const pages = [{ offset: 0, bytes: 1_000, sha256 }]
    await tab.weights.pages(file).read(pages, () => {}, new AbortController().signal)
    expect((await tab.weights.usage()).usedBytes).toBe(0)
    expect(tab.events).toMatchObject([{ type: 'not-kept' }])
    await tab.weights.clear()
    expect([...folder.files.keys()].filter((name) => name.startsWith('page-'))).toEqual([])
  })
})
