import { describe, expect, it } from 'vitest'
import { VergeError } from '../../../src/core/errors.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { BoundedAdmission } from '../../../src/serving/admission.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { chatPrompt, promptIds, scriptedApp } from '../../fixtures/scripted-writer.ts'

const messages = [{ role: 'user', content: 'What is 27 plus 58?' }]
const chat = { model: 'abacus', messages }
const PROMPT = promptIds(chatPrompt('What is 27 plus 58?'))

async function lines(response: Response): Promise<Record<string, unknown>[]> {
  expect(response.headers.get('content-type')).toBe('application/x-ndjson')
  const text = await response.text()
  expect(text.endsWith('\n')).toBe(true)
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line))
}

async function atSomeTime(): Promise<ManualClock> {
  const clock = new ManualClock()
  await clock.advance(1_700_000_000_500)
  return clock
}
const WHEN = '2023-11-14T22:13:20.500Z'

const figures = (prompt: number, tokens: number) => ({
  total_duration: 0,
  load_duration: 0,
  prompt_eval_count: prompt,
  prompt_eval_duration: 0,
  eval_count: tokens,
  eval_duration: 0,
})

describe('POST /api/chat', () => {
  it('answers whole where that is asked for, at both addresses and by both names', async () => {
    const { heard, post } = scriptedApp({ clock: await atSomeTime() })
    for (const [path, model] of [
      ['/ollama/api/chat', 'abacus:latest'],
      ['/api/chat', 'abacus'],
    ] as const) {
      const response = await post(path, { ...chat, model, stream: false })
      expect([response.status, await response.json()]).toEqual([
        200,
        {
          model,
          created_at: WHEN,
          message: { role: 'assistant', content: '27 plus 58 is 85.' },
          done: true,
          done_reason: 'stop',
          ...figures(PROMPT.length, 17),
        },
      ])
    }
    expect(heard[0]?.prompt).toEqual(PROMPT)
  })

  it('streams lines of JSON unless told otherwise', async () => {
    const { post } = scriptedApp({ text: 'h\u00e9!', clock: await atSomeTime() })
    const head = { model: 'abacus', created_at: WHEN }
    const part = (content: string) => ({ ...head, message: { role: 'assistant', content }, done: false })
    expect(await lines(await post('/api/chat', chat))).toEqual([
      part('h'),
      part('\u00e9'),
      part('!'),
      {
        ...head,
        message: { role: 'assistant', content: '' },
        done: true,
        done_reason: 'stop',
        ...figures(PROMPT.length, 4),
      },
    ])
  })

  it('reads JSON whatever its media type says: a page that says none sends text/plain', async () => {
    const app = scriptedApp({ text: 'ok' })
    for (const [path, body] of [
      ['/api/chat', { ...chat, stream: false }],
      ['/ollama/api/generate', { model: 'abacus', prompt: 'a', stream: false }],
    ] as const) {
      const answer = await app.request(path, { method: 'POST', body: JSON.stringify(body) })
      expect([answer.status, await answer.json()]).toMatchObject([200, { done: true }])
    }
    const embedded = await app.request('/api/embed', { method: 'POST', body: '{"model": "abacus", "input": "a"}' })
    expect([embedded.status, await embedded.json()]).toMatchObject([400, { code: 'task_mismatch' }])
  })

  it('measures by its clock, in nanoseconds', async () => {
    const clock = await atSomeTime()
    const { post } = scriptedApp({ text: 'ab', clock, before: (index) => clock.advance(index === 0 ? 20 : 5) })
    expect((await lines(await post('/api/chat', chat))).at(-1)).toMatchObject({
      total_duration: 30_000_000,
      prompt_eval_duration: 20_000_000,
      eval_duration: 10_000_000,
    })
  })

  it('draws as the options say, with its defaults', async () => {
    const app = scriptedApp({ height: 1 })
    const draw = async (path: string, body: object) => {
      const { message, choices } = (await (await app.post(path, { ...chat, ...body })).json()) as {
        message?: { content: string }
        choices?: { message: { content: string } }[]
      }
      return message?.content ?? choices?.[0]?.message.content
    }
    const options = { temperature: 1, top_k: 5, top_p: 0.7, min_p: 0.1, seed: 7, num_predict: 12, repeat_penalty: 1.2 }
    const { num_predict: max_tokens, repeat_penalty: repetition_penalty, ...same } = options
    expect(await draw('/api/chat', { stream: false, options })).toBe(
      await draw('/v1/chat/completions', { ...same, max_tokens, repetition_penalty }),
    )
    const likeOllama = { temperature: 0.8, top_k: 40, top_p: 0.9, seed: 7 }
    expect(await draw('/api/chat', { stream: false, options: { seed: 7, num_predict: -1 } })).toBe(
      await draw('/v1/chat/completions', likeOllama),
    )
  })

  it('ends at a stop string, or at the maximum', async () => {
    const { post } = scriptedApp()
    const ask = async (options: object) => (await post('/api/chat', { ...chat, stream: false, options })).json()
    expect(await ask({ stop: [' is'] })).toMatchObject({ message: { content: '27 plus 58' }, done_reason: 'stop' })
    expect(await ask({ num_predict: 2 })).toMatchObject({ done_reason: 'length', eval_count: 2 })
  })

  it('loads the model where there is nothing to answer', async () => {
    const { heard, post, serving } = scriptedApp({ clock: await atSomeTime() })
    const loaded: string[] = []
    serving.prefetch = ({ manifest }) => void loaded.push(manifest.model)
    const ask = async (path: string, more: object) => (await post(path, { model: 'abacus', ...more })).json()
    const head = { model: 'abacus', created_at: WHEN, done: true }
    const message = { role: 'assistant', content: '' }
    expect(await ask('/api/chat', {})).toEqual({ ...head, message, done_reason: 'load' })
    expect(await ask('/api/chat', { messages: [], keep_alive: 0 })).toEqual({ ...head, message, done_reason: 'unload' })
    expect(await ask('/api/generate', { prompt: '' })).toEqual({ ...head, response: '', done_reason: 'load' })
    expect([heard, loaded]).toEqual([[], ['abacus', 'abacus', 'abacus']])
  })

  it('tells the template what tools have answered before', async () => {
    const template =
      "{% for m in messages %}{% if m.tool_calls %}{{ m.tool_calls[0].function.name + ':' + (m.tool_calls[0].function.arguments.a | string) }}{% else %}{{ m.role + m.content }}{% endif %}|{% endfor %}"
    const { heard, post } = scriptedApp({ template })
    await post('/api/chat', {
      ...chat,
      messages: [
        { role: 'assistant', content: '', tool_calls: [{ function: { name: 'add', arguments: { a: 1 } } }] },
        { role: 'tool', tool_name: 'add', content: '85' },
      ],
    })
    expect(heard[0]?.prompt).toEqual([...new TextEncoder().encode('add:1|tool85|')])
  })

  it.each([
    [{ tools: [{ type: 'function' }] }, 501, 'tools'],
    [{ format: 'json' }, 501, 'format'],
    [{ format: { type: 'object' } }, 501, 'format'],
    [{ think: true }, 501, 'think'],
    [{ logprobs: true }, 501, 'logprobs'],
    [{ messages: [{ role: 'user', content: 'a', images: ['AAAA'] }] }, 501, 'messages[0].images'],
    [{ options: { mirostat: 1 } }, 501, 'options.mirostat'],
    [{ options: { repeat_penalty: 1.1, repeat_last_n: 64 } }, 501, 'options.repeat_last_n'],
    [{ options: { temprature: 1 } }, 400, 'options'],
    [{ options: { temperature: 'hot' } }, 400, 'options.temperature'],
    [{ messages: [{ role: 'critic', content: 'a' }] }, 400, 'messages[0].role'],
    [{ n: 2 }, 400, 'n'],
    [{ model: 7 }, 400, 'model'],
    [{ model: 'critic' }, 400, 'does not generate text'],
    [{ model: 'absent:latest' }, 404, 'absent'],
  ])('refuses %j', async (more, status, words) => {
    const response = await scriptedApp().post('/ollama/api/chat', { ...chat, ...more })
    expect([response.status, await response.json()]).toEqual([
      status,
      expect.objectContaining({ error: expect.stringContaining(words) }),
    ])
  })

  it('takes what changes nothing', async () => {
    const { post } = scriptedApp()
    const options = { num_ctx: 4_096, num_gpu: 1, repeat_last_n: 64, mirostat: 0, typical_p: 1, stop: null }
    const more = { keep_alive: '5m', tools: [], format: '', think: false, options }
    expect((await post('/api/chat', { ...chat, ...more })).status).toBe(200)
  })

  it('ends a stream that fails with a line that says so', async () => {
    const { post } = scriptedApp({
      before: (index) => {
        if (index === 3) throw new VergeError('session_lost', 'Another request took the engine down. Try again.')
      },
    })
    const said = await lines(await post('/api/chat', chat))
    expect(said.at(-1)).toMatchObject({ error: 'Another request took the engine down. Try again.' })
    expect(said.some(({ done }) => done)).toBe(false)
  })

  it('gives its place up when its reader leaves', async () => {
    const admission = new BoundedAdmission({
      slots: 1,
      leaseMs: 60_000,
      bodyBytes: LIMITS.bodyBytesTogether,
      clock: new ManualClock(),
    })
    const { heard, post } = scriptedApp({ text: 'x'.repeat(60), admission })
    const reader = (await post('/api/chat', chat)).body?.getReader()
    await reader?.read()
    expect(admission.admitted).toBe(1)
    const full = await post('/api/chat', chat)
    expect([full.status, full.headers.get('retry-after')]).toEqual([429, expect.stringMatching(/^\d+$/)])
    await reader?.cancel()
    await expect.poll(() => [heard[0]?.ended, admission.admitted]).toEqual([true, 0])
  })
})

