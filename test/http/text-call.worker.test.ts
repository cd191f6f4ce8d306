import { describe, expect, it } from 'vitest'
import type { Placement, Route } from '../../src/placement/placement.ts'
import { BoundedAdmission } from '../../src/serving/admission.ts'
import { ManualClock } from '../fixtures/clock.ts'
import { testApp } from '../fixtures/http.ts'
import { PROTOCOL_MODELS } from '../fixtures/protocol-models.ts'

interface Sent {
  readonly route: string
  readonly path: string
  readonly body: unknown
}

/** An application that passes every request on to an origin, which answers whom it was asked for. */
function passingOn() {
  const sent: Sent[] = []
  const clock = new ManualClock()
  const placement: Placement = {
    admission: new BoundedAdmission({ slots: 8, bodyBytes: 10_000, leaseMs: 60_000, clock }),
    async route(_, facts): Promise<Route> {
      const { serving } = app
      return {
        forward: true,
        fallback: false,
        async send(request) {
          const body: unknown = await new Response(request.body).json()
          sent.push({ route: facts.route, path: request.path, body })
          return { response: Response.json({ from: 'fra' }), origin: 'fra', reason: 'asked-for', attempts: 1 }
        },
        giveUpOrigins() {},
        checkCost: (...args) => serving.checkCost(...args),
        prefetch: (...args) => serving.prefetch(...args),
        run: (...args) => serving.run(...args),
        generate: (...args) => serving.generate(...args),
      }
    },
    reaches: () => true,
    explain: async () => ({}),
  }
  const app = testApp({
    models: PROTOCOL_MODELS,
    placement,
    addressing: { defaultModel: 'mini', modelNames: new Map([['BAAI/bge', 'mini']]) },
  })
  return { post: app.post, sent }
}

describe('a request about texts, on its way to an origin', () => {
  it.each([
    ['/tei/mini/embed', { inputs: 'a' }, '/tei/mini/embed', { inputs: 'a', model: 'mini' }],
    // Its own names and defaults are the edge's.
    ['/embed', { inputs: 'a' }, '/tei/mini/embed', { inputs: 'a', model: 'mini' }],
    ['/tei/BAAI%2Fbge/embed', { inputs: 'a' }, '/tei/mini/embed', { inputs: 'a', model: 'mini' }],
    ['/v2/embed', { model: 'BAAI/bge', texts: ['a'] }, '/cohere/v2/embed', { model: 'mini', texts: ['a'] }],
    ['/pooling', { input: 'a' }, '/vllm/pooling', { input: 'a', model: 'mini' }],
    ['/vllm/score', { model: 'cross', text_1: 'a' }, '/vllm/score', { model: 'cross', text_1: 'a' }],
    ['/jina/v1/rerank', { model: 'cross', query: 'a' }, '/jina/v1/rerank', { model: 'cross', query: 'a' }],
  ])('%s keeps its protocol, and has the model by its own name', async (path, body, sentPath, sentBody) => {
    const { post, sent } = passingOn()
    const response = await post(path, body)
    expect([response.status, await response.json()]).toEqual([200, { from: 'fra' }])
    expect(sent).toEqual([{ route: 'own', path: sentPath, body: sentBody }])
  })

  it('is said as it was where origins of other kinds know it', async () => {
    const { post, sent } = passingOn()
    const body = { model: 'cross', query: 'a', documents: ['a'] }
    await post('/rerank', body)
    expect(sent).toEqual([{ route: 'rerank', path: '/rerank', body }])
  })
})

describe('an answer', () => {
  it('says where it was computed, and nothing that JSON cannot hold', async () => {
    const { post } = testApp({ models: PROTOCOL_MODELS })
    const response = await post('/tei/mini/embed', { inputs: 'a' })
    expect(response.headers.get('verge-placement')).toEqual(expect.stringMatching(/^edge;/))
    expect(response.headers.get('verge-model')).toBe('mini@2')
  })
})
