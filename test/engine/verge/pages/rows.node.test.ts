import { beforeAll, describe, expect, it } from 'vitest'
import { VergeError } from '../../../../src/core/errors.ts'
import { LIMITS } from '../../../../src/core/limits.ts'
import { systemClock } from '../../../../src/core/runtime.ts'
import type { Tensors } from '../../../../src/core/tensors.ts'
import type { PageSource, Session } from '../../../../src/engine/engine.ts'
import type { VergeEngineOptions } from '../../../../src/engine/verge/engine.ts'
import { never, pagesOf } from '../../../../synthetic/source.ts'
import { rejection } from '../../../contract/rejection.ts'
import { compiled, idsTensor, lookupModel } from '../../../fixtures/node/paged-models.ts'
import { loadVerge, runSession, vergeEngine } from '../../../fixtures/node/verge-engine.ts'

const [ROWS, WIDTH, HOT, PER_PAGE] = [4096, 64, 96, 8]
const RECORD = WIDTH + 4
const PAGE = PER_PAGE * RECORD
const PAGES = (ROWS - HOT) / PER_PAGE

interface Artifact {
  readonly bytes: Uint8Array
  readonly file: Uint8Array<ArrayBuffer>
}

/** Ids have their places in order: hot ones are the first. */
async function artifact(seed = 1): Promise<Artifact & { readonly whole: Uint8Array }> {
  const model = await lookupModel('i8 by row', { rows: ROWS, width: WIDTH, seed })
  const order = Int32Array.from({ length: ROWS }, (_, id) => id)
  const { bytes, pages } = await compiled(model, () => ({ order, hot: HOT, rowsPerPage: PER_PAGE }))
  return { bytes, file: pages?.bytes ?? new Uint8Array(), whole: (await compiled(model)).bytes }
}

let paged: Awaited<ReturnType<typeof artifact>>
let whole: Session
beforeAll(async () => {
  paged = await artifact()
  whole = await loadVerge(vergeEngine(), paged.whole)
})

const load = (source: PageSource, options: Partial<VergeEngineOptions> = {}) =>
  loadVerge(vergeEngine('relaxed', options), paged.bytes, source)
const inputs = (ids: readonly number[]) => ({ input_ids: idsTensor([1, ids.length], ids) })
const every = Array.from({ length: PAGES }, (_, page) => HOT + page * PER_PAGE)
/** An id of a page. */
const idIn = (page: number): number => HOT + page * PER_PAGE + (page % PER_PAGE)
const expected = (ids: readonly number[]): Promise<Tensors> => runSession(whole, inputs(ids))