describe('POST /api/generate', () => {
  it('answers by the template, or continues the prompt as it is', async () => {
    const { heard, post } = scriptedApp({ text: 'ok', clock: await atSomeTime() })
    const ask = (more: object) => post('/api/generate', { model: 'abacus', prompt: 'a', stream: false, ...more })
    expect(await (await ask({})).json()).toEqual({
      model: 'abacus',
      created_at: WHEN,
      response: 'ok',
      done: true,
      done_reason: 'stop',
      ...figures(promptIds(chatPrompt('a')).length, 2),
    })
    await ask({ system: 'b' })
    await ask({ raw: true })
    expect(heard.map(({ prompt }) => prompt)).toEqual([
      promptIds(chatPrompt('a')),
      promptIds('<|start|>system:b<|end|><|start|>user:a<|end|><|start|>'),
      promptIds('a'),
    ])
    for (const more of [{}, { raw: true }]) {
      const long = await ask({ prompt: 'a'.repeat(300), ...more })
      expect([long.status, await long.json()]).toMatchObject([
        400,
        { code: 'context_length_exceeded', field: 'prompt' },
      ])
    }
    const refused = await ask({ raw: true, system: 'b' })
    expect([refused.status, await refused.json()]).toMatchObject([
      400,
      { error: expect.stringContaining('"system"'), code: 'invalid_request' },
    ])
  })

  it('continues the prompt where the model has no template', async () => {
    const { heard, post } = scriptedApp({ template: null })
    await post('/api/generate', { model: 'abacus', prompt: 'a', stream: false })
    expect(heard[0]?.prompt).toEqual(promptIds('a'))
    expect((await post('/api/generate', { model: 'abacus', prompt: 'a', system: 'b' })).status).toBe(400)
    expect((await post('/api/chat', chat)).status).toBe(400)
  })

  it.each([
    [{ suffix: 'x' }, 'suffix'],
    [{ template: '{{ .Prompt }}' }, 'template'],
    [{ context: [1] }, 'context'],
    [{ images: ['AAAA'] }, 'images'],
    [{ width: 64 }, 'width'],
  ])('refuses %j', async (more, field) => {
    const response = await scriptedApp().post('/api/generate', { model: 'abacus', prompt: 'a', ...more })
    expect([response.status, await response.json()]).toMatchObject([
      501,
      { error: expect.stringContaining(`"${field}"`), code: 'not_implemented' },
    ])
  })
})

