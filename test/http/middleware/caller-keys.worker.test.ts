import { describe, expect, it } from 'vitest'
import { Attempts } from '../../../src/access/attempts.ts'
import { Credentials } from '../../../src/access/credentials.ts'
import type { grantSchema } from '../../../src/access/grant.ts'
import { KeyReader } from '../../../src/access/keys/reader.ts'
import type { KeyRecord } from '../../../src/access/keys/record.ts'
import type { Visibility } from '../../../src/catalog/alias.ts'
import { VergeError } from '../../../src/core/errors.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../../src/core/runtime.ts'
import type { Placement } from '../../../src/placement/placement.ts'
import { downloads } from '../../fixtures/downloads.ts'
import { OPERATOR, testApp, testModel } from '../../fixtures/http.ts'
import { issueKey, storeKey } from '../../fixtures/keys.ts'
import { MemoryStore } from '../../fixtures/memory-store.ts'

const spec = {
  inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [-1] }],
  outputs: [{ name: 'y', datatype: 'FP32' as const, shape: [-1] }],
}
const downloadable = {
  ...spec,
  downloadable: true,
  artifacts: [
    {
      id: 'onnx-q8',
      format: 'onnx' as const,
      dtype: 'q8',
      places: ['browser' as const],
      sha256: 'a'.repeat(64),
      bytes: 1,
      chunks: [{ sha256: 'a'.repeat(64), bytes: 1 }],
    },
  ],
}
const named: readonly (readonly [string, Visibility])[] = [
  ['open', 'public'],
  ['mine', 'private'],
  ['shop-search', 'private'],
  ['other', 'private'],
]
const models = [
  ...named.map(([name, visibility]) => testModel(name, visibility, spec)),
  testModel('light', 'private', downloadable),
  testModel('light-open', 'public', downloadable),
]

/** An application that knows keys, and one key with this grant. */
async function withKey(
  grant: Parameters<typeof grantSchema.parse>[0],
  changes: Partial<Pick<KeyRecord, 'expiresAt' | 'revokedAt'>> = {},
  more: { readonly placement?: Placement } = {},
) {
  const store = new MemoryStore()
  const { record, text } = await issueKey(grant, changes)
  await storeKey(record, store)
  const away = { now: false }
  const get = store.get.bind(store)
  store.get = async (key, options) => {
    if (away.now) throw new VergeError('store_unavailable', 'Gone.')
    return get(key, options)
  }
  const credentials = new Credentials({
    keys: new KeyReader(store, store, { clock: systemClock, logger: silentLogger, limits: LIMITS }),
    attempts: new Attempts({ clock: systemClock, limits: LIMITS }),
    clock: systemClock,
    limits: LIMITS,
  })
  const app = testApp({ models, credentials, downloads: downloads(), logSampleRate: 1, ...more })
  const headers = { authorization: `Bearer ${text}` }
  const get_ = (path: string, own: Record<string, string> = headers) => app.request(path, { headers: own })
  const infer = (model: string, own: Record<string, string> = {}) =>
    app.post(
      `/v2/models/${model}/infer`,
      { inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }] },
      { ...headers, ...own },
    )
  const outcome = async (answer: Promise<Response>): Promise<[number, string]> => {
    const response = await answer
    const text = await response.text()
    const error = response.ok ? '' : (JSON.parse(text) as { error: string | { message: string } }).error
    return [response.status, typeof error === 'string' ? error : error.message]
  }
  return { ...app, away, text, record, headers, get: get_, infer, outcome }
}

