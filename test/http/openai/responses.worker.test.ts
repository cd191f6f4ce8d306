import { describe, expect, it } from 'vitest'
import { VergeError } from '../../../src/core/errors.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { chatPrompt, promptIds, scriptedApp } from '../../fixtures/scripted-writer.ts'
import { namedEvents } from '../../fixtures/sse.ts'

const PATH = '/v1/responses'
const request = { model: 'abacus', input: 'What is 27 plus 58?' }
const PROMPT = promptIds(chatPrompt(request.input))

const usage = (tokens: number) => ({
  input_tokens: PROMPT.length,
  input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
  output_tokens: tokens,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: PROMPT.length + tokens,
})

const text = (said: string) => ({ type: 'output_text', text: said, annotations: [], logprobs: [] })

describe('POST /v1/responses', () => {
  it('answers a text, at both addresses', async () => {
    const clock = new ManualClock()
    await clock.advance(1_700_000_000_900)
    const { heard, post } = scriptedApp({ clock })
    for (const path of [PATH, `/openai${PATH}`]) {
      const response = await post(path, { ...request, metadata: { a: 'b' } })
      expect([response.status, await response.json()]).toEqual([
        200,
        {
          id: expect.stringMatching(/^resp_./),
          object: 'response',
          created_at: 1_700_000_000,
          completed_at: 1_700_000_000,
          status: 'completed',
          background: false,
          error: null,
          incomplete_details: null,
          instructions: null,
          max_output_tokens: null,
          metadata: { a: 'b' },
          model: 'abacus',
          output: [
            {
              id: expect.stringMatching(/^msg_./),
              type: 'message',
              status: 'completed',
              role: 'assistant',
              content: [text('27 plus 58 is 85.')],
            },
          ],
          parallel_tool_calls: true,
          previous_response_id: null,
          reasoning: { effort: null, summary: null },
          service_tier: 'default',
          store: false,
          temperature: 1,
          text: { format: { type: 'text' } },
          tool_choice: 'auto',
          tools: [],
          top_logprobs: 0,
          top_p: 1,
          truncation: 'disabled',
          usage: usage(17),
        },
      ])
    }
    expect(heard[0]?.prompt).toEqual(PROMPT)
  })

  it('streams the events of OpenAI, numbered and in their order', async () => {
    const { post } = scriptedApp({ text: 'ok' })
    const events = await namedEvents(await post(PATH, { ...request, stream: true }))
    const place = { item_id: expect.stringMatching(/^msg_./), output_index: 0, content_index: 0 }
    const item = (status: string, content: unknown[]) => ({
      id: place.item_id,
      type: 'message',
      status,
      role: 'assistant',
      content,
    })
    const response = (status: string) => expect.objectContaining({ object: 'response', status })
    const done = item('completed', [text('ok')])
    expect(events).toEqual(
      [
        { type: 'response.created', response: response('in_progress') },
        { type: 'response.in_progress', response: response('in_progress') },
        { type: 'response.output_item.added', output_index: 0, item: item('in_progress', []) },
        { type: 'response.content_part.added', ...place, part: text('') },
        { type: 'response.output_text.delta', ...place, delta: 'o', logprobs: [] },
        { type: 'response.output_text.delta', ...place, delta: 'k', logprobs: [] },
        { type: 'response.output_text.done', ...place, text: 'ok', logprobs: [] },
        { type: 'response.content_part.done', ...place, part: text('ok') },
        { type: 'response.output_item.done', output_index: 0, item: done },
        {
          type: 'response.completed',
          response: expect.objectContaining({ status: 'completed', output: [done], usage: usage(2) }),
        },
      ].map((event, sequence_number) => ({ ...event, sequence_number })),
    )
  })

  it('is incomplete where the maximum ended it', async () => {
    const { post } = scriptedApp()
    const short = { ...request, max_output_tokens: 2 }
    expect(await (await post(PATH, short)).json()).toMatchObject({
      status: 'incomplete',
      completed_at: null,
      incomplete_details: { reason: 'max_output_tokens' },
      max_output_tokens: 2,
      output: [{ status: 'incomplete', content: [{ text: '27' }] }],
      usage: { output_tokens: 2 },
    })
    const events = await namedEvents(await post(PATH, { ...short, stream: true }))
    expect(events.at(-1)).toMatchObject({ type: 'response.incomplete', response: { status: 'incomplete' } })
  })

  it('reads instructions, messages, and an earlier answer as it came', async () => {
    const { heard, post } = scriptedApp()
    const first = await (await post(PATH, request)).json()
    const { output } = first as { output: unknown[] }
    await post(PATH, {
      model: 'abacus',
      instructions: 'x',
      input: [
        { role: 'developer', content: 'y' },
        { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'a' }] },
        ...output,
        { role: 'user', content: 'b' },
      ],
    })
    expect(heard[1]?.prompt).toEqual(
      promptIds(
        '<|start|>system:x<|end|><|start|>system:y<|end|><|start|>user:a<|end|><|start|>assistant:27 plus 58 is 85.<|end|><|start|>user:b<|end|><|start|>',
      ),
    )
  })

  it('takes what changes nothing', async () => {
    const { post } = scriptedApp()
    const more = {
      store: true,
      background: false,
      tools: [],
      tool_choice: 'auto',
      include: ['reasoning.encrypted_content'],
      text: { format: { type: 'text' }, verbosity: 'low' },
      reasoning: { effort: 'low' },
      truncation: 'disabled',
      user: 'u',
      service_tier: 'auto',
      previous_response_id: null,
      top_p: null,
    }
    expect((await post(PATH, { ...request, ...more })).status).toBe(200)
  })

  it.each([
    [{ previous_response_id: 'resp_1' }, 501, 'previous_response_id'],
    [{ conversation: 'conv_1' }, 501, 'conversation'],
    [{ background: true }, 501, 'background'],
    [{ tools: [{ type: 'web_search' }] }, 501, 'tools'],
    [{ tool_choice: 'required' }, 501, 'tool_choice'],
    [{ text: { format: { type: 'json_schema', name: 'n', schema: {} } } }, 501, 'text.format'],
    [{ prompt: { id: 'pmpt_1' } }, 501, 'prompt'],
    [{ truncation: 'auto' }, 501, 'truncation'],
    [{ include: ['message.output_text.logprobs'] }, 501, 'include'],
    [{ input: [{ type: 'item_reference', id: 'msg_1' }] }, 501, 'input[0]'],
    [{ input: [{ type: 'function_call_output', call_id: 'c', output: 'x' }] }, 501, 'input[0]'],
    [{ input: [{ role: 'user', content: [{ type: 'input_image' }] }] }, 501, 'input[0].content[0]'],
    [{ input: [] }, 400, 'input'],
    [{ input: 7 }, 400, 'input'],
    [{ temperature: 3 }, 400, 'temperature'],
    [{ max_tokens: 3 }, 400, 'max_tokens'],
    [{ metadata: { a: 1 } }, 400, 'metadata.a'],
  ])('refuses %j', async (more, status, field) => {
    const response = await scriptedApp().post(PATH, { ...request, ...more })
    expect([response.status, await response.json()]).toMatchObject([
      status,
      {
        error: {
          message: expect.stringContaining(`"${field}`),
          type: status === 400 ? 'invalid_request_error' : 'server_error',
        },
      },
    ])
  })

  it('repeats as much metadata as OpenAI does, and refuses more', async () => {
    const ask = (metadata: object) => scriptedApp().post(PATH, { ...request, metadata })
    const pairs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 'v']))
    const most = { ...pairs(15), ['k'.repeat(64)]: 'v'.repeat(512) }
    expect(await (await ask(most)).json()).toMatchObject({ metadata: most })
    for (const [more, why] of [
      [pairs(17), 'more than 16 pairs'],
      [{ k: 'v'.repeat(513) }, '<=512 characters'],
      [{ ['k'.repeat(65)]: 'v' }, 'a key has more than 64 characters'],
    ] as const) {
      const response = await ask(more)
      expect([response.status, await response.json()]).toMatchObject([
        400,
        { error: { code: 'invalid_request', message: expect.stringContaining(why) } },
      ])
    }
  })

  it('names the field of a prompt that is too long', async () => {
    const response = await scriptedApp().post(PATH, { ...request, input: 'a'.repeat(300) })
    expect([response.status, await response.json()]).toMatchObject([
      400,
      { error: { code: 'context_length_exceeded', field: 'input', param: 'input' } },
    ])
  })

  it('ends a stream that fails with an error event', async () => {
    const { post } = scriptedApp({
      before: (index) => {
        if (index === 2) throw new VergeError('session_lost', 'Another request took the engine down. Try again.')
      },
    })
    const events = await namedEvents(await post(PATH, { ...request, stream: true }))
    const said = { code: 'session_lost', message: expect.stringContaining('Try again') }
    expect(events.at(-1)).toMatchObject({ type: 'error', ...said, error: said, sequence_number: 6 })
  })

  it.each([
    ['GET', '/resp_1'],
    ['DELETE', '/resp_1'],
    ['POST', '/resp_1/cancel'],
    ['GET', '/resp_1/input_items'],
    ['POST', '/compact'],
    ['POST', '/input_tokens'],
  ])('keeps nothing that could be asked for, and says so: %s %s', async (method, rest) => {
    const response = await scriptedApp().request(PATH + rest, { method })
    expect([response.status, await response.json()]).toMatchObject([501, { error: { code: 'not_implemented' } }])
  })
})
