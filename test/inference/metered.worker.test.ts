import { describe, expect, it } from 'vitest'
import type { Plan } from '../../src/access/plan.ts'
import { VergeError } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { tensor } from '../../src/core/tensors.ts'
import { HealthView } from '../../src/placement/health.ts'
import type { Fetch, OriginKind } from '../../src/placement/origin.ts'
import { OriginPool } from '../../src/placement/origin-pool.ts'
import { PlacementPlanner } from '../../src/placement/planner.ts'
import { runRemotely, sendOn } from '../../src/placement/remote/send.ts'
import { OriginPlacement } from '../../src/placement/route.ts'
import { BoundedAdmission } from '../../src/serving/admission.ts'
import { greyPng } from '../../synthetic/png.ts'
import { edgeOf } from '../fixtures/fake-edge.ts'
import { FakeServing, OPERATOR, testApp, testModel } from '../fixtures/http.ts'
import { meteringOf, type ScriptedMetering } from '../fixtures/metering.ts'
import { originOf } from '../fixtures/remote.ts'
import { scriptedApp } from '../fixtures/scripted-writer.ts'

const spent = new VergeError('budget_spent', 'The budget of the day is spent.', { details: { budget: 'tokens' } })
const chat = { model: 'abacus', messages: [{ role: 'user', content: 'What is 27 plus 58?' }], temperature: 0 }
const CHAT = '/v1/chat/completions'

function writer(script: ScriptedMetering = {}, text = 'Four score.') {
  const limits = meteringOf({ spent, ...script })
  return { ...limits, ...scriptedApp({ text, metering: limits.metering }) }
}

describe('a text', () => {
  it('reserves its prompt and its longest answer, and is booked by what it was', async () => {
    const { left, post, usage } = writer({ tokens: 1_000, units: 1_000 })
    const answer = await post(CHAT, chat)
    const { usage: said } = await answer.json<{ usage: { prompt_tokens: number; completion_tokens: number } }>()
    const { completion_tokens: outputTokens, prompt_tokens: inputTokens } = said
    expect(usage).toMatchObject([
      {
        model: 'abacus@2',
        status: 200,
        inputTokens,
        outputTokens,
        units: 1 + outputTokens,
        originUnits: 0,
        originMs: 0,
        cached: false,
      },
    ])
    expect(left).toEqual({ tokens: 1_000 - inputTokens - outputTokens, units: 999 - outputTokens })
  })

  it('is not begun where what is left is too little for its longest answer', async () => {
    const { heard, left, post, usage } = writer({ tokens: 70, units: 1_000 })
    const answer = await post(CHAT, { ...chat, max_tokens: 64 })
    expect(answer.status).toBe(429)
    expect(await answer.json()).toMatchObject({ error: { code: 'insufficient_quota', reason: 'budget_spent' } })
    expect([heard, left]).toEqual([[], { tokens: 70, units: 1_000 }])
    expect(usage).toMatchObject([{ status: 429, inputTokens: 0, units: 0 }])
  })

  it('that is streamed ends for the limits when it ends, and not before', async () => {
    const { post, usage } = writer()
    const answer = await post(CHAT, { ...chat, stream: true })
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
    await reader.read()
    expect(usage).toEqual([])
    while (!(await reader.read()).done);
    expect(usage).toMatchObject([{ status: 200, outputTokens: 11 }])
  })

  it('whose reader leaves gives back what was not written', async () => {
    const { left, post, usage } = writer({ tokens: 1_000, units: 1_000 })
    const answer = await post(CHAT, { ...chat, stream: true })
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
    await reader.read()
    await reader.cancel()
    await expect.poll(() => usage.length).toBe(1)
    const [taken] = usage
    expect(taken?.outputTokens).toBeLessThan(11)
    expect(left.tokens).toBe(1_000 - (taken?.inputTokens ?? 0) - (taken?.outputTokens ?? 0))
  })

  it('is as long as the plan allows where the request does not say, and refused where it asks for more', async () => {
    const { heard, post } = writer({ plan: { maxTokens: 5 } })
    const short = await (await post(CHAT, chat)).json()
    expect(short).toMatchObject({ choices: [{ finish_reason: 'length' }], usage: { completion_tokens: 5 } })
    expect(heard[0]?.options.maxNewTokens).toBe(5)
    expect((await post(CHAT, { ...chat, max_tokens: 5 })).status).toBe(200)
    for (const field of ['max_tokens', 'max_completion_tokens']) {
      const refused = await post(CHAT, { ...chat, [field]: 6 })
      expect(refused.status).toBe(400)
      expect(await refused.json()).toMatchObject({
        error: { code: 'invalid_request', limit_tokens: 5, message: expect.stringContaining('Your plan allows') },
      })
    }
    const ollama = await post('/ollama/api/generate', { model: 'abacus', prompt: 'Hi', options: { num_predict: 6 } })
    expect(ollama.status).toBe(400)
    expect(heard).toHaveLength(2)
  })
})

