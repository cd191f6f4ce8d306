import { describe, expect, it } from 'vitest'
import type { Caller } from '../../src/access/authorize.ts'
import { VergeError } from '../../src/core/errors.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { type CallContext, withTimeout } from '../../src/inference/call.ts'
import { type Inference, infer } from '../../src/inference/infer.ts'
import type { Slot } from '../../src/inference/slot.ts'
import { BoundedAdmission } from '../../src/serving/admission.ts'
import { notePlace, noteRun, openLedger } from '../../src/serving/ledger.ts'
import type { RequestObservation, RequestObserver } from '../../src/telemetry/observation.ts'
import { ManualClock, testContext } from '../fixtures/clock.ts'
import { FakeServing, testModel } from '../fixtures/http.ts'
import { meteringOf, type ScriptedMetering } from '../fixtures/metering.ts'

const model = testModel('sums', 'public', {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [1] }],
})

interface Script {
  readonly metering?: ScriptedMetering
  readonly caller?: Caller
  readonly observer?: RequestObserver
  readonly via?: string
}

function setUp({ caller = { kind: 'anonymous' }, metering, observer, via }: Script = {}) {
  const seen: RequestObservation[] = []
  const clock = new ManualClock()
  const serving = new FakeServing([model])
  const context = { ...testContext(), ledger: openLedger() }
  const admission = new BoundedAdmission({ slots: 1, bodyBytes: 1, leaseMs: 60_000, clock: systemClock })
  const deps = {
    serving,
    admission,
    logger: silentLogger,
    clock,
    observer: observer ?? { observed: (observation: RequestObservation) => seen.push(observation) },
    ...(metering && { metering: meteringOf(metering).metering }),
  }
  const ask = (work: (slot: Slot) => Promise<void>, more: Partial<Inference<void>> = {}) =>
    infer<void>(
      deps,
      { serving, caller, context, ...(via !== undefined && { via }) },
      { name: 'sums', route: 'task', ...more, work: (_, slot) => work(slot) },
    )
  return { admission, ask, clock, context, seen }
}

const NOTHING = { units: 0, originUnits: 0, inputTokens: 0, outputTokens: 0, totalMs: 0 }

