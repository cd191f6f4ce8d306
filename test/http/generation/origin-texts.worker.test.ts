import { describe, expect, it } from 'vitest'
import { isVergeError, VergeError } from '../../../src/core/errors.ts'
import { refusedByOrigin } from '../../../src/http/generation/origin-answer.ts'
import { OriginTexts } from '../../../src/http/generation/origin-texts.ts'

const LIMITS = { eventBytes: 400, originTensorBytes: 1_000 }
const never = new AbortController().signal

async function read(response: Response, texts = 1, signal = never): Promise<unknown[]> {
  const events: unknown[] = []
  try {
    for await (const event of new OriginTexts(response, texts, LIMITS).events(signal)) events.push(event)
  } catch (error) {
    if (!isVergeError(error)) throw error
    events.push(error.code)
  }
  return events
}

/** A stream whose bytes come in pieces of a size. */
function streamed(text: string, size = 7): Response {
  const bytes = new TextEncoder().encode(text)
  let at = 0
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= bytes.length) return controller.close()
      controller.enqueue(bytes.subarray(at, at + size))
      at += size
    },
  })
  return new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } })
}

const chunk = (choice: object, more: object = {}) => `data: ${JSON.stringify({ choices: [choice], ...more })}\n\n`
const delta = (content: string, reason: string | null = null) =>
  chunk({ index: 0, delta: { content }, finish_reason: reason })
const usage = { prompt_tokens: 3, completion_tokens: 2 }
const counted = `data: ${JSON.stringify({ choices: [], usage })}\n\n`
const DONE = 'data: [DONE]\n\n'

const text = (said: string, index = 0) => ({ kind: 'text', index, text: said })
const end = (finish: string, more: object = {}) => ({ kind: 'end', index: 0, finish, ...more })
const counts = { kind: 'counts', counts: { prompt: 3, completion: 2 } }

describe('a stream of an origin', () => {
  it('is read however its bytes are cut, and whatever else is in it', async () => {
    const stream =
      ': a comment\n\n' +
      chunk({ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }) +
      delta('h\u00e9') +
      // As vLLM has it: the last part and its end in one event, with the stop string.
      chunk({ index: 0, delta: { content: '!' }, finish_reason: 'stop', stop_reason: '.' }) +
      counted +
      DONE
    const expected = [text('h\u00e9'), text('!'), end('stop', { stopString: '.' }), counts]
    for (const size of [1, 2, 7, 4_096]) expect(await read(streamed(stream, size))).toEqual(expected)
    expect(await read(streamed(stream.replaceAll('\n', '\r\n'), 3))).toEqual(expected)
  })

  it('of a completion has its texts by their places', async () => {
    const part = (index: number, said: string, reason: string | null = null) =>
      chunk({ index, text: said, finish_reason: reason })
    const stream = part(1, 'b') + part(0, 'a', 'length') + part(1, '', 'stop') + counted + DONE
    expect(await read(streamed(stream), 2)).toEqual([
      text('b', 1),
      text('a'),
      end('length'),
      { ...end('stop'), index: 1 },
      counts,
    ])
  })

  it.each([
    ['ends before its end', delta('a'), [text('a'), 'origin_failed']],
    ['says that it failed', `${delta('a')}data: {"error":{"message":"no"}}\n\n`, [text('a'), 'origin_failed']],
    ['says so by a code of ours', 'data: {"error":{"code":"session_lost","message":"no"}}\n\n', ['session_lost']],
    ['is no JSON', 'data: {"choices"\n\n', ['origin_failed']],
    ['has an event that is too long', delta('x'.repeat(500), 'stop'), ['origin_failed']],
    ['is none at all', '', ['origin_failed']],
    [
      'has a text that was not asked for',
      delta('a') + chunk({ index: 1, delta: { content: 'b' }, finish_reason: null }),
      [text('a'), 'origin_failed'],
    ],
  ])('that %s is a failure', async (_, stream, expected) => {
    expect(await read(streamed(stream))).toEqual(expected)
  })

  it('ends each text once, whatever a server repeats, and not before it names a reason', async () => {
    const stream = delta('a', '') + delta('b', 'stop') + delta('', 'stop') + delta('late') + counted + DONE
    expect(await read(streamed(stream))).toEqual([text('a'), text('b'), end('stop'), counts])
  })

  it('is left when its reader is', async () => {
    let cancelled: unknown
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode(delta('a'))),
      cancel(reason) {
        cancelled = reason
      },
    })
    const controller = new AbortController()
    const response = new Response(body, { headers: { 'content-type': 'text/event-stream' } })
    const events = new OriginTexts(response, 1, LIMITS).events(controller.signal)
    expect((await events.next()).value).toEqual(text('a'))
    const waiting = events.next()
    const reason = new VergeError('deadline_exceeded', 'too late')
    controller.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    expect(cancelled).toBe(reason)
  })
})

describe('a whole answer of an origin', () => {
  it('is read as the same texts', async () => {
    const chat = { choices: [{ index: 0, message: { content: 'hi' }, finish_reason: 'length' }], usage }
    expect(await read(Response.json(chat))).toEqual([text('hi'), end('length'), counts])
    const completion = { choices: [{ index: 0, text: 'hi', finish_reason: 'stop', stop_reason: 2 }], usage }
    expect(await read(Response.json(completion))).toEqual([text('hi'), end('stop'), counts])
  })

  it('that is too long is a failure', async () => {
    const long = { choices: [{ index: 0, text: 'x'.repeat(2_000), finish_reason: 'stop' }], usage }
    expect(await read(Response.json(long))).toEqual(['origin_failed'])
  })

  it('has each text that was asked for, once', async () => {
    const choice = (index: number) => ({ index, text: 'hi', finish_reason: 'stop' })
    const answer = (...indices: number[]) => Response.json({ choices: indices.map(choice), usage })
    const hi = (index: number) => [text('hi', index), { ...end('stop'), index }]
    expect(await read(answer(1, 0), 2)).toEqual([...hi(1), ...hi(0), counts])
    expect(await read(answer())).toEqual(['origin_failed'])
    expect(await read(answer(0), 2)).toEqual([...hi(0), 'origin_failed'])
    expect(await read(answer(0, 0), 2)).toEqual([...hi(0), 'origin_failed'])
    expect(await read(answer(0, 1))).toEqual([...hi(0), 'origin_failed'])
  })

  it.each([[{}], [[]], [{ choices: 'none' }]])('that is none is a failure: %j', async (answer) => {
    expect(await read(Response.json(answer))).toEqual(['origin_failed'])
  })

  it('that is a refusal is one, in the words of the origin', async () => {
    const refused = async (status: number, body: object) =>
      refusedByOrigin(Response.json(body, { status })).catch((error: VergeError) => [error.code, error.message])
    expect(await refused(400, { error: { code: 400, message: 'bad prompt' } })).toEqual([
      'invalid_request',
      'bad prompt',
    ])
    expect(await refused(413, { error: 'too long', message: 'too long' })).toEqual(['input_too_large', 'too long'])
    expect(await refused(400, { error: { code: 'context_length_exceeded', message: 'long' } })).toEqual([
      'context_length_exceeded',
      'long',
    ])
    expect(await refused(400, {})).toEqual(['invalid_request', expect.stringContaining('did not say why')])
    const [, words] = (await refused(400, { error: { message: 'x'.repeat(9_999) } })) as string[]
    expect(words?.length).toBeLessThan(1_000)
  })
})