const FLOATS = {
  inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [2] }],
  outputs: [{ name: 'y', datatype: 'FP32' as const, shape: [2] }],
}
const answering = (value: number) => ({
  compute: () => new Map([['y', tensor('FP32', [2], Float32Array.of(value, 0))]]),
})
const ARTIFACT = {
  id: 'edge-fp32',
  sha256: '0'.repeat(64),
  bytes: 0,
  chunks: [],
  format: 'ort' as const,
  dtype: 'fp32',
  places: ['edge' as const],
}
const TENSORS = { inputs: [{ name: 'x', datatype: 'FP32', shape: [2], data: [1, 2] }] }
const MODELS = [
  testModel('large', 'public', { ...FLOATS, model: 'large' }, answering(1)),
  testModel('small', 'public', { ...FLOATS, model: 'small' }, answering(2)),
  testModel('hidden', 'private', { ...FLOATS, model: 'hidden' }, answering(3)),
  testModel('other', 'public', {
    model: 'other',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [3] }],
    outputs: FLOATS.outputs,
  }),
]

describe('a budget of which little is left', () => {
  const low = (models: Record<string, string>, isLow = true) => {
    const plan: Plan = { whenLow: { below: 0.1, models } }
    const limits = meteringOf({ low: isLow, plan })
    return { ...limits, ...testApp({ models: MODELS, metering: limits.metering }) }
  }
  const asked = async ({ post }: ReturnType<typeof low>, path = '/v2/models/large/infer') => {
    const answer = await post(path, TENSORS)
    const body = await answer.json<{ outputs: { data: number[] }[] }>()
    return [
      answer.status,
      body.outputs?.[0]?.data[0],
      answer.headers.get('verge-model'),
      answer.headers.get('verge-budget'),
    ]
  }

  it('has another model answer, which the answer says', async () => {
    const app = low({ large: 'small' })
    expect(await asked(app)).toEqual([200, 2, 'small@2', 'low'])
    expect(app.models).toEqual(['large', 'small'])
    expect(app.usage).toMatchObject([{ model: 'small@2' }])
  })

  it.each([
    ['the caller may not run it', { large: 'hidden' }],
    ['it takes other requests', { large: 'other' }],
    ['it does not exist', { large: 'absent' }],
    ['it is no model of the list', { toString: 'small' }],
  ])('has the model itself answer where %s', async (_, models: Record<string, string>) => {
    const app = low(models)
    expect(await asked(app)).toEqual([200, 1, 'large@2', 'low'])
    expect(app.usage).toMatchObject([{ model: 'large@2', status: 200 }])
  })

  it('changes nothing for who asks for a version, and nothing while enough is left', async () => {
    expect(await asked(low({ large: 'small' }), '/v2/models/large/versions/2/infer')).toEqual([
      200,
      1,
      'large@2',
      'low',
    ])
    expect(await asked(low({ large: 'small' }, false))).toEqual([200, 1, 'large@2', null])
  })
})

