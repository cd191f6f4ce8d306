import { describe, expect, it } from 'vitest'
import type { Alias } from '../../../src/catalog/alias.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import type { ShadowOutcome } from '../../../src/inference/shadow/shadows.ts'
import { addedCounts, NO_COUNTS, type WatchCounts } from '../../../src/releases/watch/judge.ts'
import { CanaryObserver } from '../../../src/releases/watch/observer.ts'
import type { RequestObservation } from '../../../src/telemetry/observation.ts'
import { ManualClock } from '../../fixtures/clock.ts'

const alias: Alias = {
  schema: 1,
  model: 'm',
  generation: 7,
  visibility: 'public',
  versions: { '1': 'a'.repeat(64), '2': 'b'.repeat(64) },
  live: [{ version: '1', weight: 1 }],
  canary: { version: '2', against: '1', guarded: true },
}
const base: RequestObservation = {
  model: 'm',
  version: '2',
  generation: 7,
  place: 'edge',
  via: 'oip',
  code: 'ok',
  units: 1,
  originUnits: 0,
  inputTokens: 0,
  outputTokens: 0,
}

function setUp() {
  let counts: WatchCounts = NO_COUNTS
  const clock = new ManualClock()
  const generations: number[] = []
  const told: string[] = []
  const observer = new CanaryObserver(
    {
      record: (trial, more) => {
        generations.push(trial.generation)
        counts = addedCounts(counts, more)
      },
    },
    { clock, limits: LIMITS, compared: (...said) => told.push(said.join(' ')) },
  )
  return {
    clock,
    generations,
    told,
    seen: (more: Partial<Alias> = {}) => observer.seen({ ...alias, ...more }),
    observed: (more: Partial<RequestObservation> = {}) => observer.observed({ ...base, ...more }, () => {}),
    compared: (outcome: Partial<ShadowOutcome>) =>
      observer.compared(alias, { kind: 'compared', canaryBehind: true, ...outcome }, () => {}),
    counts: () => counts,
  }
}

