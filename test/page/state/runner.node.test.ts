import { describe, expect, it } from 'vitest'
import type { Answer, PanelRequest } from '../../../page/panels/request.ts'
import { type LocalClient, perform, type RunContext } from '../../../page/state/runner.ts'
import { type AnswerInfo, createClient, type FetchLike, type RunOptions } from '../../../src/client/index.ts'

interface Sent {
  readonly path: string
  readonly headers: Headers
  readonly body: string
}

const HEADERS = {
  'content-type': 'application/json',
  'x-request-id': 'id-1',
  'verge-model': 'm@2',
  'verge-placement': 'origin;origin=gpu;reason=asked-for',
  'verge-cache': 'miss',
}

/** A client of a Worker that gives one answer to everything. */
function worker(body: unknown, headers: Readonly<Record<string, string>> = HEADERS) {
  const sent: Sent[] = []
  const fetch: FetchLike = async (url, init) => {
    sent.push({ path: new URL(url).pathname, headers: new Headers(init.headers), body: String(init.body) })
    return new Response(typeof body === 'string' ? body : JSON.stringify(body), { headers })
  }
  return { sent, client: createClient({ url: 'http://worker', fetch }) }
}

function context(client: RunContext['client'], more: Partial<RunContext> = {}): RunContext {
  let now = 100
  return {
    model: 'm',
    place: 'auto',
    signal: new AbortController().signal,
    client,
    now: () => (now += 5),
    ...more,
  }
}

const NO_HEADERS: AnswerInfo = {
  status: 200,
  requestId: undefined,
  model: undefined,
  placement: undefined,
  cache: undefined,
  serverTiming: undefined,
  attempts: 1,
}

const RUN: PanelRequest = { method: 'run', input: 'a text', parameters: { top_k: 1 } }