describe('what limits go by', () => {
  it('is the caller, its address and its page, for what is computed alone', async () => {
    const limits = meteringOf()
    const { post, request } = testApp({ models: MODELS, metering: limits.metering })
    await request('/v1/models')
    await request('/v2/models/large')
    expect(limits.facts).toEqual([])
    const headers = { 'cf-connecting-ip': '192.0.2.7', origin: 'https://shop.example' }
    expect((await post('/v2/models/large/infer', TENSORS, headers)).status).toBe(200)
    expect(limits.facts).toEqual([{ address: '192.0.2.7', clientOrigin: 'https://shop.example' }])
  })

  it('is asked before the model, and counts what is refused for its model, too', async () => {
    const limits = meteringOf()
    const { post } = testApp({ models: MODELS, metering: limits.metering })
    expect((await post('/v2/models/absent/infer', TENSORS)).status).toBe(404)
    expect((await post('/v2/models/large/infer', '{')).status).toBe(400)
    expect(limits.usage).toMatchObject([{ status: 404 }, { model: 'large@2', status: 400 }])
  })

  it('is the model for all of its callers together', async () => {
    const busy = new VergeError('rate_limited', 'Model "large" has no room.', { retryAfter: 2 })
    const limits = meteringOf({ model: busy })
    const { post, serving } = testApp({ models: MODELS, metering: limits.metering })
    const answer = await post('/v2/models/large/infer', TENSORS)
    expect([answer.status, answer.headers.get('retry-after'), serving.runs]).toEqual([429, '2', []])
    // Who may not run a model learns nothing of its limits.
    expect((await post('/v2/models/hidden/infer', TENSORS)).status).toBe(404)
  })
})

describe('tokens that a caller sends as tensors', () => {
  const ids = { name: 'input_ids', datatype: 'INT64' as const }
  const mask = { name: 'attention_mask', datatype: 'INT64' as const }
  const reading = (tokens: number, compute?: () => never) => {
    const inputs = [ids, mask].map((input) => ({ ...input, shape: [1, -1] }))
    const outputs = [{ name: 'y', datatype: 'INT64' as const, shape: [1, -1] }]
    const reads = testModel('reads', 'public', { model: 'reads', inputs, outputs }, compute && { compute })
    const limits = meteringOf({ spent, tokens })
    return { ...limits, ...testApp({ models: [reads], metering: limits.metering }) }
  }
  const four = {
    inputs: [
      { ...ids, shape: [1, 4], data: [101, 7, 102, 0] },
      { ...mask, shape: [1, 4], data: [1, 1, 1, 0] },
    ],
  }

  it('count as those of a text, without padding, and are refused where too few are left', async () => {
    const { left, post, serving, usage } = reading(5)
    expect((await post('/v2/models/reads/infer', four)).status).toBe(200)
    expect(usage).toMatchObject([{ status: 200, inputTokens: 3 }])
    expect((await post('/v2/models/reads/infer', four)).status).toBe(429)
    expect([left.tokens, serving.runs.length]).toEqual([2, 1])
  })

  it('are free again where the run fails', async () => {
    const { left, post, usage } = reading(5, () => {
      throw new VergeError('engine_full', 'There is no room.')
    })
    expect((await post('/v2/models/reads/infer', four)).status).toBe(503)
    expect(usage).toMatchObject([{ inputTokens: 0 }])
    expect(left.tokens).toBe(5)
  })
})