describe('CanaryObserver', () => {
  it.each([
    ['promoted', { generation: 8, canary: undefined }],
    ['stopped', { canary: undefined }],
  ])('counts nothing of a canary that was %s', (_, ended) => {
    const { counts, generations, observed, seen } = setUp()
    seen()
    // A copy that is older than what was read before ends no trial.
    seen({ generation: 6, canary: undefined })
    observed()
    expect(generations).toEqual([7])
    const before = counts()
    seen(ended)
    observed()
    expect(counts()).toEqual(before)
  })

  it('counts requests to both versions, and failures that may be theirs', () => {
    const { counts, observed, seen } = setUp()
    observed()
    expect(counts()).toEqual(NO_COUNTS)
    seen()
    observed()
    observed({ code: 'model_invalid' })
    observed({ version: '1' })
    observed({ version: '1', code: 'internal' })
    // The caller's own mistakes, other load, another version and another model say nothing.
    observed({ code: 'invalid_json' })
    observed({ code: 'overloaded' })
    observed({ version: '3' })
    observed({ model: 'other' })
    expect(counts()).toEqual({
      ...NO_COUNTS,
      canary: { requests: 2, errors: 1 },
      stable: { requests: 2, errors: 1 },
    })
  })

  it('compares times of like requests at the same origin, each once', () => {
    const { counts, observed, seen } = setUp()
    const at = (version: string, originMs: number, more: Partial<RequestObservation> = {}) =>
      observed({ version, place: 'origin', origin: 'near', originMs, outputTokens: 100, ...more })
    seen()
    at('2', 500)
    expect(counts().slower).toEqual({ count: 0, of: 0 })
    at('1', 100)
    at('2', 160)
    expect(counts().slower).toEqual({ count: 1, of: 1 })
    at('2', 500)
    expect(counts().slower).toEqual({ count: 1, of: 1 })
    at('1', 100, { origin: 'far' })
    at('1', 100, { outputTokens: 1_000 })
    at('2', 500)
    expect(counts().slower).toEqual({ count: 1, of: 1 })
    at('1', 100, { outputTokens: 110 })
    at('2', 140)
    expect(counts().slower).toEqual({ count: 1, of: 2 })
  })

  it('counts nothing of other releases, and ends with the first request of a later one', () => {
    const { counts, observed, seen } = setUp()
    seen()
    observed({ generation: 6, code: 'internal' })
    observed({ generation: 8, code: 'internal' })
    // Promoted: it resolved its version before.
    observed()
    expect(counts()).toEqual(NO_COUNTS)
  })

  it('compares no times that lie far apart: both versions may be slower since', async () => {
    const { clock, counts, observed, seen } = setUp()
    seen()
    const at = (version: string, originMs: number) =>
      observed({ version, place: 'origin', origin: 'near', originMs, outputTokens: 100 })
    for (let i = 0; i < 40; i++) at('1', 100)
    await clock.advance(LIMITS.canaryWindowMs + 1)
    for (let i = 0; i < 40; i++) at('2', 500)
    expect(counts().slower).toEqual({ count: 0, of: 0 })
    at('1', 450)
    // A clock that went back knows of nothing that is to come.
    await clock.advance(-1)
    at('2', 500)
    expect(counts().slower).toEqual({ count: 0, of: 0 })
    await clock.advance(1)
    at('2', 500)
    expect(counts().slower).toEqual({ count: 0, of: 1 })
  })

  it('counts what comparisons say, and whose failure it was', () => {
    const { compared, counts, seen, told } = setUp()
    seen()
    compared({ agreement: { agrees: true, largest: 0.5 }, costRatio: 1.2, timeRatio: 3 })
    compared({ agreement: { agrees: false, largest: 0.25 }, costRatio: 2 })
    compared({ kind: 'failed', code: 'unknown_input' })
    compared({ kind: 'failed', code: 'unknown_input', canaryBehind: false })
    compared({ kind: 'failed', code: 'engine_full' })
    compared({ kind: 'failed', code: 'store_unavailable' })
    compared({ kind: 'skipped' })
    expect(counts()).toEqual({
      ...NO_COUNTS,
      disagreed: { count: 2, of: 3 },
      costlier: { count: 1, of: 2 },
      slower: { count: 1, of: 1 },
      failed: 2,
      skipped: 3,
      largest: 0.5,
    })
    const words = ['agree', 'disagree', 'failed', 'failed', 'skipped', 'skipped', 'skipped']
    expect(told).toEqual(words.map((word) => `m 2 ${word}`))
  })

  it('counts nothing that a caller can bring about alone', () => {
    const { counts, observed, seen } = setUp()
    seen()
    for (const version of ['1', '2']) {
      observed({ version, code: 'internal', named: true })
      observed({ version, named: true })
      observed({ version, code: 'session_lost', continued: true })
      observed({ version, code: 'deadline_exceeded', excused: true })
      observed({ version, code: 'weights_unavailable', excused: true })
      // It asked for an origin where there is none.
      observed({ version, code: 'placement_impossible' })
    }
    expect(counts()).toEqual(NO_COUNTS)
    observed({ code: 'deadline_exceeded' })
    observed({ code: 'weights_unavailable' })
    expect(counts().canary).toEqual({ requests: 2, errors: 2 })
  })

  it('compares what callers cannot delay: the beginning of an answer, and no request that comes slowly', () => {
    const { counts, observed, seen } = setUp()
    seen()
    const at = (version: string, more: Partial<RequestObservation>) =>
      observed({ version, place: 'origin', origin: 'near', outputTokens: 100, ...more })
    at('1', { originMs: 100, originFirstMs: 40 })
    at('2', { originMs: 60_000, originFirstMs: 50 })
    expect(counts().slower).toEqual({ count: 0, of: 1 })
    at('1', { originMs: 100 })
    at('2', { originMs: 60_000, paced: true })
    expect(counts().slower).toEqual({ count: 0, of: 1 })
  })

  it('begins anew where a model was removed and pushed again, whose generations are lower', () => {
    const { generations, observed, seen } = setUp()
    seen()
    seen({ generation: 3, versions: { '1': 'c'.repeat(64), '2': 'd'.repeat(64) } })
    observed({ generation: 3 })
    expect(generations).toEqual([3])
  })

  it('goes on with the newest generation that it has met', () => {
    const { generations, observed, seen } = setUp()
    seen()
    seen({ generation: 8 })
    seen()
    observed({ generation: 8 })
    expect(generations).toEqual([8])
  })
})
