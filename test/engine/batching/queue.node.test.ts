import { describe, expect, it } from 'vitest'
import { VergeError } from '../../../src/core/errors.ts'
import type { Tensors } from '../../../src/core/tensors.ts'
import { never } from '../../../synthetic/source.ts'
import { ask, finishAll, prove, setUp } from '../../fixtures/batching.ts'
import { settle } from '../../fixtures/clock.ts'
import { doubled, rowsFrom } from '../../fixtures/fake-engine.ts'

describe('when turns begin', () => {
  it('runs a caller who is alone at once, time after time', async () => {
    const bench = setUp({ m: {} })
    const session = await bench.session('m')
    await prove(bench, session)
    // The turn before was shared: once, company is waited for.
    const first = ask(session, rowsFrom(1))
    await bench.clock.advance(2)
    bench.fake.finish()
    await first
    for (let round = 0; round < 3; round++) {
      const answer = ask(session, rowsFrom(round))
      await settle()
      expect(bench.fake.held.length).toBe(1)
      bench.fake.finish()
      await answer
    }
  })

  it('merges what is asked for together, and what gathers while a run is on', async () => {
    const bench = setUp({ m: {} })
    const session = await bench.session('m')
    await prove(bench, session)
    const together = [1, 2, 3].map((value) => ask(session, rowsFrom(value)))
    await settle()
    const late = [4, 5, 6, 7].map((value) => ask(session, rowsFrom(value, value)))
    await finishAll(bench.fake)
    expect(bench.fake.order).toEqual(['m:3', 'm:22'])
    const answers = await Promise.all([...together, ...late])
    expect(answers).toEqual(
      [rowsFrom(1), rowsFrom(2), rowsFrom(3), ...[4, 5, 6, 7].map((value) => rowsFrom(value, value))].map((x) =>
        doubled(new Map([['x', x]])),
      ),
    )
  })

  it('waits after a shared turn until as many are there again, and no longer than it may', async () => {
    const bench = setUp({ m: {} }, { maxWaitMs: 5 })
    const { fake, clock } = bench
    const session = await bench.session('m')
    await prove(bench, session)
    const all: Promise<Tensors>[] = [1, 2, 3].map((value) => ask(session, rowsFrom(value)))
    await settle()
    fake.finish()
    await Promise.all(all)
    all.push(ask(session, rowsFrom(4)), ask(session, rowsFrom(5)))
    await clock.advance(4)
    expect(fake.order).toEqual(['m:3'])
    all.push(ask(session, rowsFrom(6)))
    await settle()
    expect(fake.order).toEqual(['m:3', 'm:3'])
    fake.finish()
    await settle()
    all.push(ask(session, rowsFrom(7)))
    await clock.advance(4)
    expect(fake.order).toEqual(['m:3', 'm:3'])
    await clock.advance(1)
    expect(fake.order).toEqual(['m:3', 'm:3', 'm:1'])
    fake.finish()
    await Promise.all(all)
  })

  it('never waits for company where it may not', async () => {
    const bench = setUp({ m: {} }, { maxWaitMs: 0 })
    const session = await bench.session('m')
    await prove(bench, session)
    const answer = ask(session, rowsFrom(1))
    await settle()
    bench.fake.finish()
    await answer
    expect(bench.fake.order).toEqual(['m:1'])
  })

  it('keeps to the most rows and elements', async () => {
    const bench = setUp({ m: {} }, { maxBatch: 4, maxElements: 20, maxWaitMs: 0 })
    const session = await bench.session('m')
    await prove(bench, session)
    const all = [
      ...[1, 2, 3, 4, 5].map((value) => ask(session, rowsFrom(value))),
      ask(session, rowsFrom(6, 9)),
      ...[7, 8, 9].map((value) => ask(session, rowsFrom(value, 1, 10))),
    ]
    await finishAll(bench.fake)
    await Promise.all(all)
    expect(bench.fake.order).toEqual(['m:4', 'm:1', 'm:9', 'm:2', 'm:1'])
  })

  it('merges those alone that agree in shape and in the outputs wanted', async () => {
    const bench = setUp({ m: {} }, { maxWaitMs: 0 })
    const session = await bench.session('m')
    await prove(bench, session)
    const inputs = (value: number, columns = 2): Tensors => new Map([['x', rowsFrom(value, 1, columns)]])
    const all = [
      session.run(inputs(1), { signal: never() }),
      session.run(inputs(2, 3), { signal: never() }),
      session.run(inputs(3), { signal: never(), outputs: ['y'] }),
      session.run(inputs(4), { signal: never() }),
      session.run(inputs(5, 3), { signal: never() }),
    ]
    await finishAll(bench.fake)
    await Promise.all(all)
    expect(bench.fake.order).toEqual(['m:2', 'm:2', 'm:1'])
    expect(bench.fake.runs[2]?.options.outputs).toEqual(['y'])
  })

  it('tells of every turn, and what waits and runs', async () => {
    const bench = setUp({ m: {}, n: {} }, { maxBatch: 2 })
    const session = await bench.session('m')
    await bench.session('n')
    await prove(bench, session)
    bench.reports.splice(0)
    const all = [1, 2, 3].map((value) => ask(session, rowsFrom(value)))
    await bench.clock.advance(7)
    expect(bench.engine.stats()).toEqual({
      queued: 1,
      running: 2,
      perModel: new Map([
        ['m', { queued: 1, running: 2, batching: 'proven' }],
        ['n', { queued: 0, running: 0, batching: 'unproven' }],
      ]),
    })
    bench.fake.finish()
    await bench.clock.advance(2)
    bench.fake.finish()
    await Promise.all(all)
    expect(bench.reports).toEqual([
      { key: 'm', rows: 2, runs: 2, waitMs: 0 },
      { key: 'm', rows: 1, runs: 1, waitMs: 9 },
    ])
    expect(bench.engine.stats()).toMatchObject({ queued: 0, running: 0 })
  })
})

