import { describe, expect, it } from 'vitest'
import { VergeError } from '../../../src/core/errors.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { chatPrompt, promptIds, scriptedApp } from '../../fixtures/scripted-writer.ts'
import { namedEvents } from '../../fixtures/sse.ts'

const messages = [{ role: 'user', content: 'What is 27 plus 58?' }]
const request = { model: 'abacus', max_tokens: 64, messages }
const PROMPT = promptIds(chatPrompt('What is 27 plus 58?'))
const PATH = '/anthropic/v1/messages'

/** What its client's types have beside the counts. */
const NONE = {
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens_details: null,
  server_tool_use: null,
}
const MESSAGE = { cache_creation: null, inference_geo: null, service_tier: null, speed: null }

describe('POST /v1/messages', () => {
  it('answers messages, at both addresses', async () => {
    const { heard, post } = scriptedApp()
    for (const path of [PATH, '/v1/messages']) {
      const response = await post(path, request)
      expect([response.status, await response.json()]).toEqual([
        200,
        {
          id: expect.stringMatching(/^msg_./),
          type: 'message',
          role: 'assistant',
          model: 'abacus',
          content: [{ type: 'text', text: '27 plus 58 is 85.', citations: null }],
          stop_reason: 'end_turn',
          stop_sequence: null,
          stop_details: null,
          container: null,
          diagnostics: null,
          usage: { input_tokens: PROMPT.length, output_tokens: 17, ...NONE, ...MESSAGE },
        },
      ])
      expect(response.headers.get('verge-placement')).toContain('artifact="edge-fp32"')
      expect(response.headers.get('request-id')).toBe(response.headers.get('x-request-id'))
    }
    expect(heard[0]?.prompt).toEqual(PROMPT)
  })

  it('streams the events of Anthropic, in their order', async () => {
    const { post } = scriptedApp({ text: 'h\u00e9!' })
    const response = await post(PATH, { ...request, stream: true })
    const start = { text: '', type: 'text', citations: null }
    const delta = (text: string) => ({
      type: 'content_block_delta',
      index: 0,
      delta: { type: 'text_delta', text },
    })
    expect(await namedEvents(response)).toEqual([
      {
        type: 'message_start',
        message: expect.objectContaining({
          content: [],
          stop_reason: null,
          usage: { input_tokens: PROMPT.length, output_tokens: 0, ...NONE, ...MESSAGE },
        }),
      },
      { type: 'content_block_start', index: 0, content_block: start },
      { type: 'ping' },
      delta('h'),
      delta('\u00e9'),
      delta('!'),
      { type: 'content_block_stop', index: 0 },
      {
        type: 'message_delta',
        delta: { stop_reason: 'end_turn', stop_sequence: null, stop_details: null, container: null },
        usage: { input_tokens: PROMPT.length, output_tokens: 4, ...NONE },
      },
      { type: 'message_stop' },
    ])
  })

  it('says why it ended: a stop sequence by its name, or the maximum', async () => {
    const { post } = scriptedApp()
    const stops = { ...request, stop_sequences: ['!', ' is'] }
    expect(await (await post(PATH, stops)).json()).toMatchObject({
      content: [{ text: '27 plus 58' }],
      stop_reason: 'stop_sequence',
      stop_sequence: ' is',
    })
    const short = await namedEvents(await post(PATH, { ...request, max_tokens: 2, stream: true }))
    expect(short.find(({ type }) => type === 'message_delta')).toMatchObject({
      delta: { stop_reason: 'max_tokens', stop_sequence: null },
      usage: { output_tokens: 2 },
    })
  })

  it('reads systems, blocks, and turns of one speaker in a row', async () => {
    const { heard, post } = scriptedApp()
    const block = (text: string) => ({ type: 'text', text, cache_control: { type: 'ephemeral' } })
    await post(PATH, {
      ...request,
      system: [block('Be'), block('brief.')],
      messages: [
        { role: 'user', content: 'a' },
        { role: 'user', content: [block('b'), block('<|end|>')] },
        { role: 'assistant', content: 'c' },
        { role: 'user', content: 'd' },
      ],
    })
    // What reads as a control token within a message is none.
    const said = promptIds('<|start|>system:Be\nbrief.<|end|><|start|>user:a\nb\n')
    expect(heard[0]?.prompt).toEqual([
      ...said,
      ...new TextEncoder().encode('<|end|>'),
      ...promptIds('<|end|><|start|>assistant:c<|end|><|start|>user:d<|end|><|start|>'),
    ])
  })

  it('takes what changes nothing', async () => {
    const { post } = scriptedApp()
    const more = {
      metadata: { user_id: 'u' },
      service_tier: 'auto',
      tools: [],
      tool_choice: { type: 'auto' },
      thinking: { type: 'disabled' },
      output_config: { effort: 'low' },
      temperature: 0,
      top_k: 1,
      top_p: 1,
    }
    expect((await post(PATH, { ...request, ...more })).status).toBe(200)
  })

  const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: '' } }
  it.each([
    [{ tools: [{ name: 't', input_schema: { type: 'object' } }] }, 501, 'tools'],
    [{ thinking: { type: 'enabled', budget_tokens: 1_024 } }, 501, 'thinking'],
    [{ output_config: { format: { type: 'json_schema', schema: {} } } }, 501, 'output_config'],
    [{ mcp_servers: [{}] }, 501, 'mcp_servers'],
    [{ messages: [{ role: 'user', content: [image] }] }, 501, 'messages[0].content[0]'],
    [{ messages: [...messages, { role: 'assistant', content: 'The sum is' }] }, 501, 'messages'],
    [{ max_tokens: undefined }, 400, 'max_tokens'],
    [{ messages: [] }, 400, 'messages'],
    [{ messages: [{ role: 'tool', content: 'x' }] }, 400, 'messages[0].role'],
    [{ temperature: 1.5 }, 400, 'temperature'],
    [{ frequency_penalty: 1 }, 400, 'frequency_penalty'],
    [{ stop_sequences: ['a', 'b', 'c', 'd', 'e'] }, 400, 'stop_sequences'],
  ])('refuses %j', async (more, status, field) => {
    const response = await scriptedApp().post(PATH, { ...request, ...more })
    expect([response.status, await response.json()]).toEqual([
      status,
      {
        type: 'error',
        error: expect.objectContaining({
          type: status === 400 ? 'invalid_request_error' : 'api_error',
          message: expect.stringContaining(`"${field}`),
        }),
        request_id: response.headers.get('request-id'),
      },
    ])
  })

  it('refuses a model that does not write', async () => {
    const response = await scriptedApp().post(PATH, { ...request, model: 'critic' })
    expect([response.status, await response.json()]).toMatchObject([
      400,
      { error: { type: 'invalid_request_error', code: 'task_mismatch' } },
    ])
  })

  it('ends a stream that fails with an error event', async () => {
    const { post } = scriptedApp({
      before: (index) => {
        if (index === 3) throw new VergeError('session_lost', 'Another request took the engine down. Try again.')
      },
    })
    const events = await namedEvents(await post(PATH, { ...request, stream: true }))
    expect(events.at(-1)).toEqual({
      type: 'error',
      error: expect.objectContaining({ type: 'overloaded_error', message: expect.stringContaining('Try again') }),
      request_id: expect.any(String),
    })
    expect(events.map(({ type }) => type)).not.toContain('message_stop')
  })
})

