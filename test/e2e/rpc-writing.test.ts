import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { publishAs } from '../fixtures/node/placed-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'
import { type CallerMethod, callBinding, callingWorker, picture, type Reply } from '../fixtures/node/rpc-caller.ts'

const KEY = 'a-key-for-bindings-0123456789'
/** Calls whose inputs are still to be read hold a place each, and hardly any bytes: as many as there are places. */
const ALL_ROOM = LIMITS.admittedRequests

describe('another Worker that has texts written', () => {
  let worker: LiveWorker

  beforeAll(async () => {
    worker = await startLiveWorker({ VERGE_API_KEY: KEY, RPC_CALLERS: 'shop' }, [
      callingWorker('stranger'),
      callingWorker('shop', { caller: 'shop' }),
      callingWorker('thief', { caller: 'operator' }),
    ])
    const writer = await writerFor(worker)
    const abacus = await packFolder(join(ROOT, 'models/abacus'))
    const digits = await packFolder(join(ROOT, 'models/digits'))
    await publish(writer, abacus)
    await publishAs(writer, { ...abacus, visibility: 'private' }, 'diary')
    await publish(writer, digits)
  })
  afterAll(() => worker.dispose())

  const call = (from: string, method: CallerMethod, ...args: unknown[]): Promise<Reply> =>
    callBinding(worker, from, method, ...args)
  const run = (...args: unknown[]) => call('stranger', 'run', ...args)

  const sum = { messages: [{ role: 'user', content: 'What is 27 plus 58?' }], max_tokens: 24, temperature: 0 }
  const overHttp = async (path: string, body: object): Promise<Response> =>
    fetch(`${worker.url}${path}`, {
      method: 'POST',
      body: JSON.stringify({ model: 'abacus', ...body }),
      headers: { 'content-type': 'application/json' },
    })
  const unnamed = (answer: unknown): unknown => ({ ...(answer as object), id: '', created: 0 })
  const unnamedEvents = (text: string): string => text.replace(/"id":"[^"]*","created":\d+/g, '')

  it('answers chats and continues texts as HTTP does', async () => {
    const chat = await (await overHttp('/v1/chat/completions', sum)).json()
    expect(JSON.stringify(chat)).toContain('85')
    expect(unnamed((await call('stranger', 'chat', 'abacus', sum)).answer)).toEqual(unnamed(chat))
    const text = { prompt: '27 plus 58 is', max_tokens: 8, temperature: 0 }
    const completion = await (await overHttp('/v1/completions', text)).json()
    expect(unnamed((await call('stranger', 'complete', 'abacus', text)).answer)).toEqual(unnamed(completion))
    const { answer } = await call('stranger', 'tryChat', 'abacus', sum, { requestId: 'chat-1' })
    expect(answer).toMatchObject({ ok: true, requestId: 'chat-1', answer: { object: 'chat.completion' } })
  })

  it('streams tokens', async () => {
    const streamed = { ...sum, stream: true, stream_options: { include_usage: true } }
    const expected = await (await overHttp('/v1/chat/completions', streamed)).text()
    expect(expected.match(/^data: /gm)?.length).toBeGreaterThan(4)
    const { answer } = await call('stranger', 'chat', 'abacus', streamed)
    expect(unnamedEvents(answer as string)).toBe(unnamedEvents(expected))
    const text = { prompt: '27 plus 58 is', max_tokens: 8, temperature: 0, stream: true }
    const whole = await (await overHttp('/v1/completions', text)).text()
    expect(unnamedEvents((await call('stranger', 'complete', 'abacus', text)).answer as string)).toBe(
      unnamedEvents(whole),
    )
  })

  it('is told what is wrong with a chat, by the same errors', async () => {
    const chat = (...args: unknown[]) => call('stranger', 'chat', ...args)
    for (const [code, status, ...args] of [
      ['model_not_found', 404, 'absent', sum],
      ['task_mismatch', 400, 'digits', sum],
      ['version_not_found', 404, 'abacus', sum, { version: '9' }],
      ['invalid_request', 400, 'abacus', { messages: [] }],
      ['invalid_request', 400, 'abacus', [{ role: 'user', content: 'x' }]],
      ['invalid_request', 400, 'abacus', { ...sum, metadata: { $cycle: true } }],
      ['invalid_request', 400, 'abacus', sum, { parameters: {} }],
      ['invalid_request', 400, 7, sum],
      ['context_length_exceeded', 400, 'abacus', { ...sum, max_tokens: 100_000 }],
      ['context_length_exceeded', 400, 'abacus', { ...sum, stream: true, max_tokens: 100_000 }],
      ['cancelled', 499, 'abacus', sum, { signal: { $aborted: true } }],
    ] as const) {
      const { thrown, answer } = await chat(...args)
      expect(answer, JSON.stringify(args)).toBeUndefined()
      expect(thrown, JSON.stringify(args)).toMatchObject({ code, status, name: 'VergeError' })
    }
    expect((await chat('abacus', sum, { requestId: 'mine-2', version: '9' })).thrown).toMatchObject({
      requestId: 'mine-2',
    })
  })

  it('chats with private models only with the key, or if its binding is trusted', async () => {
    const code = async (from: string, ...options: unknown[]) =>
      (await call(from, 'chat', 'diary', sum, ...options)).thrown?.code
    expect(await code('stranger')).toBe('model_not_found')
    expect(await code('thief')).toBe('unauthorized')
    expect(await code('stranger', { token: 'wrong-wrong-wrong' })).toBe('unauthorized')
    expect(await code('stranger', { token: KEY })).toBeUndefined()
    expect(await code('shop')).toBeUndefined()
  })

  it('ends a call by its signal', async () => {
    const { answer } = await call('stranger', 'raised', 'digits')
    expect(answer).toMatchObject({ ok: false, error: { code: 'cancelled', status: 499 } })
  })

  it('leaves a stream after its first event, and goes on', async () => {
    for (let i = 0; i < 3; i++) {
      expect((await call('stranger', 'first', 'abacus', { ...sum, stream: true })).answer).toMatch(/^data: /)
    }
    expect((await call('stranger', 'chat', 'abacus', sum)).answer).toMatchObject({ object: 'chat.completion' })
  })

  it('gets back what calls hold that it abandons', async () => {
    expect(await call('stranger', 'abandon', 'digits', ALL_ROOM)).toEqual({ answer: 'abandoned' })
    // Nobody is told that they were abandoned: what they hold comes back when they give no sign of life for a while.
    const outcomes: unknown[] = []
    while (outcomes.at(-1) !== undefined || outcomes.length === 0) {
      const { answer, thrown } = await run('digits', picture())
      outcomes.push(thrown?.code)
      if (thrown === undefined) expect(answer).toMatchObject([{ label: '7' }, {}, {}, {}, {}])
      else await new Promise((resolve) => setTimeout(resolve, 100))
    }
    expect(new Set(outcomes)).toEqual(new Set(['overloaded', undefined]))
  }, 30_000)
})