describe('pages', () => {
  it('are not read for hot rows, nor again for rows of pages that are in the cache', async () => {
    const source = pagesOf(paged.file)
    const session = await load(source)
    await runSession(session, inputs([0, 5, HOT - 1, -ROWS]))
    expect(source.rounds).toEqual([])
    const ids = [idIn(3), 1, idIn(3) + 1, -1]
    expect(await runSession(session, inputs(ids))).toEqual(await expected(ids))
    expect(source.rounds).toEqual([[3 * PAGE, (PAGES - 1) * PAGE]])
    expect(await runSession(session, inputs(ids.toReversed()))).toEqual(await expected(ids.toReversed()))
    expect(source.rounds.length).toBe(1)
    // What is known is not read with what is missing.
    const more = [idIn(3), idIn(7)]
    expect(await runSession(session, inputs(more))).toEqual(await expected(more))
    expect(source.rounds[1]).toEqual([7 * PAGE])
  })

  it('are read before the run has its turn: another run goes first', async () => {
    let open = (): void => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const held = pagesOf(paged.file)
    const source: PageSource = {
      bytes: held.bytes,
      read: async (...given) => {
        await gate
        await held.read(...given)
      },
    }
    const session = await load(source)
    const turns: string[] = []
    const options = (name: string) => ({ signal: never(), onTurn: () => turns.push(name) })
    const waiting = session.run(new Map(Object.entries(inputs([idIn(1)]))), options('cold'))
    await session.run(new Map(Object.entries(inputs([1]))), options('hot'))
    open()
    expect(await waiting).toEqual(await expected([idIn(1)]))
    expect(turns).toEqual(['hot', 'cold'])
  })

  it('of a run that touches all of them are read in waves, with a cache that holds few', async () => {
    const source = pagesOf(paged.file)
    const session = await load(source, { pageBytesInFlight: 16 * PAGE, pageCacheBytes: 3 * PAGE + 1000 })
    const ids = every.map((id, page) => id + (page % PER_PAGE))
    for (let run = 0; run < 2; run++) expect(await runSession(session, inputs(ids))).toEqual(await expected(ids))
    expect(Math.max(...source.rounds.map(({ length }) => length))).toBe(16)
    expect(source.rounds.flat().length).toBeGreaterThan(2 * PAGES - 8)
  })

  it('are shared by versions and loads of a model as far as they are the same', async () => {
    const engine = vergeEngine()
    const source = pagesOf(paged.file)
    const first = await loadVerge(engine, paged.bytes, source)
    await runSession(first, inputs([idIn(4)]))
    first.dispose()
    const again = await loadVerge(engine, paged.bytes, source)
    expect(await runSession(again, inputs([idIn(4)]))).toEqual(await expected([idIn(4)]))
    expect(source.rounds.length).toBe(1)
  })

  it('of two versions with different tables never mix, whoever runs when', async () => {
    const other = await artifact(2)
    const reference = await loadVerge(vergeEngine(), other.whole)
    const engine = vergeEngine('relaxed', { pageCacheBytes: 40 * PAGE, pageBytesInFlight: 8 * PAGE })
    const sessions = [
      { session: await loadVerge(engine, paged.bytes, pagesOf(paged.file)), reference: whole },
      { session: await loadVerge(engine, other.bytes, pagesOf(other.file)), reference },
    ]
    const runs = Array.from({ length: 60 }, async (_, run) => {
      const { session, reference } = sessions[run % 2] as (typeof sessions)[number]
      const ids = Array.from({ length: 20 }, (_, at) => ((run * 37 + at * 211) % (2 * ROWS)) - ROWS)
      expect(await runSession(session, inputs(ids))).toEqual(await runSession(reference, inputs(ids)))
    })
    await Promise.all(runs)
  })

  it('in flight are bounded over all requests, and a killed one does not keep its part', async () => {
    let [flying, most] = [0, 0]
    const inner = pagesOf(paged.file)
    let hang = true
    const source: PageSource = {
      bytes: inner.bytes,
      async read(pages, use, signal) {
        const bytes = pages.length * PAGE
        flying += bytes
        most = Math.max(most, flying)
        // A killed request never comes back.
        if (hang) await new Promise(() => {})
        await systemClock.sleep(1)
        await inner.read(pages, use, signal)
        flying -= bytes
      },
    }
    let now = 0
    const clock = { ...systemClock, now: () => now }
    const session = await load(source, { pageBytesInFlight: 64 * PAGE, pageCacheBytes: 0, loadStaleMs: 1000, clock })
    void runSession(session, inputs(every))
    expect(flying).toBe(64 * PAGE)
    hang = false
    const ids = every.slice(0, 20)
    expect(await runSession(session, inputs(ids))).toEqual(await expected(ids))
    // A sixteenth: what one gets beside others.
    expect(Math.max(...inner.rounds.map(({ length }) => length))).toBe(4)
    now = 1001
    flying = 0
    most = 0
    const before = inner.rounds.length
    await Promise.all(
      Array.from({ length: 8 }, async () =>
        expect(await runSession(session, inputs(every))).toEqual(await expected(every)),
      ),
    )
    expect(inner.rounds[before]?.length).toBe(64)
    expect(most).toBeLessThanOrEqual((64 + 7 * 4) * PAGE)
    // However many read, they have twice the bytes and one part more.
    most = 0
    const ids32 = every.slice(0, 32)
    await Promise.all(
      Array.from({ length: 80 }, async () =>
        expect(await runSession(session, inputs(ids32))).toEqual(await expected(ids32)),
      ),
    )
    expect(most).toBeGreaterThan(64 * PAGE)
    expect(most).toBeLessThanOrEqual((2 * 64 + 4) * PAGE)
  })

  it('wait where very many requests read, until killed ones do not count any more, or the signal is raised', async () => {
    const inner = pagesOf(paged.file)
    let hang = true
    const source: PageSource = {
      bytes: inner.bytes,
      read: (...given) => (hang ? new Promise(() => {}) : inner.read(...given)),
    }
    let now = 0
    const clock = { ...systemClock, now: () => now }
    const session = await load(source, { pageBytesInFlight: 16 * PAGE, pageCacheBytes: 0, loadStaleMs: 1000, clock })
    for (let killed = 0; killed < 17; killed++) void runSession(session, inputs(every))
    hang = false
    const reason = new VergeError('deadline_exceeded', 'Too late.')
    const controller = new AbortController()
    const run = session.run(new Map(Object.entries(inputs([idIn(1)]))), { signal: controller.signal })
    const waiting = runSession(session, inputs([idIn(2)]))
    controller.abort(reason)
    await expect(run).rejects.toBe(reason)
    expect(inner.rounds).toEqual([])
    now = 1001
    expect(await waiting).toEqual(await expected([idIn(2)]))
    expect(inner.rounds).toEqual([[2 * PAGE]])
  })
})