describe('what programs ask a server of Ollama', () => {
  it('is answered: whether it runs, its version and its models', async () => {
    const { post, request, serving } = scriptedApp()
    const home = await request('/ollama/')
    expect([home.status, await home.text()]).toEqual([200, 'Ollama is running'])
    expect((await request('/ollama/', { method: 'HEAD' })).status).toBe(200)
    expect((await request('/ollama')).status).toBe(200)
    expect((await request('/', { method: 'HEAD' })).status).toBe(200)
    expect(await (await request('/api/version')).json()).toEqual({ version: expect.stringMatching(/^\d+\.\d+\.\d+/) })

    const details = {
      parent_model: '',
      format: 'ort',
      family: '',
      families: [],
      parameter_size: '',
      quantization_level: 'fp32',
    }
    const entry = (name: string) => ({ name, model: name, size: 0, digest: '0'.repeat(64), details })
    const modified_at = '1970-01-01T00:00:00.000Z'
    expect(await (await request('/api/tags')).json()).toEqual({
      models: [
        { ...entry('abacus:latest'), modified_at },
        { ...entry('critic:latest'), modified_at },
      ],
    })
    expect(await (await request('/api/ps')).json()).toEqual({ models: [] })
    serving.loaded = () => true
    expect(await (await request('/api/ps')).json()).toMatchObject({
      models: [{ ...entry('abacus:latest'), size_vram: 0 }, entry('critic:latest')],
    })

    const show = async (body: object) => (await post('/api/show', body)).json()
    expect(await show({ model: 'abacus:latest' })).toEqual({
      modelfile: '',
      parameters: '',
      template: '',
      details,
      model_info: { 'general.architecture': 'onnx', 'general.basename': 'abacus', 'onnx.context_length': 200 },
      capabilities: ['completion'],
      modified_at,
    })
    expect(await show({ name: 'critic' })).toMatchObject({ capabilities: [] })
    expect(await show({})).toMatchObject({ error: expect.stringContaining('"model"') })
    expect(await show({ model: 'absent' })).toMatchObject({ code: 'model_not_found' })
  })

  it('is refused where it would change the catalogue', async () => {
    const { post, request } = scriptedApp()
    for (const path of ['/api/pull', '/api/push', '/api/create', '/api/copy']) {
      const response = await post(path, { model: 'abacus' })
      expect([response.status, await response.json()]).toMatchObject([501, { code: 'not_implemented' }])
    }
    expect((await request('/api/delete', { method: 'DELETE' })).status).toBe(501)
  })
})
