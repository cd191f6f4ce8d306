import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import { type LogFields, type Logger, silentLogger, systemClock } from '../../src/core/runtime.ts'
import type { ArtifactInfo, ByteSource, Engine, Session } from '../../src/engine/engine.ts'
import { CachingEngine } from '../../src/origin/caching-engine.ts'
import { DiskCache, type FileIdentity } from '../../src/origin/disk-cache.ts'
import { never, sourceOf } from '../../synthetic/source.ts'
import { pattern } from '../contract/store.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-cache-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const open = (budgetBytes = 1e9, logger: Logger = silentLogger) =>
  DiskCache.open({ folder, budgetBytes, clock: systemClock, logger })

function identityOf(bytes: Uint8Array): FileIdentity {
  return { sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length }
}

/** Counts how often the bytes had to be fetched. */
function counted(bytes: Uint8Array): ByteSource & { deliveries: number } {
  const source = sourceOf(bytes)
  const counting = {
    bytes: bytes.length,
    deliveries: 0,
    deliver(...given: Parameters<ByteSource['deliver']>) {
      counting.deliveries++
      return source.deliver(...given)
    },
  }
  return counting
}

const cachedNames = async () => (await readdir(join(folder, 'files'))).sort()

describe('DiskCache', () => {
  it('fetches a file once, and finds it again in another process', async () => {
    const bytes = pattern(300_000)
    const source = counted(bytes)
    const cache = await open()
    const held = await cache.hold(identityOf(bytes), source)
    expect(Buffer.compare(await readFile(held.path), bytes)).toBe(0)
    expect(cache.bytes).toBe(300_000)
    held.release()
    expect(await cache.read(identityOf(bytes), source)).toEqual(bytes)
    const later = await open()
    expect(later.bytes).toBe(300_000)
    expect(await later.read(identityOf(bytes), source)).toEqual(bytes)
    expect(source.deliveries).toBe(1)
    expect(await cachedNames()).toEqual([identityOf(bytes).sha256])
  })

  it('says at the start that its disk is full, or holds less than it may take', async () => {
    const said: string[] = []
    const log =
      (level: string) =>
      (event: string, fields: LogFields = {}) =>
        void said.push(`${level} ${event} ${fields.free}`)
    const logger = { ...silentLogger, warn: log('warn'), error: log('error') }
    const MB = 1e6
    for (const free of [1e9, 500 * MB, 3 * MB]) {
      await DiskCache.open({ folder, budgetBytes: 800 * MB, clock: systemClock, logger, freeBytes: async () => free })
    }
    expect(said).toEqual(['warn cache_disk_small 500000000', 'error cache_disk_full 3000000'])
    // what the system itself says of this machine's
    await DiskCache.open({ folder, budgetBytes: 1, clock: systemClock, logger })
    expect(said).toHaveLength(2)
  })

  it.each([
    ['changed', (path: string) => writeFile(path, pattern(300_000, 2))],
    ['cut short', (path: string) => truncate(path, 1000)],
    ['emptied', (path: string) => truncate(path, 0)],
  ])('replaces a file that was %s while no process had it', async (_, damage) => {
    const bytes = pattern(300_000)
    const identity = identityOf(bytes)
    const source = counted(bytes)
    const first = await open()
    await first.read(identity, source)
    await first.close()
    await damage(join(folder, 'files', identity.sha256))
    const events: string[] = []
    const cache = await open(1e9, { ...silentLogger, warn: (event) => events.push(event) })
    expect(await cache.read(identity, source)).toEqual(bytes)
    expect(source.deliveries).toBe(2)
    expect(events).toEqual(['cache_damaged'])
  })

  it('keeps nothing of a fetch that fails, is given up, or brings other bytes', async () => {
    const bytes = pattern(200_000)
    const cache = await open()
    const broken: ByteSource = {
      bytes: bytes.length,
      async deliver(write) {
        write(0, bytes.subarray(0, 1000))
        throw new VergeError('weights_unavailable', 'gone')
      },
    }
    await expect(cache.hold(identityOf(bytes), broken)).rejects.toMatchObject({ code: 'weights_unavailable' })
    const controller = new AbortController()
    controller.abort()
    await expect(cache.hold(identityOf(bytes), sourceOf(bytes), controller.signal)).rejects.toMatchObject({
      code: 'cancelled',
    })
    const other = { ...identityOf(pattern(200_000, 3)), bytes: bytes.length }
    await expect(cache.hold(other, sourceOf(bytes))).rejects.toMatchObject({ code: 'weights_corrupt' })
    const longer = { ...identityOf(bytes), bytes: 100 }
    await expect(cache.hold(longer, sourceOf(bytes))).rejects.toMatchObject({ code: 'weights_corrupt' })
    expect(await cachedNames()).toEqual([])
    expect(cache.bytes).toBe(0)
  })

  it('drops what was used longest ago, but nothing that is in use', async () => {
    const files = [1, 2, 3, 4].map((seed) => pattern(100_000, seed))
    const [first, second, third, fourth] = files as [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
    const cache = await open(250_000)
    const held = await cache.hold(identityOf(first), sourceOf(first))
    await cache.read(identityOf(second), sourceOf(second))
    // Times of files are coarse on some systems; these are told apart on all.
    await utimes(join(folder, 'files', identityOf(first).sha256), 1000, 1000)
    await utimes(join(folder, 'files', identityOf(second).sha256), 2000, 2000)
    await cache.read(identityOf(third), sourceOf(third))
    expect(await cachedNames()).toEqual([identityOf(first).sha256, identityOf(third).sha256].sort())
    held.release()
    await cache.read(identityOf(fourth), sourceOf(fourth))
    expect(await cachedNames()).toEqual([identityOf(third).sha256, identityOf(fourth).sha256].sort())
  })

  it('keeps what one process uses when another makes room in the same folder', async () => {
    const [first, second] = [pattern(100_000, 1), pattern(100_000, 2)]
    const mine = await open(150_000)
    const held = await mine.hold(identityOf(first), sourceOf(first))
    const other = await open(150_000)
    await other.read(identityOf(second), sourceOf(second))
    expect(await cachedNames()).toEqual([identityOf(second).sha256])
    expect(Buffer.compare(await readFile(held.path), first)).toBe(0)
    held.release()
    await expect(stat(held.path)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('gives one file to many at once, and keeps it until the last lets go', async () => {
    const bytes = pattern(100_000)
    const cache = await open()
    const all = await Promise.all(Array.from({ length: 8 }, () => cache.hold(identityOf(bytes), sourceOf(bytes))))
    const [last, ...others] = all
    for (const { release } of others) {
      release()
      release()
    }
    expect(Buffer.compare(await readFile(last?.path ?? ''), bytes)).toBe(0)
    last?.release()
    expect(await readdir(join(folder, 'held')).then((names) => names.length)).toBe(1)
    expect(await cachedNames()).toEqual([identityOf(bytes).sha256])
  })

  it('is not upset by claims and releases at the same time, nor by links that were taken away', async () => {
    const bytes = pattern(50_000)
    const cache = await open()
    const rounds = Array.from({ length: 40 }, async (_, i) => {
      const held = await cache.hold(identityOf(bytes), sourceOf(bytes))
      if (i % 3 > 0) await new Promise((resolve) => setTimeout(resolve, i % 5))
      expect((await readFile(held.path)).length).toBe(bytes.length)
      held.release()
    })
    await Promise.all(rounds)
    const held = await cache.hold(identityOf(bytes), sourceOf(bytes))
    await rm(join(folder, 'held'), { recursive: true })
    const again = await cache.hold(identityOf(bytes), sourceOf(bytes))
    expect(Buffer.compare(await readFile(again.path), bytes)).toBe(0)
    held.release()
    expect((await stat(again.path)).size).toBe(bytes.length)
  })

  it('clears away what a dead process of this machine has left', async () => {
    const bytes = pattern(1000)
    const cache = await open()
    await cache.hold(identityOf(bytes), sourceOf(bytes))
    const [name = ''] = await readdir(join(folder, 'held'))
    // No process has this number: the kernel's greatest is 2^22.
    const dead = name.replace(/-\d+-/, '-99999999-')
    await writeFile(join(folder, 'held', dead), '')
    await open()
    const left = await readdir(join(folder, 'held'))
    expect(left).toContain(name)
    expect(left).not.toContain(dead)
  })

  it('clears away what a dead process of this very number has left, as a container does that starts again', async () => {
    const cache = await open()
    const [name = ''] = await readdir(join(folder, 'held'))
    const dead = name.replace(/[0-9a-f]+$/, 'ffffffffff')
    await writeFile(join(folder, 'held', dead), '')
    await open()
    const left = await readdir(join(folder, 'held'))
    expect(left).toContain(name)
    expect(left).not.toContain(dead)
    await cache.close()
  })
})

describe('CachingEngine', () => {
  function engineOf(onLoad: (source: ByteSource) => Promise<void>): Engine & { sessions: Session[] } {
    const engine = {
      name: 'inner',
      sessions: [] as Session[],
      supports: () => ({ ok: true }) as const,
      async load(_: ArtifactInfo, source: ByteSource) {
        await onLoad(source)
        let alive = true
        const session: Session = {
          signature: { inputs: [], outputs: [] },
          bytes: 1,
          get alive() {
            return alive
          },
          run: async () => new Map(),
          dispose() {
            alive = false
          },
        }
        engine.sessions.push(session)
        return session
      },
      health: async () => ({ ok: true, engine: 'inner', version: '1' }),
    }
    return engine
  }

  it('hands over a file that holds the bytes, until the session is disposed', async () => {
    const bytes = pattern(150_000)
    const seen: string[] = []
    const inner = engineOf(async ({ file = '', deliver }) => {
      seen.push(file)
      expect(Buffer.compare(await readFile(file), bytes)).toBe(0)
      const delivered = new Uint8Array(bytes.length)
      await deliver((offset, data) => delivered.set(data, offset))
      expect(Buffer.compare(delivered, bytes)).toBe(0)
    })
    const reports: LogFields[] = []
    const engine = new CachingEngine(inner, await open(), {
      clock: { now: () => 7 },
      report: (report) => reports.push({ ...report }),
    })
    const artifact = { ...identityOf(bytes), format: 'onnx' } as const
    const session = await engine.load(artifact, sourceOf(bytes), { signal: never() })
    expect((await stat(seen[0] ?? '')).size).toBe(bytes.length)
    expect(session.generate).toBeUndefined()
    session.dispose()
    await expect(stat(seen[0] ?? '')).rejects.toMatchObject({ code: 'ENOENT' })
    expect(reports).toEqual([{ sha256: artifact.sha256, ok: true, ms: 0 }])

    const lost = await engine.load(artifact, sourceOf(bytes), { signal: never() })
    inner.sessions.at(-1)?.dispose()
    expect(lost.alive).toBe(false)
    await expect(stat(seen[1] ?? '')).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('lets the file go when loading fails', async () => {
    const bytes = pattern(1000)
    const seen: string[] = []
    const reports: boolean[] = []
    const inner = engineOf(async ({ file = '' }) => {
      seen.push(file)
      throw new VergeError('model_invalid', 'no model')
    })
    const engine = new CachingEngine(inner, await open(), {
      clock: { now: () => 0 },
      report: ({ ok }) => reports.push(ok),
    })
    const artifact = { ...identityOf(bytes), format: 'onnx' } as const
    await expect(engine.load(artifact, sourceOf(bytes), { signal: never() })).rejects.toMatchObject({
      code: 'model_invalid',
    })
    await expect(stat(seen[0] ?? '')).rejects.toMatchObject({ code: 'ENOENT' })
    expect(reports).toEqual([false])
  })
})