describe('a key', () => {
  it('runs what it names and what is public; all else looks as if it did not exist', async () => {
    const { infer, outcome, get } = await withKey({ models: ['mine', 'shop-*'] })
    for (const model of ['mine', 'shop-search', 'open']) expect(await outcome(infer(model))).toEqual([200, ''])
    const hidden = await outcome(infer('other'))
    const missing = await outcome(infer('another'))
    expect(hidden[0]).toBe(404)
    expect([hidden[0], hidden[1].replace('other', '#')]).toEqual([missing[0], missing[1].replace('another', '#')])
    expect(await outcome(get('/models/mine', {}))).toEqual([404, expect.any(String)])
  })

  it.each<[string, string, RequestInit, (body: unknown) => string[]]>([
    ['OpenAI', '/v1/models', {}, (body) => (body as { data: { id: string }[] }).data.map(({ id }) => id)],
    ['Verge', '/models', {}, (body) => (body as { models: { name: string }[] }).models.map(({ name }) => name)],
    ['Anthropic', '/anthropic/v1/models', {}, (body) => (body as { data: { id: string }[] }).data.map(({ id }) => id)],
    [
      'Cohere',
      '/cohere/v1/models',
      {},
      (body) => (body as { models: { name: string }[] }).models.map(({ name }) => name),
    ],
    ['vLLM', '/vllm/v1/models', {}, (body) => (body as { data: { id: string }[] }).data.map(({ id }) => id)],
    [
      'Ollama',
      '/api/tags',
      {},
      (body) => (body as { models: { name: string }[] }).models.map(({ name }) => name.replace(':latest', '')),
    ],
    ['OIP', '/v2/repository/index', { method: 'POST' }, (body) => (body as { name: string }[]).map(({ name }) => name)],
  ])("lists in %s's words what it may see", async (_protocol, path, init, namesOf) => {
    const { headers, request } = await withKey({ models: ['mine', 'shop-*'], actions: ['metrics'] })
    const listed = async (own: Record<string, string>) => {
      const response = await request(path, { ...init, headers: own })
      expect(response.status).toBe(200)
      return new Set(namesOf(await response.json()))
    }
    const others = await listed({})
    const mine = await listed(headers)
    expect([...others].filter((name) => !['open', 'light-open'].includes(name))).toEqual([])
    expect([...mine].filter((name) => !others.has(name)).sort()).toEqual(['mine', 'shop-search'])
  })

  it('is told what it does not allow, of models that it may see', async () => {
    const { infer, outcome, get } = await withKey({ models: ['mine', 'light'], actions: ['metrics'] })
    expect(await outcome(infer('mine'))).toEqual([403, 'Your key does not allow running model "mine".'])
    expect(await outcome(get('/browser/light'))).toEqual([403, expect.stringContaining('in a browser')])
    expect(await outcome(get('/explain/mine'))).toEqual([403, expect.stringContaining('explain')])
    expect(await outcome(get('/explain/other'))).toEqual([404, expect.any(String)])
    // as anyone
    expect(await outcome(infer('open'))).toEqual([200, ''])
  })

  it('gives browsers what it names, where it allows the action and the place', async () => {
    const status = async (grant: Parameters<typeof grantSchema.parse>[0], model: string) =>
      (await (await withKey(grant)).get(`/browser/${model}`)).status
    expect(await status({ models: ['light'] }, 'light')).toBe(200)
    expect(await status({ models: ['light'] }, 'light-open')).toBe(200)
    expect(await status({ models: ['light'], places: ['edge'] }, 'light')).toBe(403)
    expect(await status({ models: ['light'], places: ['edge'] }, 'light-open')).toBe(403)
    expect(await status({ models: ['light'], actions: ['infer'] }, 'light')).toBe(403)
    expect(await status({ models: ['mine'] }, 'light')).toBe(404)
    expect(await status({ models: ['mine'] }, 'mine')).toBe(403)
  })

  it('runs versions that are not live where it allows that, and explains where it allows that', async () => {
    const most = await withKey({ models: ['mine'], actions: ['infer', 'unreleased', 'explain', 'metrics'] })
    const least = await withKey({ models: ['mine'] })
    expect(await most.outcome(most.infer('mine/versions/1'))).toEqual([200, ''])
    expect((await least.outcome(least.infer('mine/versions/1')))[0]).toBe(404)
    // of public models, too, it is for those that the key names
    expect((await most.outcome(most.infer('open/versions/1')))[0]).toBe(404)
    expect((await most.get('/explain/mine')).status).toBe(200)
    const figures = async ({ get }: typeof most) => Object.keys((await (await get('/healthz')).json()) as object)
    expect(await figures(most)).toContain('heap_bytes')
    expect(await figures(least)).not.toContain('heap_bytes')
  })

  it('says why it is not accepted, where that matters', async () => {
    const expired = await withKey({ models: ['mine'] }, { expiresAt: 86_400 })
    const response = await expired.get('/v1/models/mine')
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe(
      'Bearer realm="verge", error="invalid_token", error_description="expired"',
    )
    const { error } = (await response.json()) as { error: { message: string } }
    expect(error.message).toContain('The key "shop" expired on 1970-01-02. Ask the operator for a new key.')
    expect(error.message).toContain('GET /v1/models')
    // public models are open to clients that insist on sending a key
    expect(await expired.outcome(expired.infer('open'))).toEqual([200, ''])
    const revoked = await withKey({ models: ['mine'] }, { revokedAt: 86_400 })
    expect(await revoked.outcome(revoked.infer('mine'))).toEqual([
      401,
      expect.stringContaining('was revoked on 1970-01-02'),
    ])
    const mistyped = { authorization: `Bearer ${revoked.text.slice(0, -1)}_` }
    expect(await revoked.outcome(revoked.infer('mine', mistyped))).toEqual([401, expect.stringContaining('checksum')])
  })

  it('never makes an anonymous caller where it cannot be checked', async () => {
    const { away, infer, outcome } = await withKey({ models: ['mine'] })
    away.now = true
    for (const model of ['mine', 'open']) {
      expect(await outcome(infer(model))).toEqual([503, 'The key cannot be checked at present. Try again in a moment.'])
    }
    // who sends none is not concerned
    expect(await outcome(infer('open', { authorization: 'Bearer none' }))).toEqual([200, ''])
    away.now = false
    expect(await outcome(infer('mine'))).toEqual([200, ''])
  })

  it("comes in Anthropic's header, too, and in no other", async () => {
    const { get, text } = await withKey({ models: ['mine'] })
    expect((await get('/anthropic/v1/models/mine', { 'x-api-key': text })).status).toBe(200)
    expect((await get('/v1/models/mine', { 'x-api-key': text })).status).toBe(404)
    expect((await get('/v1/models/mine', { 'api-key': text, cookie: `key=${text}` })).status).toBe(404)
  })

  it('is looked for in nothing but a plain header', async () => {
    const { outcome, get, text } = await withKey({ models: ['mine'] })
    for (const header of [
      text,
      `Basic ${text}`,
      `Bearer ${text}, Bearer ${text}`,
      `Bearer ${text} x`,
      `Bearer ${'x'.repeat(100_000)}`,
    ]) {
      const [status, message] = await outcome(get('/v1/models/mine', { authorization: header }))
      expect([status, message.length < 400], header.slice(0, 40)).toEqual([401, true])
      expect(message).not.toContain(text)
    }
    expect((await get('/v1/models/mine', { authorization: `bearer   ${text} ` })).status).toBe(200)
  })

  it('is limited by the address of wrong ones, in the protocol’s own shape', async () => {
    const { post } = await withKey({ models: ['mine'] })
    const answers: Response[] = []
    for (let i = 0; i <= LIMITS.failedAttempts; i++) {
      const { text } = await issueKey()
      const headers = { authorization: `Bearer ${text}`, 'cf-connecting-ip': '203.0.113.1' }
      answers.push(await post('/v1/embeddings', { model: 'mine', input: 'x' }, headers))
    }
    expect(answers.map(({ status }) => status)).toEqual([...Array(LIMITS.failedAttempts).fill(401), 429])
    expect(Number(answers.at(-1)?.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await answers.at(-1)?.text()).toContain('Too many wrong keys')
  })

  it('leaves no trace of itself in the log', async () => {
    const { get, lines, text } = await withKey({ models: ['mine'] })
    await get('/v1/models/other')
    await get('/v1/models/mine', { authorization: `Bearer ${text}x` })
    expect(JSON.stringify(lines)).not.toContain(text.slice(0, 30))
    expect(lines.length).toBeGreaterThan(0)
  })

  it('is named in the log by its id', async () => {
    const { infer, lines, record } = await withKey({ models: ['mine'] })
    expect((await infer('mine')).status).toBe(200)
    const answered = lines.find(({ event }) => event === 'request_answered')
    expect(answered?.fields).toMatchObject({ caller: `key:${record.id}` })
  })

  it('is not the operator’s', async () => {
    const { headers, outcome, request } = await withKey({ models: ['*'], actions: ['infer', 'metrics'] })
    const load = (own: Record<string, string>) =>
      request('/v2/repository/models/mine/load', { method: 'POST', headers: own })
    expect((await outcome(load(headers)))[0]).toBe(403)
    expect((await outcome(load({})))[0]).not.toBe(200)
    const store = await outcome(request('/store?key=alias/mine', { headers }))
    expect(store[0]).toBeGreaterThanOrEqual(403)
    expect(OPERATOR.authorization).not.toBe(headers.authorization)
  })
})

describe("a grant's places", () => {
  /** A placement that notes what it is asked for, and leaves the edge to answer. */
  class Noting {
    readonly asked: (string | undefined)[] = []
    refuses = false

    async route(_model: unknown, _facts: unknown, context: { placement?: { hint: string } }): Promise<undefined> {
      this.asked.push(context.placement?.hint)
      if (this.refuses) throw new VergeError('placement_impossible', 'Set "auto" or "origin".')
      return undefined
    }
  }

  async function placing(places: readonly ('edge' | 'origin' | 'browser')[]) {
    const noting = new Noting()
    const made = await withKey({ models: ['mine'], places }, {}, { placement: noting as unknown as Placement })
    const ask = (hint?: string) => made.outcome(made.infer('mine', hint === undefined ? {} : { 'verge-place': hint }))
    return { ask, noting }
  }

  it('are asked for where the request leaves it open', async () => {
    for (const [places, hints] of [
      [
        ['edge', 'origin', 'browser'],
        ['auto', 'edge', 'origin'],
      ],
      [
        ['edge', 'origin'],
        ['auto', 'edge', 'origin'],
      ],
      [
        ['edge', 'browser'],
        ['edge', 'edge', 403],
      ],
      [['origin'], ['origin', 403, 'origin']],
      [['browser'], [403, 403, 403]],
    ] as const) {
      const { ask, noting } = await placing(places)
      const found: (string | number | undefined)[] = []
      for (const hint of [undefined, 'edge', 'origin']) {
        const before = noting.asked.length
        const [status] = await ask(hint)
        found.push(noting.asked.length > before ? noting.asked.at(-1) : status)
      }
      expect(found, places.join()).toEqual(hints)
    }
  })

  it('are named where the model cannot run there: asking for another place is of no use', async () => {
    const { ask, noting } = await placing(['edge'])
    noting.refuses = true
    expect(await ask()).toEqual([403, expect.stringContaining('allows the place "edge" only')])
    // who asked for the place is told so in the words for everybody
    expect((await ask('edge'))[0]).toBe(400)
  })

  it('are refused where there is one place alone, and it is not among them', async () => {
    const origin = await withKey({ models: ['mine'], places: ['origin'] })
    expect(await origin.outcome(origin.infer('mine'))).toEqual([403, expect.stringContaining('"origin" only')])
    const edge = await withKey({ models: ['mine'], places: ['edge'] })
    expect(await edge.outcome(edge.infer('mine'))).toEqual([200, ''])
    // its models may be looked at all the same
    expect((await origin.get('/v1/models/mine')).status).toBe(200)
  })
})
