import { describe, expect, it } from 'vitest'
import type { Alias } from '../../src/catalog/alias.ts'
import { VergeError } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger } from '../../src/core/runtime.ts'
import { Operations, type OperationsSources } from '../../src/operations/operations.ts'
import { operationsBodySchema } from '../../src/protocols/verge/operations.ts'
import { ManualClock, testContext } from '../fixtures/clock.ts'

const alias = (model: string): Alias => ({
  schema: 1,
  model,
  generation: 1,
  visibility: 'public',
  versions: {},
  live: [{ version: '1', weight: 1 }],
})

async function setup(sources: Partial<OperationsSources> = {}) {
  const clock = new ManualClock()
  await clock.advance(Date.UTC(2026, 10, 30, 12))
  const reads: string[] = []
  const counted = <T>(name: string, value: T) => {
    return async (): Promise<T> => {
      reads.push(name)
      return value
    }
  }
  const minute = { minute: clock.now() / 60_000, version: '1', place: 'edge', errors: 0, units: 1, tokens: 0 }
  const operations = new Operations({
    clock,
    logger: silentLogger,
    limits: LIMITS,
    version: '1.2.3',
    traffic: counted('traffic', {
      minutes: [{ ...minute, model: 'reviews', requests: 5 }],
      families: [],
      isolates: 2,
      uses: [],
      lost: 0,
      unreachable: 0,
    }),
    models: counted('models', [alias('digits'), alias('reviews')]),
    alias: async (model) => alias(model),
    changes: counted('changes', []),
    spending: counted('spending', {
      cost: { day: '2026-11-30', todayUsd: 1, monthUsd: 2 },
      callers: [],
      models: new Map([['reviews', 1]]),
      truncated: false,
    }),
    origins: counted('origins', []),
    ...sources,
  })
  return { clock, operations, reads }
}

