import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger } from '../../src/core/runtime.ts'
import { type HealthRecord, type HealthStore, HealthView, readRecord } from '../../src/placement/health.ts'
import { KvHealthStore } from '../../src/placement/health-store.ts'
import { type ProbeOrigin, probeAndRecord, probeOrigins } from '../../src/placement/probing.ts'
import { ManualClock, settle, testContext } from '../fixtures/clock.ts'

class MemoryHealth implements HealthStore {
  value: unknown = null
  reads = 0
  writes = 0
  /** What a read waits for. */
  gate: Promise<void> = Promise.resolve()

  async read(): Promise<unknown> {
    this.reads++
    await this.gate
    return this.value
  }

  async write(record: HealthRecord): Promise<void> {
    this.writes++
    this.value = record
  }
}

const record = (at: number, ok: boolean): HealthRecord => ({
  schema: 1,
  at,
  origins: { fra: { ok, latencyMs: 5, checkedAt: at, failures: ok ? 0 : 2 } },
})

function open(): { readonly go: () => void; readonly gate: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { go: resolve, gate: promise }
}

describe('shared health', () => {
  it('is read once in thirty seconds', async () => {
    const [clock, store] = [new ManualClock(), new MemoryHealth()]
    const view = new HealthView(store, { clock, limits: LIMITS, logger: silentLogger })
    store.value = record(0, true)
    expect(view.of('fra')).toBeUndefined()
    await view.refresh(testContext())
    expect(view.of('fra')?.ok).toBe(true)
    expect(view.of('ams')).toBeUndefined()
    expect(view.of('constructor')).toBeUndefined()
    store.value = record(29_000, false)
    await clock.advance(29_999)
    await view.refresh(testContext())
    expect(view.of('fra')?.ok).toBe(true)
    await clock.advance(1)
    await view.refresh(testContext())
    expect(view.of('fra')?.ok).toBe(false)
    expect(store.reads).toBe(2)
  })

  it('holds a request up for 50 ms at most, and is known to the next one', async () => {
    const [clock, store, slow] = [new ManualClock(), new MemoryHealth(), open()]
    const view = new HealthView(store, { clock, limits: LIMITS, logger: silentLogger })
    store.value = record(0, false)
    store.gate = slow.gate
    const context = testContext()
    let done = false
    const refreshing = view.refresh(context).then(() => {
      done = true
    })
    await clock.advance(49)
    expect(done).toBe(false)
    await clock.advance(1)
    await refreshing
    expect(view.of('fra')).toBeUndefined()
    slow.go()
    // the read goes on after its request has
    await Promise.all(context.kept)
    expect(view.of('fra')?.ok).toBe(false)
  })

  it('does not let a request wait on what another one began, and reads anew if that was killed', async () => {
    const [clock, store] = [new ManualClock(), new MemoryHealth()]
    const view = new HealthView(store, { clock, limits: LIMITS, logger: silentLogger })
    store.gate = new Promise(() => {})
    const killed = view.refresh(testContext())
    await settle()
    const second = view.refresh(testContext())
    await clock.advance(60)
    await Promise.all([killed, second])
    expect(store.reads).toBe(1)
    store.gate = Promise.resolve()
    store.value = record(5_000, true)
    await clock.advance(4_940)
    await view.refresh(testContext())
    expect(store.reads).toBe(2)
    expect(view.of('fra')?.ok).toBe(true)
  })

  it('lets all first requests of a cold isolate know', async () => {
    const [clock, store, slow] = [new ManualClock(), new MemoryHealth(), open()]
    const view = new HealthView(store, { clock, limits: LIMITS, logger: silentLogger })
    store.value = record(0, false)
    store.gate = slow.gate
    const both = [view.refresh(testContext()), view.refresh(testContext())]
    await clock.advance(20)
    slow.go()
    await clock.advance(10)
    await Promise.all(both)
    expect(clock.now()).toBe(30)
    expect(store.reads).toBe(1)
    expect(view.of('fra')?.ok).toBe(false)
  })

  it('keeps what it knows when the store fails, brings nothing, or brings something older', async () => {
    const [clock, store] = [new ManualClock(), new MemoryHealth()]
    const warned: string[] = []
    const logger = { ...silentLogger, warn: (event: string) => void warned.push(event) }
    const view = new HealthView(store, { clock, limits: LIMITS, logger })
    store.value = record(100, false)
    await view.refresh(testContext())
    await clock.advance(30_000)
    store.gate = Promise.reject(new Error('KV is away'))
    await view.refresh(testContext())
    expect(warned).toEqual(['health_unreadable'])
    expect(view.of('fra')?.ok).toBe(false)
    for (const value of [null, record(0, true), { ...record(40_000, true), schema: 2 }]) {
      store.gate = Promise.resolve()
      store.value = value
      await clock.advance(30_000)
      await view.refresh(testContext())
      expect(view.of('fra')?.ok).toBe(false)
    }
    expect(store.reads).toBe(5)
  })

  it('says nothing after three minutes', async () => {
    const [clock, store] = [new ManualClock(), new MemoryHealth()]
    const view = new HealthView(store, { clock, limits: LIMITS, logger: silentLogger })
    store.value = record(0, false)
    await view.refresh(testContext())
    await clock.advance(180_000)
    expect(view.of('fra')?.ok).toBe(false)
    await clock.advance(1)
    expect(view.of('fra')).toBeUndefined()
  })

  it.each<[string, unknown]>([
    ['text', 'up'],
    ['a newer schema', { ...record(0, true), schema: 2 }],
    ['no origins', { schema: 1, at: 0 }],
    ['a broken entry', { schema: 1, at: 0, origins: { fra: { ok: 'yes' } } }],
    ['one from the future', record(180_001, true)],
    [
      'too many origins',
      {
        ...record(0, true),
        origins: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`n${i}`, record(0, true).origins.fra])),
      },
    ],
  ])('takes nothing from %s', (_, value) => {
    expect(readRecord(value, 0, LIMITS)).toBeUndefined()
  })

  it('is kept in KV as text', async () => {
    const values = new Map<string, string>()
    const namespace = {
      get: async (key: string) => values.get(key) ?? null,
      put: async (key: string, value: string) => void values.set(key, value),
    }
    const store = new KvHealthStore(namespace, LIMITS)
    expect(await store.read()).toBeNull()
    await store.write(record(1, true))
    expect([...values.keys()]).toEqual(['health/origins'])
    expect(readRecord(await store.read(), 1, LIMITS)).toEqual(record(1, true))
    values.set('health/origins', '{"schema":')
    expect(await store.read()).toBeNull()
  })
})