describe('an observer', () => {
  it('is told once of an answer, with where it ran, what it took and how long its parts were', async () => {
    const { ask, clock, context, seen } = setUp()
    await ask(async () => {
      expect(seen).toEqual([])
      notePlace(context.ledger, 'edge')
      noteRun(context.ledger, 'cold', { loadMs: 5, queueMs: 1, runMs: 2 })
      noteRun(context.ledger, 'warm', { loadMs: 0, queueMs: 1, runMs: 2 })
      context.ledger.units = 7
      context.ledger.cache = 'miss'
      await clock.advance(9)
    })
    expect(seen).toEqual([
      {
        ...NOTHING,
        model: 'sums',
        version: '2',
        generation: 1,
        place: 'edge',
        via: 'task',
        code: 'ok',
        start: 'cold',
        cache: 'miss',
        units: 7,
        loadMs: 5,
        queueMs: 2,
        runMs: 4,
        totalMs: 9,
      },
    ])
  })

  it('is told of failures by their codes, of what is no failure of ours as an internal one', async () => {
    const { ask, seen } = setUp({ via: 'rpc' })
    const failing = (error: Error) => ask(() => Promise.reject(error)).catch(() => {})
    await failing(new VergeError('engine_full', 'The engine is full.'))
    await failing(new Error('a bug'))
    expect(seen.map(({ code, place, via }) => [code, place, via])).toEqual([
      ['engine_full', 'none', 'rpc'],
      ['internal', 'none', 'rpc'],
    ])
  })

  it('is told of refusals: of whoever has nothing left, of a full isolate, and of unknown names without the names', async () => {
    const spent = new VergeError('budget_spent', 'The budget of the day is spent.')
    const refused = setUp({ metering: { admit: spent } })
    await expect(refused.ask(async () => {})).rejects.toThrow(spent)
    expect(refused.seen).toEqual([
      { ...NOTHING, model: '', version: '', place: 'none', via: 'task', code: 'budget_spent' },
    ])
    const { admission, ask, context, seen } = setUp()
    const ticket = admission.enter('another')
    await expect(ask(async () => {})).rejects.toThrow(VergeError)
    ticket.leave()
    delete context.ledger.model
    await expect(ask(async () => {}, { name: 'ignore-previous' })).rejects.toThrow(VergeError)
    expect(seen).toMatchObject([
      { model: 'sums', version: '', code: 'overloaded' },
      { model: '', version: '', code: 'model_not_found' },
    ])
  })

  it('is told of an answer that is streamed when it ends, with what ended it', async () => {
    const { ask, seen } = setUp()
    let kept: Slot | undefined
    await ask(async (slot) => {
      slot.keep()
      kept = slot
    })
    expect(seen).toEqual([])
    kept?.done(new VergeError('session_lost', 'The session is lost.'))
    kept?.done()
    expect(seen).toMatchObject([{ code: 'session_lost' }])
  })

  it('is told which messages are parts of a stream that was told of', async () => {
    const { ask, seen } = setUp()
    await ask(async () => {}, { continued: true, settled: true, version: '2' })
    expect(seen).toMatchObject([{ model: 'sums', version: '2', continued: true, code: 'ok' }])
  })

  it('is told who named the version, who set the pace, and which failures are of neither version', async () => {
    const asked = async (more: Partial<Inference<void>>, work: (context: CallContext) => Promise<void>) => {
      const { ask, context, seen } = setUp()
      await ask(() => work(context), more).catch(() => {})
      const [{ excused, named, paced } = {}] = seen
      return { excused, named, paced }
    }
    const failing = (error: VergeError) => () => Promise.reject(error)
    const late = new VergeError('deadline_exceeded', 'Too late.')
    expect(await asked({ version: '2' }, async () => {})).toEqual({ named: true })
    expect(await asked({}, async () => {})).toEqual({})
    // Nothing ran yet: the body was waited for.
    expect(await asked({}, failing(late))).toEqual({ excused: true })
    const begun = ({ ledger }: CallContext): Promise<never> => {
      notePlace(ledger, 'edge')
      return Promise.reject(late)
    }
    expect(await asked({}, begun)).toEqual({})
    const hurried = (context: CallContext) => withTimeout(1, context, new ManualClock(), begun)
    expect(await asked({}, hurried)).toEqual({ excused: true, paced: true })
    const leftAlone = ({ ledger }: CallContext): Promise<never> => {
      if (ledger !== undefined) Object.assign(ledger, { place: 'edge', paced: true })
      return Promise.reject(new VergeError('session_lost', 'The model was unloaded while the request waited.'))
    }
    expect(await asked({}, leftAlone)).toEqual({ excused: true, paced: true })
    const atOrigin = (paced: boolean) => async (context: CallContext) => {
      const { ledger } = context
      if (ledger !== undefined) Object.assign(ledger, { place: 'origin', originStatus: 504, ...(paced && { paced }) })
    }
    expect(await asked({}, atOrigin(true))).toEqual({ excused: true, paced: true })
    expect(await asked({}, atOrigin(false))).toEqual({})
    const slowStore = new VergeError('weights_unavailable', 'Not read in time.', { retryAfter: 1 })
    expect(await asked({}, failing(slowStore))).toEqual({ excused: true })
    expect(await asked({}, failing(new VergeError('weights_unavailable', 'Missing.')))).toEqual({})
  })

  it('that throws fails no request', async () => {
    const observer = {
      observed() {
        throw new Error('a bug')
      },
    }
    await expect(setUp({ observer }).ask(async () => {})).resolves.toBeUndefined()
  })
})