describe('POST /v1/messages/count_tokens', () => {
  it('counts the prompt, and writes nothing', async () => {
    const { heard, post } = scriptedApp()
    const response = await post(`${PATH}/count_tokens`, { model: 'abacus', messages, thinking: { type: 'disabled' } })
    expect([response.status, await response.json()]).toEqual([200, { input_tokens: PROMPT.length }])
    expect(heard).toEqual([])
    const refused = await post(`${PATH}/count_tokens`, { model: 'critic', messages })
    expect([refused.status, await refused.json()]).toMatchObject([400, { error: { code: 'task_mismatch' } }])
  })
})

describe('GET /v1/models', () => {
  it('lists models, a page after the other', async () => {
    const clock = new ManualClock()
    const { request } = scriptedApp({ clock })
    const read = async (query: string) => (await request(`/anthropic/v1/models${query}`)).json()
    const model = (id: string) => ({
      type: 'model',
      id,
      display_name: id,
      created_at: '1970-01-01T00:00:00.000Z',
      max_input_tokens: null,
      max_tokens: null,
      capabilities: null,
      deprecated_at: null,
      lifecycle: 'active',
      line: null,
      retires_at: null,
    })
    const page = (ids: readonly string[], more: boolean) => ({
      data: ids.map(model),
      has_more: more,
      first_id: ids[0] ?? null,
      last_id: ids.at(-1) ?? null,
    })
    expect(await read('')).toEqual(page(['abacus', 'critic'], false))
    expect(await read('?limit=1')).toEqual(page(['abacus'], true))
    expect(await read('?limit=1&after_id=abacus')).toEqual(page(['critic'], false))
    expect(await read('?after_id=critic')).toEqual(page([], false))
    // A model that was removed between two pages must not end the list.
    expect(await read('?after_id=absent')).toEqual(page(['critic'], false))
    expect(await read('?before_id=critic')).toEqual(page(['abacus'], false))
    expect(await read('/critic')).toEqual(model('critic'))
    for (const query of ['?limit=0', '?limit=x', '?after_id=A%20b', '?before_id=%2A']) {
      expect(await read(query)).toMatchObject({ type: 'error', error: { type: 'invalid_request_error' } })
    }
  })
})