describe('who comes when', () => {
  it('deals turns to the models in a ring, whatever each has waiting', async () => {
    const bench = setUp({ flood: {}, small: {}, other: {} }, { maxBatch: 1 })
    const flood = await bench.session('flood')
    const small = await bench.session('small')
    const other = await bench.session('other')
    const all = Array.from({ length: 6 }, (_, value) => ask(flood, rowsFrom(value)))
    await settle()
    all.push(ask(small, rowsFrom(1)), ask(small, rowsFrom(2)), ask(other, rowsFrom(1)))
    await finishAll(bench.fake)
    await Promise.all(all)
    expect(bench.fake.order).toEqual([
      'flood:1',
      'small:1',
      'other:1',
      'flood:1',
      'small:1',
      'flood:1',
      'flood:1',
      'flood:1',
      'flood:1',
    ])
  })

  it('gives the turn to others while a model waits for company', async () => {
    const bench = setUp({ m: {}, n: {} }, { maxWaitMs: 5 })
    const m = await bench.session('m')
    const n = await bench.session('n')
    await prove(bench, m)
    const waiting = ask(m, rowsFrom(1))
    await settle()
    const served = ask(n, rowsFrom(1))
    await settle()
    expect(bench.fake.order).toEqual(['n:1'])
    bench.fake.finish()
    await served
    await bench.clock.advance(5)
    bench.fake.finish()
    await waiting
    expect(bench.fake.order).toEqual(['n:1', 'm:1'])
  })

  it('runs as many turns at a time as it is told', async () => {
    const bench = setUp({ m: {}, n: {} }, { maxBatch: 1, concurrency: 2 })
    const m = await bench.session('m')
    const n = await bench.session('n')
    const all = [ask(m, rowsFrom(1)), ask(m, rowsFrom(2)), ask(n, rowsFrom(3))]
    await settle()
    expect(bench.fake.held.map(({ model }) => model)).toEqual(['m', 'n'])
    await finishAll(bench.fake)
    await Promise.all(all)
  })

  it('refuses at once what finds the queue full, and no other model’s', async () => {
    const bench = setUp({ m: {}, n: {} }, { maxBatch: 1, maxQueue: 2 })
    const m = await bench.session('m')
    const n = await bench.session('n')
    const all = [ask(m, rowsFrom(1))]
    await settle()
    all.push(ask(m, rowsFrom(2)), ask(m, rowsFrom(3)))
    await expect(ask(m, rowsFrom(4))).rejects.toMatchObject({ code: 'overloaded', retryAfter: 1 })
    all.push(ask(n, rowsFrom(5)))
    await finishAll(bench.fake)
    expect((await Promise.all(all)).length).toBe(4)
  })

  it('lets others’ runs come between two tokens', async () => {
    const bench = setUp({ talker: { tokens: [7, 8, 9] }, m: {} }, { maxBatch: 1 })
    const talker = await bench.session('talker')
    const m = await bench.session('m')
    const spoken: number[] = []
    const talk = (async () => {
      const options = {
        stopTokens: new Set<number>(),
        prefillTokens: 256,
        maxNewTokens: 3,
        choose: () => 0,
        signal: never(),
      }
      for await (const token of talker.generate?.([1], options) ?? []) spoken.push(token)
    })()
    await settle()
    const all = [ask(m, rowsFrom(1)), ask(m, rowsFrom(2)), ask(talker, rowsFrom(3))]
    await finishAll(bench.fake)
    await Promise.all([talk, ...all])
    expect(spoken).toEqual([7, 8, 9])
    expect(bench.fake.order).toEqual(['talker.token:0', 'm:1', 'talker:1', 'm:1', 'talker.token:0', 'talker.token:0'])
    expect(m.generate).toBeUndefined()
  })
})