describe('probing', () => {
  const fra = { name: 'fra' }
  const good: ProbeOrigin<object> = async () => ({ ok: true, latencyMs: 3, provider: 'cuda', queue: 2 })
  const bad: ProbeOrigin<object> = async () => ({ ok: false, latencyMs: 4, detail: 'status 500' })

  it('marks an origin as down after two failures in a row, and as up after one success', async () => {
    const clock = new ManualClock()
    let previous: HealthRecord | undefined
    const seen: [boolean, number][] = []
    for (const probe of [bad, good, bad, bad, bad, good, bad]) {
      previous = await probeOrigins([fra], probe, { clock, limits: LIMITS, previous })
      const entry = previous.origins.fra
      if (entry) seen.push([entry.ok, entry.failures])
    }
    expect(seen).toEqual([
      [true, 1],
      [true, 0],
      [true, 1],
      [false, 2],
      [false, 3],
      [true, 0],
      [true, 1],
    ])
  })

  it('looks at all at once, and waits for none longer than five seconds', async () => {
    const clock = new ManualClock()
    const signals: AbortSignal[] = []
    const probe: ProbeOrigin<{ readonly name: string }> = ({ name }, signal) => {
      signals.push(signal)
      if (name === 'fails') throw new Error('connect https://secret.example.com failed')
      return name === 'hangs' ? new Promise(() => {}) : good({}, signal)
    }
    const origins = ['hangs', 'works', 'fails', 'hangs-too'].map((name) => ({
      name: name.startsWith('hangs') ? 'hangs' : name,
    }))
    const probing = probeOrigins(origins, probe, { clock, limits: LIMITS })
    await settle()
    expect(signals).toHaveLength(4)
    await clock.advance(5_000)
    const { at, origins: found } = await probing
    expect(at).toBe(5_000)
    expect(found.works).toEqual({ ok: true, latencyMs: 3, checkedAt: 0, failures: 0, queue: 2, provider: 'cuda' })
    expect(found.hangs).toMatchObject({ failures: 1, latencyMs: 5_000, detail: 'no answer within 5000 ms' })
    expect(found.fails).toMatchObject({ failures: 1, detail: 'the probe failed' })
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false, false, true])
  })

  it('writes what is new at once, and what is not every second minute', async () => {
    const [clock, store] = [new ManualClock(), new MemoryHealth()]
    const said: string[] = []
    const log = (level: string) => (event: string) => void said.push(`${level} ${event}`)
    const logger = { ...silentLogger, info: log('info'), warn: log('warn') }
    const writes: number[] = []
    for (const probe of [good, good, good, bad, bad, bad, bad, good]) {
      await probeAndRecord([fra], probe, store, { clock, limits: LIMITS, logger })
      writes.push(store.writes)
      await clock.advance(60_000)
    }
    expect(writes).toEqual([1, 1, 2, 3, 4, 4, 5, 6])
    expect(said).toEqual(['warn origin_down', 'info origin_up'])
  })

  it('works without what was known before', async () => {
    const [clock, store] = [new ManualClock(), new MemoryHealth()]
    store.gate = Promise.reject(new Error('KV is away'))
    store.gate.catch(() => {})
    await probeAndRecord([fra], good, store, { clock, limits: LIMITS, logger: silentLogger })
    expect(store.writes).toBe(1)
  })
})