describe('an origin that answers a request', () => {
  /** An application whose model "far" runs at one origin alone. */
  function placed(kind: OriginKind, fetch: Fetch, script: ScriptedMetering = {}) {
    const far = [
      testModel('far', 'public', { ...FLOATS, model: 'far', placement: 'origin' }),
      testModel('seen', 'public', {
        model: 'seen',
        task: 'image-classification',
        placement: 'origin',
        labels: ['a', 'b'],
        image: { mode: 'L', size: [2, 2], fit: 'stretch', rescale: 1, layout: 'NCHW' },
        inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 1, 2, 2] }],
        outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2] }],
        artifacts: [{ ...ARTIFACT, cost: { base: 4, perElement: 0 } }],
      }),
      testModel('writes', 'public', {
        model: 'writes',
        task: 'text-generation',
        placement: 'origin',
        inputs: [],
        outputs: [],
      }),
    ]
    const shared = { clock: systemClock, limits: LIMITS, logger: silentLogger }
    const edge = edgeOf(new FakeServing(far))
    const health = new HealthView({ read: async () => null, write: async () => {} }, shared)
    const origins = ['fra', 'nyc'].map((name) => originOf(fetch, { kind, name }))
    const originPool = new OriginPool(origins, { ...shared, health, random: () => 0 })
    const planner = new PlacementPlanner({ edge, originPool, health, clock: systemClock, failedLoadMs: 60_000 })
    const placement = new OriginPlacement({
      ...shared,
      edge,
      planner,
      originPool,
      runRemotely: (origin, model, inputs, outputs, context) =>
        runRemotely(origin, model, inputs, outputs, context, shared),
      forward: (origin, model, request, context) => sendOn(origin, model, request, context, shared),
      admission: new BoundedAdmission({ slots: 4, bodyBytes: 1e6, leaseMs: 1_000, clock: systemClock }),
    })
    const limits = meteringOf({ spent, ...script })
    return { ...limits, ...testApp({ models: far, placement, metering: limits.metering }) }
  }

  it('says what it took, which is booked and kept from the caller', async () => {
    const { post, usage } = placed('verge', async () =>
      Response.json({ outputs: [] }, { headers: { 'verge-usage': 'units=7.5, input-tokens=3, output-tokens=0' } }),
    )
    const answer = await post('/v2/models/far/infer', TENSORS)
    expect([answer.status, answer.headers.get('verge-usage')]).toEqual([200, null])
    expect(usage).toMatchObject([{ units: 7.5, originUnits: 7.5, inputTokens: 3, outputTokens: 0 }])
  })

  it('is not asked where no units, or no tokens, are left', async () => {
    let asked = 0
    const fetch: Fetch = async () => Response.json({ outputs: [], choices: [], asked: asked++ })
    const body = { model: 'writes', messages: [] }
    for (const none of [{ units: 0 }, { tokens: 0 }]) {
      expect((await placed('verge', fetch, none).post(CHAT, body)).status).toBe(429)
    }
    // What takes no tokens needs none.
    expect((await placed('verge', fetch, { tokens: 0 }).post('/v2/models/far/infer', TENSORS)).status).toBe(200)
    expect(asked).toBe(1)
  })

  it('is told what the plan allows, where it is one of ours', async () => {
    const heard: (string | null)[] = []
    const fetch: Fetch = async ({ headers }) => {
      heard.push(headers.get('verge-bounds'))
      return Response.json({ choices: [] })
    }
    const chat = { model: 'writes', messages: [{ role: 'user', content: 'Hi' }] }
    await placed('verge', fetch, { plan: { batch: 3, maxTokens: 9 } }).post(CHAT, chat)
    await placed('verge', fetch).post(CHAT, chat, { 'verge-bounds': 'batch=99' })
    expect(heard).toEqual(['batch=3, max-tokens=9', null])
  })

  it("writes no longer than the plan allows, and its tokens are read from OpenAI's counts", async () => {
    const heard: unknown[] = []
    const fetch: Fetch = async (request) => {
      heard.push(await request.json())
      const usage = { prompt_tokens: 11, completion_tokens: 4, total_tokens: 15 }
      return Response.json({ choices: [{ index: 0, message: { content: 'Hi' }, finish_reason: 'stop' }], usage })
    }
    const app = placed('openai', fetch, { plan: { maxTokens: 20 } })
    const body = { model: 'writes', messages: [{ role: 'user', content: 'Hi' }] }
    await (await app.post(CHAT, body)).text()
    await (await app.post(CHAT, { ...body, max_tokens: 7 })).text()
    expect((await app.post(CHAT, { ...body, max_completion_tokens: 21 })).status).toBe(400)
    expect(heard).toMatchObject([{ max_tokens: 20 }, { max_tokens: 7 }])
    expect(app.usage.slice(0, 2)).toMatchObject([
      { inputTokens: 11, outputTokens: 4 },
      { inputTokens: 11, outputTokens: 4 },
    ])
  })

  it('streams, and is booked when the stream ends', async () => {
    const events = 'data: {"choices":[]}\n\n: verge-usage units=5, input-tokens=2, output-tokens=6\n\ndata: [DONE]\n\n'
    const { post, usage } = placed(
      'verge',
      async () => new Response(events, { headers: { 'content-type': 'text/event-stream' } }),
    )
    const answer = await post(CHAT, { model: 'writes', messages: [], stream: true })
    expect(await answer.text()).toContain('[DONE]')
    expect(usage).toMatchObject([{ status: 200, units: 5, inputTokens: 2, outputTokens: 6 }])
  })

  it('is paid for once, however often it is tried', async () => {
    let tries = 0
    const fetch: Fetch = async () => {
      if (++tries === 1) throw new Error('Network connection lost.')
      return Response.json({ choices: [] }, { headers: { 'verge-usage': 'units=2, input-tokens=1, output-tokens=1' } })
    }
    const { post, usage } = placed('verge', fetch)
    expect((await post(CHAT, { model: 'writes', messages: [] })).status).toBe(200)
    expect(tries).toBe(2)
    expect(usage).toMatchObject([{ units: 2, inputTokens: 1 }])
  })

  it('is paid for as here where it is given tensors, before it is asked, and its time is counted', async () => {
    let asked = 0
    const fetch: Fetch = async ({ url }) => {
      // Before, it is asked whether it takes binary tensors.
      if (url.endsWith('/infer')) asked++
      return Response.json({
        model_name: 'seen',
        outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2], data: [3, 1] }],
      })
    }
    const png = await greyPng(2, 2, Uint8Array.of(0, 255, 0, 255))
    const enough = placed('oip', fetch, { units: 5 })
    const answer = await enough.post('/run/seen', png, { 'content-type': 'image/png' })
    expect(answer.status, await answer.clone().text()).toBe(200)
    expect(enough.usage).toMatchObject([{ units: 4, status: 200 }])
    expect([enough.left.units, asked]).toEqual([1, 1])
    const little = placed('oip', fetch, { units: 3 })
    expect((await little.post('/run/seen', png, { 'content-type': 'image/png' })).status).toBe(429)
    expect([little.left.units, asked]).toEqual([3, 1])
  })
})