describe('a reader', () => {
  const failing = (read: PageSource['read']): PageSource => ({ bytes: paged.file.length, read })
  const code = async (source: PageSource, ids = [idIn(2), idIn(5)]) => {
    const session = await load(source)
    const error = await rejection(runSession(session, inputs(ids)))
    // What is hot still runs.
    expect(await runSession(session, inputs([3, 4]))).toEqual(await expected([3, 4]))
    return error.code
  }

  it('that fails lets the run fail with its error, and the next run reads again', async () => {
    const inner = pagesOf(paged.file)
    let failures = 1
    const source = failing(async (pages, use, signal) => {
      // One page comes before it fails.
      await inner.read(pages.slice(0, 1), use, signal)
      if (failures-- > 0) throw new VergeError('weights_unavailable', 'gone')
      await inner.read(pages, use, signal)
    })
    const session = await load(source)
    expect((await rejection(runSession(session, inputs([idIn(2), idIn(5)])))).code).toBe('weights_unavailable')
    expect(await runSession(session, inputs([idIn(5), idIn(2)]))).toEqual(await expected([idIn(5), idIn(2)]))
  })

  it('that gives pages of other lengths, other pages, or fewer, lets the run fail', async () => {
    expect(await code(failing(async (_, use) => use(0, new Uint8Array(PAGE - 1))))).toBe('weights_corrupt')
    expect(await code(failing(async (_, use) => use(1, new Uint8Array(PAGE + 1))))).toBe('weights_corrupt')
    expect(await code(failing(async (_, use) => use(7, new Uint8Array(PAGE))))).toBe('weights_unavailable')
    expect(await code(failing(async (_, use) => use(0, new Uint8Array(PAGE))))).toBe('weights_unavailable')
    expect(await code(failing(async () => {}))).toBe('weights_unavailable')
    const damaged = paged.file.slice()
    damaged[5 * PAGE] = 1 + (damaged[5 * PAGE] ?? 0)
    expect(await code(pagesOf(damaged))).toBe('weights_corrupt')
  })

  it('that never ends is left when the signal is raised, and what it brings later is left alone', async () => {
    let late = (): void => {}
    const source = failing(
      (pages, use) =>
        new Promise((resolve) => {
          late = () => {
            for (const index of pages.keys()) use(index, new Uint8Array(PAGE).fill(1))
            resolve()
          }
        }),
    )
    const session = await load(source)
    const controller = new AbortController()
    const run = session.run(new Map(Object.entries(inputs([idIn(2)]))), { signal: controller.signal })
    controller.abort()
    expect((await rejection(run)).code).toBe('cancelled')
    late()
    const next = session.run(new Map(Object.entries(inputs([idIn(2)]))), { signal: AbortSignal.timeout(20) })
    // The page was not kept: it is asked for again.
    expect((await rejection(next)).code).toBe('cancelled')
  })

  it('is not asked by a request that is over, and a request that is over during a wave begins no other', async () => {
    const source = pagesOf(paged.file)
    const session = await load(source, { pageBytesInFlight: 4 * PAGE })
    const controller = new AbortController()
    controller.abort()
    const gone = session.run(new Map(Object.entries(inputs(every))), { signal: controller.signal })
    expect((await rejection(gone)).code).toBe('cancelled')
    expect(source.rounds).toEqual([])
    const second = new AbortController()
    const stopping: PageSource = {
      bytes: source.bytes,
      async read(...given) {
        await source.read(...given)
        second.abort()
      },
    }
    const run = (await load(stopping, { pageBytesInFlight: 4 * PAGE })).run(new Map(Object.entries(inputs(every))), {
      signal: second.signal,
    })
    expect((await rejection(run)).code).toBe('cancelled')
    expect(source.rounds.length).toBe(1)
  })

  it('of a session that is disposed meanwhile is not asked again, and the run is answered with session_lost', async () => {
    const inner = pagesOf(paged.file)
    let session: Session | undefined
    const source = failing(async (...given) => {
      await inner.read(...given)
      session?.dispose()
    })
    const engine = vergeEngine('relaxed', { pageBytesInFlight: 4 * PAGE })
    session = await loadVerge(engine, paged.bytes, source)
    expect((await rejection(runSession(session, inputs(every)))).code).toBe('session_lost')
    expect(inner.rounds.length).toBe(1)
    expect((await rejection(runSession(session, inputs([1])))).code).toBe('session_lost')
    expect(engine.runtime.memory.used).toBe(0)
  })
})

