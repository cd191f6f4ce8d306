import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { tensor } from '../../src/core/tensors.ts'
import { HealthView } from '../../src/placement/health.ts'
import { OriginPool } from '../../src/placement/origin-pool.ts'
import { PlacementPlanner } from '../../src/placement/planner.ts'
import { decide } from '../../src/placement/policy.ts'
import { runRemotely, sendOn } from '../../src/placement/remote/send.ts'
import { OriginPlacement } from '../../src/placement/route.ts'
import { BoundedAdmission } from '../../src/serving/admission.ts'
import { greyPng } from '../../synthetic/png.ts'
import { edgeOf } from '../fixtures/fake-edge.ts'
import { FakeServing, OPERATOR, testApp, testModel } from '../fixtures/http.ts'
import { END, wordsTokenizer } from '../fixtures/language.ts'
import { originOf } from '../fixtures/remote.ts'

const models = [
  testModel(
    'glyphs',
    'public',
    {
      task: 'image-classification',
      labels: ['a', 'b'],
      image: { mode: 'L', size: [2, 2], fit: 'stretch', rescale: 1, layout: 'NCHW' },
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 1, 2, 2] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2] }],
    },
    { compute: () => new Map([['y', tensor('FP32', [1, 2], Float32Array.of(3, 1))]]) },
  ),
  testModel('numbers', 'public', {
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1] }],
  }),
  testModel(
    'writer',
    'public',
    {
      task: 'text-generation',
      placement: 'origin',
      inputs: [{ name: 'input_ids', datatype: 'INT64', shape: [-1, -1] }],
      outputs: [],
      generation: { contextLength: 64, stopTokens: [END] },
    },
    { files: { 'tokenizer.json': wordsTokenizer() } },
  ),
]

/** An application with one origin, which counts how often the policy is asked. */
function setUp() {
  let decisions = 0
  const shared = { clock: systemClock, limits: LIMITS, logger: silentLogger }
  const edge = edgeOf(new FakeServing(models))
  const answer = () =>
    new Response('data: {"choices":[]}\n\ndata: [DONE]\n\n', { headers: { 'content-type': 'text/event-stream' } })
  const health = new HealthView({ read: async () => null, write: async () => {} }, shared)
  const originPool = new OriginPool([originOf(async () => answer())], { ...shared, health, random: () => 0 })
  const planner = new PlacementPlanner({
    edge,
    originPool,
    health,
    clock: systemClock,
    failedLoadMs: 60_000,
    policy: (facts) => {
      decisions++
      return decide(facts)
    },
  })
  const placement = new OriginPlacement({
    ...shared,
    edge,
    planner,
    originPool,
    runRemotely: (origin, model, inputs, outputs, context) =>
      runRemotely(origin, model, inputs, outputs, context, shared),
    forward: (origin, model, request, context) => sendOn(origin, model, request, context, shared),
    admission: new BoundedAdmission({ slots: 4, bodyBytes: 1_000, leaseMs: 1_000, clock: systemClock }),
  })
  return { ...testApp({ models, placement }), decisions: () => decisions }
}

describe('where a request is computed is decided once', () => {
  it('for a picture that the edge looks at', async () => {
    const { decisions, post } = setUp()
    const png = await greyPng(2, 2, Uint8Array.of(0, 255, 0, 255))
    const answer = await post('/run/glyphs', png, { 'content-type': 'image/png' })
    expect([answer.status, (await answer.json<{ label: string }[]>())[0]?.label]).toEqual([200, 'a'])
    expect(answer.headers.get('verge-placement')).toContain('reason=fits-edge')
    expect(decisions()).toBe(1)
  })

  it('for tensors in binary', async () => {
    const { decisions, post } = setUp()
    const input = { name: 'x', datatype: 'FP32', shape: [2], parameters: { binary_data_size: 8 } }
    const header = new TextEncoder().encode(JSON.stringify({ inputs: [input] }))
    const body = new Uint8Array(header.length + 8)
    body.set(header)
    body.set(new Uint8Array(Float32Array.of(1, 2).buffer), header.length)
    const answer = await post('/v2/models/numbers/infer', body, {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(header.length),
    })
    expect(await answer.json()).toMatchObject({ outputs: [{ name: 'y', data: [1, 2] }] })
    expect(decisions()).toBe(1)
  })

  it('for a chat that an origin streams', async () => {
    const { decisions, post } = setUp()
    const answer = await post('/v1/chat/completions', { model: 'writer', stream: true, messages: [] })
    expect(await answer.text()).toContain('[DONE]')
    expect(answer.headers.get('verge-placement')).toBe('origin;origin="fra";reason=model-prefers-origin')
    expect(decisions()).toBe(1)
  })

  it('for an explanation, which alone lists what was considered', async () => {
    const { decisions, request } = setUp()
    const answer = await request('/explain/numbers', { headers: OPERATOR })
    const { decision } = await answer.json<{ decision: { considered: unknown[] } }>()
    expect(decision.considered.length).toBe(2)
    expect(decisions()).toBe(1)
  })
})