describe('who leaves', () => {
  it('takes those who leave out of the queue, with the reason', async () => {
    const bench = setUp({ m: {} }, { maxBatch: 1 })
    const session = await bench.session('m')
    const first = ask(session, rowsFrom(1))
    await settle()
    const leaver = new AbortController()
    const late = new AbortController()
    const left = ask(session, rowsFrom(2), leaver.signal)
    const expired = ask(session, rowsFrom(3), late.signal)
    const last = ask(session, rowsFrom(4))
    leaver.abort()
    late.abort(new VergeError('deadline_exceeded', 'too late'))
    await expect(left).rejects.toMatchObject({ code: 'cancelled' })
    await expect(expired).rejects.toMatchObject({ code: 'deadline_exceeded' })
    expect(bench.engine.stats().queued).toBe(1)
    await finishAll(bench.fake)
    await Promise.all([first, last])
    expect(bench.fake.runs.map(({ inputs }) => inputs.get('x'))).toEqual([rowsFrom(1), rowsFrom(4)])
  })

  it('answers the others of a batch that one has left, and ends it only when all have', async () => {
    const bench = setUp({ m: {} })
    const session = await bench.session('m')
    await prove(bench, session)
    const callers = [new AbortController(), new AbortController()]
    const asked = callers.map(({ signal }, value) => ask(session, rowsFrom(value), signal))
    const stayed = ask(session, rowsFrom(5))
    await settle()
    callers[0]?.abort()
    await expect(asked[0]).rejects.toMatchObject({ code: 'cancelled' })
    expect(bench.fake.held[0]?.options.signal.aborted).toBe(false)
    bench.fake.finish()
    expect(await stayed).toEqual(doubled(new Map([['x', rowsFrom(5)]])))
    expect(await asked[1]).toEqual(doubled(new Map([['x', rowsFrom(1)]])))

    const all = [new AbortController(), new AbortController()]
    const gone = all.map(({ signal }, value) => ask(session, rowsFrom(value), signal))
    await bench.clock.advance(2)
    const held = bench.fake.held[0]
    expect(held?.rows).toBe(2)
    for (const caller of all) caller.abort()
    for (const answer of gone) await expect(answer).rejects.toMatchObject({ code: 'cancelled' })
    await settle()
    expect(held?.options.signal.aborted).toBe(true)
    bench.fake.finish()
  })

  it('says to those who wait that the model was unloaded', async () => {
    const bench = setUp({ m: { tokens: [1, 2] } }, { maxBatch: 1 })
    const session = await bench.session('m')
    const running = ask(session, rowsFrom(1))
    await settle()
    const waiting = ask(session, rowsFrom(2))
    session.dispose()
    await expect(waiting).rejects.toMatchObject({ code: 'session_lost' })
    await expect(ask(session, rowsFrom(3))).rejects.toMatchObject({ code: 'session_lost' })
    expect(bench.engine.stats().perModel.size).toBe(0)
    bench.fake.finish()
    expect(await running).toEqual(doubled(new Map([['x', rowsFrom(1)]])))
  })

  it('ends a generation whose reader leaves, waiting for its turn or between two tokens', async () => {
    const bench = setUp({ talker: { tokens: [1, 2, 3] }, m: {} }, { maxBatch: 1 })
    const talker = await bench.session('talker')
    const m = await bench.session('m')
    const leaver = new AbortController()
    const options = { stopTokens: new Set<number>(), prefillTokens: 256, maxNewTokens: 3, choose: () => 0 }
    const first = talker.generate?.([1], { ...options, signal: leaver.signal })[Symbol.asyncIterator]()
    const token = first?.next()
    await settle()
    bench.fake.finish()
    expect(await token).toEqual({ value: 1, done: false })
    const busy = ask(m, rowsFrom(1))
    await settle()
    const waiting = first?.next()
    await settle()
    leaver.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' })
    await settle()
    expect(bench.fake.ended).toEqual(['talker'])
    await finishAll(bench.fake)
    await busy

    for await (const value of await generation()) {
      expect(value).toBe(1)
      break
    }
    await settle()
    expect(bench.fake.ended).toEqual(['talker', 'talker'])

    async function generation(): Promise<AsyncIterable<number>> {
      const tokens = talker.generate?.([1], { ...options, signal: never() })
      void settle().then(() => finishAll(bench.fake))
      return tokens as AsyncIterable<number>
    }
  })

  it('hands on what is none of its business', async () => {
    const bench = setUp({ m: {} })
    const session = await bench.session('m')
    const answer = session.run(new Map(), { signal: never(), runsBefore: 3 })
    await settle()
    bench.fake.held[0]?.fail(new VergeError('missing_input', 'Input "x" is missing.'))
    await expect(answer).rejects.toMatchObject({ code: 'missing_input' })
    expect(bench.fake.runs[0]?.options.runsBefore).toBe(3)
    expect(await bench.engine.health()).toMatchObject({ engine: 'fake' })
  })
})