describe('an origin that a Worker passes requests on to', () => {
  const relayed = (caller: { kind: 'relayed'; name: string } | { kind: 'operator' }) =>
    scriptedApp({ text: 'Four score.', signatures: async () => caller })
  const SIGNED = { 'signature-input': 'verge=();tag="verge-origin-1"', signature: 'verge=:AA==:' }

  it('says what an answer took: in a header, or at the end of a stream', async () => {
    const { post } = relayed({ kind: 'relayed', name: 'key:a' })
    const whole = await post(CHAT, chat, SIGNED)
    const { usage } = await whole.json<{ usage: { prompt_tokens: number } }>()
    const taken = `units=12, input-tokens=${usage.prompt_tokens}, output-tokens=11`
    expect(whole.headers.get('verge-usage')).toBe(taken)
    const stream = await post(CHAT, { ...chat, stream: true }, SIGNED)
    expect(stream.headers.get('verge-usage')).toBeNull()
    expect(await stream.text()).toContain(`\n\n: verge-usage ${taken}\n\n`)
  })

  it('keeps to what the Worker says of the plan, and to nothing that callers say', async () => {
    const { heard, post } = relayed({ kind: 'relayed', name: 'key:a' })
    await (await post(CHAT, chat, { ...SIGNED, 'verge-bounds': 'max-tokens=3' })).text()
    await (await scriptedApp().post(CHAT, chat, { ...OPERATOR, 'verge-bounds': 'max-tokens=3' })).text()
    expect(heard.map(({ options }) => options.maxNewTokens)).toEqual([3])
  })

  it('says nothing of it to others', async () => {
    const answer = await scriptedApp().post(CHAT, { ...chat, stream: true })
    expect(await answer.text()).not.toContain('verge-usage')
  })
})