describe('ids', () => {
  it('beyond the table are refused as by a whole table, before anything is read', async () => {
    const source = pagesOf(paged.file)
    const session = await load(source)
    for (const id of [ROWS, -ROWS - 1, 2 ** 31 - 1, -(2 ** 31)]) {
      const [error, reference] = [
        await rejection(runSession(session, inputs([idIn(1), id]))),
        await rejection(runSession(whole, inputs([idIn(1), id]))),
      ]
      expect(error.code).toBe(reference.code)
      expect(error.message.replace('gather-paged', 'gather-rows')).toBe(reference.message)
    }
    expect((await rejection(runSession(session, inputs([2 ** 32])))).code).toBe('integer_too_large')
    expect(source.rounds).toEqual([])
  })

  it('none, and many texts, are as good', async () => {
    const session = await load(pagesOf(paged.file))
    for (const [batch, length] of [
      [0, 5],
      [3, 0],
      [5, 30],
    ] as const) {
      const ids = Array.from({ length: batch * length }, (_, at) => (at * 977) % ROWS)
      const given = { input_ids: idsTensor([batch, length], ids) }
      expect(await runSession(session, given)).toEqual(await runSession(whole, given))
    }
  })
})

describe('memory', () => {
  it('of a session is the artifact, and of a run a record for each id beside its floats', async () => {
    const engine = vergeEngine()
    const session = await loadVerge(engine, paged.bytes, pagesOf(paged.file))
    expect(session.bytes).toBeLessThan(paged.bytes.length + 192)
    expect(paged.bytes.length + paged.file.length).toBeLessThan(paged.whole.length + ROWS * 4 + PAGES * 32 + 16_384)
    const arenaOf = async (session: Session, engine: ReturnType<typeof vergeEngine>, length: number) => {
      const open = engine.runtime.openArena.bind(engine.runtime)
      let arena = 0
      engine.runtime.openArena = (bytes, onDrop) => {
        arena = bytes
        return open(bytes, onDrop)
      }
      await runSession(session, inputs(Array.from({ length }, (_, at) => at * 8)))
      return arena
    }
    const other = vergeEngine()
    const unpaged = await arenaOf(await loadVerge(other, paged.whole), other, 512)
    const own = await arenaOf(session, engine, 512)
    expect(own - unpaged).toBeLessThanOrEqual(512 * (4 + RECORD) + 3 * 64)
    expect(engine.runtime.memory.used).toBe(session.bytes)
  })

  it('of rows that runs hold while they wait is bounded, and given back by runs that end, fail or were killed', async () => {
    const inner = pagesOf(paged.file)
    let [hang, fail] = [false, false]
    const source: PageSource = {
      bytes: inner.bytes,
      async read(...given) {
        if (hang) await new Promise(() => {})
        if (fail) throw new VergeError('weights_unavailable', 'gone')
        await inner.read(...given)
      },
    }
    let now = 0
    const clock = { ...systemClock, now: () => now }
    const options = { heldRowBytes: 100 * RECORD, heldRowsLeaseMs: 1000, pageCacheBytes: 0, clock }
    const session = await load(source, options)
    const ids = (count: number) => Array.from({ length: count }, (_, at) => HOT + at)
    // One alone may hold more, again and again.
    for (let run = 0; run < 3; run++)
      expect(await runSession(session, inputs(ids(300)))).toEqual(await expected(ids(300)))
    fail = true
    for (let run = 0; run < 3; run++)
      expect((await rejection(runSession(session, inputs(ids(80))))).code).toBe('weights_unavailable')
    fail = false
    const both = await Promise.all([60, 40].map((count) => runSession(session, inputs(ids(count)))))
    expect(both).toEqual([await expected(ids(60)), await expected(ids(40))])
    hang = true
    void runSession(session, inputs(ids(60)))
    hang = false
    expect((await rejection(runSession(session, inputs(ids(41))))).code).toBe('overloaded')
    // The same row again and again is held once, and hot rows are not held.
    const again = [...Array.from({ length: 200 }, () => HOT), 1, 2, 3]
    expect(await runSession(session, inputs(again))).toEqual(await expected(again))
    now = 1001
    expect(await runSession(session, inputs(ids(41)))).toEqual(await expected(ids(41)))
  })

  it('is not taken for rows of a run that has no room', async () => {
    const source = pagesOf(paged.file)
    const session = await load(source, { heapLimitBytes: 1024 * 1024 })
    const error = await rejection(runSession(session, inputs(Array.from({ length: 4096 }, (_, at) => at % ROWS))))
    expect(error.code).toBe('run_too_large')
    expect(source.rounds).toEqual([])
  })

  it('limits admit a text of 512 tokens whose rows are all in pages of their own in one round', () => {
    expect(LIMITS.pageBytesInFlight / 512).toBeGreaterThan(16_000)
  })
})

describe('an artifact with pages', () => {
  it('is refused where there is no pages file, or one that is too short', async () => {
    const engine = vergeEngine()
    const none = await rejection(loadVerge(engine, paged.bytes))
    expect([none.code, none.message]).toEqual(['model_invalid', expect.stringContaining('it has no pages file')])
    const short = await rejection(loadVerge(engine, paged.bytes, pagesOf(paged.file.slice(1))))
    expect([short.code, short.message]).toEqual(['model_invalid', expect.stringContaining('its tables need')])
    expect(engine.runtime.memory.used).toBe(0)
  })
})