describe('the report', () => {
  it('is what its schema says, with the busiest model first', async () => {
    const { operations } = await setup()
    const body = await operations.read(testContext())
    expect(operationsBodySchema.parse(body)).toEqual(body)
    expect(body).toMatchObject({ at: '2026-11-30T12:00:00.000Z', version: '1.2.3', health: 'ok', isolates: 2 })
    expect(
      body.models?.map(({ model, costTodayUsd, traffic }) => [model, costTodayUsd, traffic?.lastHour.requests]),
    ).toEqual([
      ['reviews', 1, 5],
      ['digits', undefined, 0],
    ])
  })

  it('names the canary of a model, and the one that was stopped', async () => {
    const on = {
      ...alias('digits'),
      live: [
        { version: '1', weight: 19 },
        { version: '2', weight: 1 },
      ],
    }
    const stopped = { generation: 1, version: '2', at: 1_764_504_000, reason: 'It failed more often.' }
    const { operations } = await setup({
      models: async () => [{ ...on, canary: { version: '2', against: '1', shadow: 0.5, guarded: true } }],
      alias: async (model) => ({ ...alias(model), stopped }),
    })
    const { alerts, models } = await operations.read(testContext())
    const [reviews, digits] = models ?? []
    expect(digits?.canary).toEqual({ version: '2', against: '1', share: 0.05, shadow: 0.5, guarded: true })
    expect(reviews?.stopped).toEqual({ version: '2', at: '2025-11-30T12:00:00.000Z', reason: 'It failed more often.' })
    expect(alerts[0]?.what).toBe('Version 2 of reviews was taken out: It failed more often.')
    // A stop is not signed: whoever may write into the bucket says when.
    const odd = await setup({ alias: async (model) => ({ ...alias(model), stopped: { ...stopped, at: 1e15 } }) })
    const body = await odd.operations.read(testContext())
    expect(operationsBodySchema.parse(body).models?.[0]?.stopped?.at).toBe('9999-12-31T23:59:59.000Z')
  })

  it('asks the watch about the canaries of models that have traffic, and says so if it does not answer', async () => {
    const trial = {
      live: [
        { version: '1', weight: 19 },
        { version: '2', weight: 1 },
      ],
      canary: { version: '2', against: '1', guarded: true },
    }
    const sources = { alias: async (model: string) => ({ ...alias(model), ...trial }) }
    const asked: string[] = []
    const { operations } = await setup({
      ...sources,
      watched: async ({ model }) => {
        asked.push(model)
        return { verdict: 'watching', requests: 7 }
      },
    })
    const { models } = await operations.read(testContext())
    expect(asked).toEqual(['reviews'])
    expect(models?.[0]?.canary).toEqual({ ...trial.canary, share: 0.05, verdict: 'watching', requests: 7 })
    const away = await setup({ ...sources, watched: () => Promise.reject(new Error('away')) })
    const body = await away.operations.read(testContext())
    expect(body.problems.map(({ part }) => part)).toEqual(['canaries'])
    expect(body.models?.[0]?.canary?.version).toBe('2')
  })

  it('keeps each part for a few seconds, those from R2 for longer', async () => {
    const { clock, operations, reads } = await setup()
    await operations.read(testContext())
    await operations.read(testContext())
    expect(reads).toHaveLength(5)
    await clock.advance(LIMITS.operationsTtlMs)
    await operations.read(testContext())
    expect(reads.slice(5).sort()).toEqual(['origins', 'traffic'])
    await clock.advance(LIMITS.operationsStoreTtlMs)
    await operations.read(testContext())
    expect(reads).toHaveLength(12)
    // A clock that went back keeps nothing for as long as it was ahead.
    await clock.advance(-3_600_000)
    await operations.read(testContext())
    expect(reads).toHaveLength(17)
  })

  it('leaves out a part that fails, hangs or is not bound, and says so', async () => {
    let asked = 0
    const { clock, operations } = await setup({
      traffic: () => {
        asked++
        return new Promise(() => {})
      },
      models: async () => {
        throw new VergeError('store_unavailable', 'R2 does not answer.')
      },
      changes: async () => {
        throw new Error('a secret of the platform')
      },
    })
    const reading = operations.read(testContext())
    await clock.advance(LIMITS.operationsPartMs)
    const body = await reading
    expect(operationsBodySchema.parse(body)).toEqual(body)
    expect(body).toMatchObject({ health: 'warning', totals: null, isolates: null, models: null, changes: null })
    expect(body.cost?.todayUsd).toBe(1)
    expect(body.problems).toEqual([
      { part: 'traffic', what: 'The source did not answer within 5 s.' },
      { part: 'models', what: 'R2 does not answer.' },
      { part: 'changes', what: 'The source failed. The log has the reason.' },
    ])
    // A source that hangs is not waited for with every look.
    await operations.read(testContext())
    expect(asked).toBe(1)
  })

  it('is about traffic alone where models cannot be read', async () => {
    const { operations } = await setup({
      alias: () => Promise.reject(new VergeError('store_unavailable', 'R2 does not answer.')),
      models: async () => {
        throw new VergeError('store_unavailable', 'R2 does not answer.')
      },
    })
    const { models } = await operations.read(testContext())
    expect(models?.map(({ model, live, visibility }) => [model, live, visibility])).toEqual([
      ['reviews', [], undefined],
    ])
  })

  it('says which models it has no room for', async () => {
    const many = Array.from({ length: 103 }, (_, index) => alias(`model-${String(index).padStart(3, '0')}`))
    const { operations } = await setup({ models: async () => many })
    const body = await operations.read(testContext())
    expect(body.models).toHaveLength(100)
    expect(body.models?.[0]?.model).toBe('reviews')
    expect(body.modelsLeftOut).toBe(4)
  })

  it('does not keep what a caller that left had asked for', async () => {
    const { operations, reads } = await setup()
    const context = testContext()
    const reading = operations.read(context)
    context.abort()
    await reading
    await operations.read(testContext())
    expect(reads.filter((name) => name === 'models')).toHaveLength(2)
  })
})
