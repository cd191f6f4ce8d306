import { describe, expect, it } from 'vitest'
import type { Answer, PanelRequest } from '../../../page/panels/request.ts'
import { type LocalClient, perform, type RunContext } from '../../../page/state/runner.ts'
import { createClient, type FetchLike } from '../../../src/client/index.ts'

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
    browser: () => Promise.reject(new Error('not asked for')),
    now: () => (now += 5),
    ...more,
  }
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
  })

  it('in the browser asks its engine, which is loaded then, and says so', async () => {
    const { client, sent } = worker([])
    const asked: unknown[] = []
    const local: LocalClient = {
      ...client,
      run: (async (...given: unknown[]) => {
        asked.push(given.slice(0, 2))
        return ['local']
      }) as LocalClient['run'],
    }
    const answer = await perform(RUN, context(client, { place: 'browser', browser: async () => local }))
    expect(answer).toMatchObject({ output: ['local'], place: 'browser' })
    expect(asked).toEqual([['m', 'a text']])
    expect(sent).toEqual([])
  })

  it('is the edge’s where the engine in the browser handed it on', async () => {
    const { client } = worker([])
    const info = { status: 200, requestId: 'id-2', attempts: 1, place: 'edge' }
    const local: LocalClient = {
      ...client,
      run: (async (_model: string, _input: unknown, { onAnswer }: { onAnswer: (info: object) => void }) => {
        onAnswer(info)
        return []
      }) as unknown as LocalClient['run'],
    }
    const answer = await perform(RUN, context(client, { place: 'browser', browser: async () => local }))
    expect(answer).toMatchObject({ place: 'edge', info: { requestId: 'id-2' } })
  })

  it('fails with the error of the Worker', async () => {
    const fetch: FetchLike = async () =>
      Response.json({ error: { code: 'model_not_found', message: 'Gone.' } }, { status: 404 })
    const client = createClient({ url: 'http://worker', fetch })
    await expect(perform(RUN, context(client))).rejects.toMatchObject({ code: 'model_not_found', message: 'Gone.' })
  })
})
