import { describe, expect, it } from 'vitest'
import { planSchema } from '../../../src/access/plan.ts'
import { OPERATOR, testApp, testModel } from '../../fixtures/http.ts'

const FLOATS = { inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [2] }], outputs: [] }
const models = ['busy', 'idle'].map((model) => testModel(model, 'public', { ...FLOATS, model }))
const FREE = { rate: '60/1m', budgets: { day: { tokens: 1_000 } } }
const limited = {
  plans: new Map([
    ['free', planSchema.parse(FREE)],
    ['anonymous', planSchema.parse({ rate: '10/1m' })],
  ]),
  models: new Map([['busy', planSchema.parse({ rate: '5/1s', concurrency: 2 })]]),
}

describe('an explanation of a request', () => {
  const limitsOf = async (path: string, app = testApp({ models, limited })) =>
    (await (await app.request(path, { headers: OPERATOR })).json<{ limits: unknown }>()).limits

  it('says which limits apply: of the model, of the caller, and of callers without a key', async () => {
    expect(await limitsOf('/explain/busy')).toEqual({
      model: { rate: '5/1s', concurrency: 2 },
      caller: [],
      anonymous: { rate: '10/1m' },
    })
    expect(await limitsOf('/explain/idle')).toEqual({ model: null, caller: [], anonymous: { rate: '10/1m' } })
  })

  it('says those of a plan that is asked for', async () => {
    expect(await limitsOf('/explain/idle?plan=free')).toEqual({ model: null, caller: [], free: FREE })
  })

  it('refuses a plan that is not configured', async () => {
    const answer = await testApp({ models, limited }).request('/explain/idle?plan=gold', { headers: OPERATOR })
    expect([answer.status, await answer.json()]).toMatchObject([400, { error: { field: 'plan' } }])
  })

  it('says that nothing is limited where nothing is configured', async () => {
    expect(await limitsOf('/explain/idle', testApp({ models }))).toEqual({ model: null, caller: [], anonymous: null })
  })
})
