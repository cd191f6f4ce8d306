import { describe, expect, it } from 'vitest'
import { parseVariables } from '../../src/config/variables.ts'

function messageOf(env: Readonly<Record<string, unknown>>): string {
  try {
    parseVariables(env)
  } catch (error) {
    return (error as Error).message
  }
  return 'accepted'
}

describe('PLANS', () => {
  it('are plans by name', () => {
    const { PLANS } = parseVariables({
      PLANS: '{"free":{"rate":"60/1m","budgets":{"day":{"requests":100},"month":{"usd":1.5}}},"anonymous":{}}',
    })
    expect(PLANS.get('free')).toEqual({
      rate: { requests: 60, seconds: 60 },
      budgets: { day: { requests: 100 }, month: { usd: 1.5 } },
    })
    expect(PLANS.get('anonymous')).toEqual({})
    expect(PLANS.size).toBe(2)
  })

  it.each([
    ['[]', 'must be an object in JSON'],
    ['{"free":', 'must be an object in JSON'],
    ['{"Free":{}}', 'its members must each have the name of a plan'],
    ['{"free":{"rate":"60"}}', 'free.rate: a rate like "60/1m" is needed'],
    ['{"free":{"budget":{}}}', 'free: Unrecognized key: "budget"'],
    ['{"free":{"budgets":{"day":{"tokens":-5}}}}', 'free.budgets.day.tokens: '],
    [`{"free":{},${' '.repeat(70_000)}"pro":{}}`, 'must have at most 65536 characters'],
  ])('are refused: %.40s', (PLANS, message) => {
    expect(messageOf({ PLANS })).toContain(`PLANS: ${message}`)
  })
})

describe('MODEL_LIMITS', () => {
  it('are rates and requests at once, by model', () => {
    const { MODEL_LIMITS } = parseVariables({ MODEL_LIMITS: '{"minilm":{"rate":"100/1s","concurrency":8}}' })
    expect([...MODEL_LIMITS]).toEqual([['minilm', { rate: { requests: 100, seconds: 1 }, concurrency: 8 }]])
  })

  it.each([
    ['{"minilm":{"budgets":{}}}', 'minilm: Unrecognized key: "budgets"'],
    ['{"mini/lm":{}}', 'its members must each have the name of a model'],
  ])('are refused: %s', (MODEL_LIMITS, message) => {
    expect(messageOf({ MODEL_LIMITS })).toContain(`MODEL_LIMITS: ${message}`)
  })
})

describe('LIMITS_WHEN_UNAVAILABLE', () => {
  it.each([
    ['', 'open', 'closed'],
    ['budgets=open', 'open', 'open'],
    [' rates = closed , budgets=open,', 'closed', 'open'],
  ])('%s', (LIMITS_WHEN_UNAVAILABLE, rates, budgets) => {
    expect(parseVariables({ LIMITS_WHEN_UNAVAILABLE }).LIMITS_WHEN_UNAVAILABLE).toEqual({ rates, budgets })
  })

  it.each(['open', 'rates=maybe', 'money=closed', 'rates'])('is refused: %s', (LIMITS_WHEN_UNAVAILABLE) => {
    expect(messageOf({ LIMITS_WHEN_UNAVAILABLE })).toMatch(/LIMITS_WHEN_UNAVAILABLE: must be rates=open or/)
  })
})