describe('a run of a panel', () => {
  it('is sent with its parameters, and answered with what headers say', async () => {
    const { client, sent } = worker([{ label: 'x', score: 1 }])
    const answer = await perform(RUN, context(client))
    expect(answer).toMatchObject({ request: RUN, output: [{ label: 'x', score: 1 }], ms: 5, place: 'origin' })
    expect(answer.info).toMatchObject({ requestId: 'id-1', model: 'm@2', cache: 'miss' })
    expect(sent.map(({ body, path }) => [path, JSON.parse(body)])).toEqual([
      ['/run/m', { inputs: 'a text', parameters: { top_k: 1 } }],
    ])
    expect(sent[0]?.headers.get('verge-place')).toBeNull()
  })

  it('goes where the visitor chose, and past the cache for a comparison', async () => {
    const { client, sent } = worker([])
    await perform(RUN, context(client, { place: 'edge', fresh: true }))
    expect(sent[0]?.headers.get('verge-place')).toBe('edge')
    expect(sent[0]?.headers.get('cache-control')).toBe('no-cache')
  })

  it('of each method reaches its route', async () => {
    const requests: [PanelRequest, object, string][] = [
      [{ method: 'embed', input: 'a' }, { data: [{ index: 0, embedding: [1] }] }, '/v1/embeddings'],
      [{ method: 'rerank', input: { query: 'q', documents: ['d'] } }, { results: [] }, '/rerank'],
    ]
    for (const [request, body, path] of requests) {
      const { client, sent } = worker(body)
      await perform(request, context(client)).catch(() => undefined)
      expect(sent.map((each) => each.path)).toEqual([path])
    }
  })

  it('of a text shows each part when it arrives', async () => {
    const event = (text: string) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text } }] })}\n\n`
    const { client } = worker(`${event('27')}${event(' plus')}data: [DONE]\n\n`, {
      ...HEADERS,
      'content-type': 'text/event-stream',
    })
    const parts: Answer[] = []
    const answer = await perform(
      { method: 'chat', input: [{ role: 'user', content: 'Hi' }] },
      context(client, { place: 'browser', onPart: (part) => parts.push(part) }),
    )
    // No browser writes texts: the Worker does.
    expect(parts.map(({ output }) => output)).toEqual(['27', '27 plus'])
    expect(answer).toMatchObject({ output: '27 plus', place: 'origin' })
    // The time of the first part is known with it, and stays. This text broke off: nothing says why it ended.
    expect(answer.text?.firstMs).toBeLessThan(answer.ms)
    expect(parts.map(({ text }) => text)).toEqual([answer.text, answer.text])
    expect(answer.text).toMatchObject({ finishReason: undefined, tokens: undefined })
  })

  it('of a whole text has why it ended, and its length', async () => {
    const choice = { index: 0, delta: { content: '85.' }, finish_reason: 'length' }
    const usage = { prompt_tokens: 4, completion_tokens: 3, total_tokens: 7 }
    const events = [{ choices: [choice] }, { choices: [], usage }].map((event) => `data: ${JSON.stringify(event)}\n\n`)
    const headers = { ...HEADERS, 'content-type': 'text/event-stream' }
    const { client } = worker(`${events.join('')}data: [DONE]\n\n`, headers)
    const { text } = await perform({ method: 'complete', input: '27 plus 58 is' }, context(client))
    expect(text).toMatchObject({ finishReason: 'length', tokens: 3 })
  })

  /** The browser's client, which notes its calls and answers as it is told to. */
  function local(client: RunContext['client'], info: Partial<AnswerInfo>) {
    const calls: unknown[] = []
    const run = (async (model: string, input: unknown, { onAnswer, place }: RunOptions) => {
      calls.push([model, input, place])
      onAnswer?.({ ...NO_HEADERS, ...info })
      return ['local']
    }) as LocalClient['run']
    return { calls, browser: async (): Promise<LocalClient> => ({ ...client, run }) }
  }

  it("in the browser is the browser's client's, which is told where to run", async () => {
    const { client, sent } = worker([])
    for (const place of ['browser', 'auto'] as const) {
      const { browser, calls } = local(client, { place: 'browser' })
      const answer = await perform(RUN, context(client, { place, browser }))
      expect(answer).toMatchObject({ output: ['local'], place: 'browser' })
      expect(calls).toEqual([['m', 'a text', place]])
    }
    expect(sent).toEqual([])
  })

  it("is the edge's where the browser's client handed it on", async () => {
    const { client } = worker([])
    const { browser } = local(client, { place: 'edge', requestId: 'id-2' })
    const answer = await perform(RUN, context(client, { browser }))
    expect(answer).toMatchObject({ place: 'edge', info: { requestId: 'id-2' } })
  })

  it('at a place of the Worker does not load the browser’s client', async () => {
    const { client, sent } = worker([])
    const browser = () => Promise.reject(new Error('not asked for'))
    await perform(RUN, context(client, { place: 'edge', browser }))
    await perform({ method: 'complete', input: 'a' }, context(client, { place: 'browser', browser })).catch(() => {})
    expect(sent.map(({ path }) => path)).toEqual(['/run/m', '/v1/completions'])
  })

  it('needs the browser’s client only where the visitor insists on it', async () => {
    const { client, sent } = worker([])
    const browser = () => Promise.reject(new TypeError('no network'))
    await perform(RUN, context(client, { place: 'auto', browser }))
    expect(sent.map(({ path }) => path)).toEqual(['/run/m'])
    await expect(perform(RUN, context(client, { place: 'browser', browser }))).rejects.toThrow('no network')
  })

  it('fails with the error of the Worker', async () => {
    const fetch: FetchLike = async () =>
      Response.json({ error: { code: 'model_not_found', message: 'Gone.' } }, { status: 404 })
    const client = createClient({ url: 'http://worker', fetch })
    await expect(perform(RUN, context(client))).rejects.toMatchObject({ code: 'model_not_found', message: 'Gone.' })
  })
})
