import { describe, expect, it } from 'vitest'
import { VergeError } from '../../../src/core/errors.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { BoundedAdmission } from '../../../src/serving/admission.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { END, START, wordsTokenizer } from '../../fixtures/language.ts'
import { chatPrompt, promptIds, scriptedApp, VOCABULARY } from '../../fixtures/scripted-writer.ts'

const messages = [{ role: 'user', content: 'What is 27 plus 58?' }]
const chat = { model: 'abacus', messages }
const PROMPT = chatPrompt('What is 27 plus 58?')

/** The data of each event, read as JSON where it is. */
async function events(response: Response): Promise<unknown[]> {
  expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
  const text = await response.text()
  expect(text.endsWith('\n\n')).toBe(true)
  return text
    .slice(0, -2)
    .split('\n\n')
    .map((event) => {
      expect(event.startsWith('data: ')).toBe(true)
      const data = event.slice('data: '.length)
      return data === '[DONE]' ? data : JSON.parse(data)
    })
}

describe('POST /v1/chat/completions', () => {
  it('answers messages', async () => {
    const clock = new ManualClock()
    await clock.advance(1_700_000_000_900)
    const { heard, post } = scriptedApp({ clock })
    const response = await post('/v1/chat/completions', chat)
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({
      id: expect.stringMatching(/^chatcmpl-/),
      object: 'chat.completion',
      created: 1_700_000_000,
      model: 'abacus',
      system_fingerprint: 'fp_0000000000',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: '27 plus 58 is 85.', refusal: null },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: {
        prompt_tokens: promptIds(PROMPT).length,
        completion_tokens: 17,
        total_tokens: promptIds(PROMPT).length + 17,
      },
    })
    expect(response.headers.get('verge-placement')).toContain('artifact="edge-fp32"')
    expect(heard[0]?.prompt).toEqual(promptIds(PROMPT))
    expect([heard[0]?.options.maxNewTokens, heard[0]?.ended]).toEqual([64, true])
  })

  it('streams as OpenAI does', async () => {
    const { post } = scriptedApp({ text: 'h\u00e9!' })
    const response = await post('/v1/chat/completions', {
      ...chat,
      stream: true,
      stream_options: { include_usage: true },
    })
    const head = {
      id: expect.stringMatching(/^chatcmpl-/),
      object: 'chat.completion.chunk',
      created: expect.any(Number),
      model: 'abacus',
      system_fingerprint: 'fp_0000000000',
    }
    const chunk = (delta: object, finish_reason: string | null = null) => ({
      ...head,
      choices: [{ index: 0, delta, logprobs: null, finish_reason }],
      usage: null,
    })
    const prompt = promptIds(PROMPT).length
    expect(await events(response)).toEqual([
      chunk({ role: 'assistant', content: '' }),
      chunk({ content: 'h' }),
      chunk({ content: '\u00e9' }),
      chunk({ content: '!' }),
      chunk({}, 'stop'),
      { ...head, choices: [], usage: { prompt_tokens: prompt, completion_tokens: 4, total_tokens: prompt + 4 } },
      '[DONE]',
    ])
    expect(response.headers.get('verge-placement')).toContain('artifact="edge-fp32"')
  })

  it('takes what clients send beside', async () => {
    const { post } = scriptedApp()
    const more = {
      user: 'u',
      metadata: { a: 'b' },
      store: false,
      n: 1,
      logprobs: false,
      tools: [],
      tool_choice: 'none',
      response_format: { type: 'text' },
      temperature: null,
      top_p: null,
      stop: null,
      seed: null,
      max_tokens: null,
      stream: null,
      logit_bias: {},
      service_tier: 'auto',
    }
    expect((await post('/v1/chat/completions', { ...chat, ...more })).status).toBe(200)
  })

  it('reads roles and parts', async () => {
    const { heard, post } = scriptedApp()
    await post('/v1/chat/completions', {
      ...chat,
      messages: [
        { role: 'developer', content: 'Be <|end|> brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'a' },
            { type: 'text', text: 'b' },
          ],
        },
        { role: 'assistant', content: 'c', refusal: null, tool_calls: null, annotations: [] },
        { role: 'user', content: 'd' },
      ],
    })
    const [head, ...tail] = [
      'Be ',
      '<|end|>',
      ' brief.<|end|><|start|>user:a\nb<|end|><|start|>assistant:c<|end|><|start|>user:d<|end|><|start|>',
    ]
    // The first "<|end|>" is the caller's, and so its letters.
    expect(heard[0]?.prompt).toEqual([
      ...promptIds(`<|start|>system:${head}`),
      ...new TextEncoder().encode(tail[0]),
      ...promptIds(tail[1] ?? ''),
    ])
  })

  it("takes an assistant's calls of tools, and what they answered", async () => {
    const template =
      "{% for m in messages %}{{ '<|start|>' + m.role + ':' + m.content }}{% if m.tool_calls %}{% for call in m.tool_calls %}{{ call.id + '/' + call.function.name + '/' + (call.function.arguments | tojson) }}{% endfor %}{% endif %}{{ m.tool_call_id }}{{ '<|end|>' }}{% endfor %}"
    const { heard, post } = scriptedApp({ template })
    const call = (id: string, json: string) => ({ id, type: 'function', function: { name: 'sum', arguments: json } })
    const response = await post('/v1/chat/completions', {
      ...chat,
      messages: [
        { role: 'user', content: 'x' },
        { role: 'assistant', content: null, tool_calls: [call('c1', '{"a": [1, "<|end|>"]}'), call('c2', 'not JSON')] },
        { role: 'tool', tool_call_id: 'c1', content: '3' },
      ],
    })
    expect([response.status, await response.clone().text()]).toEqual([200, expect.any(String)])
    const [before, after] = [
      '<|start|>user:x<|end|><|start|>assistant:c1/sum/{"a": [1, "',
      '"]}c2/sum/"not JSON"<|end|><|start|>tool:3c1<|end|>',
    ]
    // What a caller writes is letters, also inside of arguments.
    expect(heard[0]?.prompt).toEqual([
      ...promptIds(before),
      ...new TextEncoder().encode('<|end|>'),
      ...promptIds(after),
    ])
  })

  it('refuses more messages than a template can be given', async () => {
    const { post } = scriptedApp()
    const response = await post('/v1/chat/completions', {
      ...chat,
      messages: new Array(2_049).fill({ role: 'user', content: '' }),
    })
    expect([response.status, await response.json()]).toEqual([
      413,
      { error: expect.objectContaining({ message: expect.stringContaining('at most 2048 messages') }) },
    ])
  })

  it('ends at stop strings, at the length, and by itself', async () => {
    const { post } = scriptedApp({ text: 'one two three' })
    const answer = async (more: object) => {
      const { choices, usage } = await (await post('/v1/chat/completions', { ...chat, ...more })).json<{
        choices: { message: { content: string }; finish_reason: string }[]
        usage: { completion_tokens: number }
      }>()
      return [choices[0]?.message.content, choices[0]?.finish_reason, usage.completion_tokens]
    }
    expect(await answer({ stop: ' t' })).toEqual(['one', 'stop', 5])
    expect(await answer({ stop: ['xx', 'ee'] })).toEqual(['one two thr', 'stop', 13])
    expect(await answer({ max_tokens: 5 })).toEqual(['one t', 'length', 5])
    expect(await answer({ max_tokens: 13 })).toEqual(['one two three', 'length', 13])
    expect(await answer({ max_tokens: 3, max_completion_tokens: 14 })).toEqual(['one two three', 'stop', 13])
  })

  it('draws the same answer for the same seed', async () => {
    const flat = scriptedApp({ height: 0 })
    const answers: string[] = []
    for (const seed of [1, 1, 2, undefined, undefined]) {
      const body = { model: 'abacus', prompt: 'x', seed, max_tokens: 8, top_k: 200 }
      answers.push(await (await flat.post('/v1/completions', body)).text())
    }
    const texts = answers.map((answer) => JSON.parse(answer).choices[0].text as string)
    expect(texts[0]).toBe(texts[1])
    expect(new Set(texts).size).toBe(4)
  })

  it.each([
    [{ n: 2 }, 'n'],
    [{ logprobs: true }, 'logprobs'],
    [{ tools: [{ type: 'function' }] }, 'tools'],
    [{ response_format: { type: 'json_object' } }, 'response_format.type'],
    [{ temperature: 3 }, 'temperature'],
    [{ top_p: -1 }, 'top_p'],
    [{ max_tokens: 0 }, 'max_tokens'],
    [{ stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop'],
    [{ stop: '\ud800' }, 'stop'],
    [{ stop: 'x'.repeat(257) }, 'stop'],
    [{ seed: 1.5 }, 'seed'],
    [{ messages: [] }, 'messages'],
    [{ messages: [{ role: 'user' }] }, 'messages[0].content'],
    [{ messages: [{ role: 'nobody', content: '' }] }, 'messages[0].role'],
    [{ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }] }, 'messages[0].content'],
    [{ messages: [{ role: 'assistant', tool_calls: [{}] }] }, 'messages[0].tool_calls[0].function'],
    [{ messages: [{ role: 'assistant', content: null }] }, 'messages[0].content'],
    [{ messages: [{ role: 'assistant', content: null, tool_calls: [] }] }, 'messages[0].content'],
    [
      { messages: [{ role: 'user', content: 'x', tool_calls: [{ function: { name: 'f' } }] }] },
      'messages[0].tool_calls',
    ],
    [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages'],
    [{ telepathy: true }, null],
  ])('refuses %j, naming the field', async (more, param) => {
    const { post } = scriptedApp()
    const response = await post('/v1/chat/completions', { ...chat, ...more })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({
      error: { type: 'invalid_request_error', code: 'invalid_request', param, message: expect.any(String) },
    })
  })

  it('refuses what does not fit the context, by the name that OpenAI has for it', async () => {
    const { heard, post } = scriptedApp()
    const long = [{ role: 'user', content: 'x'.repeat(300) }]
    for (const body of [
      { ...chat, messages: long },
      { ...chat, max_tokens: 190 },
      { ...chat, messages: long, stream: true },
    ]) {
      const response = await post('/v1/chat/completions', body)
      expect(response.status).toBe(400)
      expect(await response.json()).toMatchObject({
        error: { type: 'invalid_request_error', code: 'context_length_exceeded', param: 'messages' },
      })
    }
    expect(heard).toEqual([])
  })

  it.each([
    [
      '/v1/chat/completions',
      { messages: [{ role: 'user', content: [{ type: 'text', text: '_'.repeat(200 * 32 + 1) }] }] },
    ],
    ['/v1/completions', { prompt: '_'.repeat(200 * 32 + 1) }],
  ])('refuses by its length alone what cannot fit, before anything looks at it: %s', async (path, more) => {
    // A tokenizer by which the text would be nothing at all.
    const blind = JSON.parse(new TextDecoder().decode(wordsTokenizer()))
    blind.normalizer = { type: 'Replace', pattern: { String: '_' }, content: '' }
    const { post } = scriptedApp({ tokenizer: new TextEncoder().encode(JSON.stringify(blind)) })
    const response = await post(path, { model: 'abacus', ...more })
    expect([response.status, await response.json()]).toMatchObject([
      400,
      { error: { code: 'context_length_exceeded', limit_characters: 200 * 32 } },
    ])
  })

  it.each([
    ['a hundred thousand messages', { messages: new Array(100_000).fill({ role: 'user', content: '' }) }, 413],
    ['lists in lists', { messages: JSON.parse(`${'['.repeat(10_000)}${']'.repeat(10_000)}`) }, 400],
    ['an unknown field that is deep', { extra: JSON.parse(`${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)}`) }, 400],
    [
      'a field that is not looked at, and deep',
      { metadata: JSON.parse(`${'['.repeat(9_000)}${']'.repeat(9_000)}`) },
      200,
    ],
    ['more tokens than numbers hold', { max_tokens: 1e300 }, 400],
    ['as many tokens as a number holds', { max_tokens: Number.MAX_SAFE_INTEGER }, 400],
    ['no temperature to speak of', { temperature: Number.MIN_VALUE }, 200],
    ['a nucleus of nothing', { top_p: 0 }, 200],
    ['no parts', { messages: [{ role: 'user', content: [] }] }, 200],
    ['a model that is no text', { model: {} }, 400],
    ['a model that is not there', { model: 'nobody' }, 404],
    ['a model of another world', { model: '../../alias/abacus' }, 404],
  ])('bears %s', async (_, more, status) => {
    const { post } = scriptedApp()
    const response = await post('/v1/chat/completions', { ...chat, ...more })
    const answer = await response.json()
    expect(response.status).toBe(status)
    const error = { message: expect.any(String), type: 'invalid_request_error', code: expect.any(String) }
    expect(answer).toMatchObject(status === 200 ? { object: 'chat.completion' } : { error })
    if (status !== 200) expect((answer as { error: object }).error).toHaveProperty('param')
  })

  it('gives half a character to the model as what it is in UTF-8', async () => {
    const { heard, post } = scriptedApp()
    await post('/v1/chat/completions', { ...chat, messages: [{ role: 'user', content: 'a\ud83d' }] })
    expect(heard[0]?.prompt).toEqual(promptIds(PROMPT.replace('What is 27 plus 58?', 'a\ufffd')))
  })

  it('writes characters whole, however many tokens they take, and stops at strings of them', async () => {
    const { post } = scriptedApp({ text: 'a\u{1f600}\u00e9\u{1f601}b' })
    const parts = async (more: object) =>
      (await events(await post('/v1/chat/completions', { ...chat, ...more, stream: true })))
        .flatMap((event) => (event as { choices?: { delta: { content?: string } }[] }).choices ?? [])
        .map(({ delta }) => delta.content ?? '')
        .filter((part) => part !== '')
    expect(await parts({})).toEqual(['a', '\u{1f600}', '\u00e9', '\u{1f601}', 'b'])
    expect(await parts({ stop: ['\u00e9\u{1f601}'] })).toEqual(['a', '\u{1f600}'])
    expect((await parts({ max_tokens: 3 })).join('')).toBe('a')
  })

  it('asks for no more than the context leaves where a request does not say', async () => {
    const { heard, post } = scriptedApp({
      generation: { contextLength: promptIds(PROMPT).length + 3, stopTokens: [END] },
    })
    const answer = await (await post('/v1/chat/completions', chat)).json()
    expect(answer).toMatchObject({ choices: [{ message: { content: '27 ' }, finish_reason: 'length' }] })
    expect(heard[0]?.options.maxNewTokens).toBe(3)
  })

  it('is for models that write, and that have a template', async () => {
    const refused = await scriptedApp().post('/v1/chat/completions', { ...chat, model: 'critic' })
    expect([refused.status, await refused.json()]).toMatchObject([
      400,
      { error: { code: 'task_mismatch', param: 'model' } },
    ])
    const bare = await scriptedApp({ template: null }).post('/v1/chat/completions', chat)
    expect([bare.status, await bare.text()]).toEqual([400, expect.stringContaining('/v1/completions')])
    const broken = await scriptedApp({ template: '{% if %}' }).post('/v1/chat/completions', chat)
    expect([broken.status, await broken.json()]).toMatchObject([500, { error: { code: 'manifest_invalid' } }])
  })
})

describe('what an answer costs', () => {
  it('is asked before it is written: the prompt, and a run for every token', async () => {
    const { heard, post, serving } = scriptedApp()
    const priced: number[][] = []
    serving.checkCost = (_, runs) => {
      priced.push(runs.map((run) => run.get('input_ids')?.shape[1] ?? 0))
      throw new VergeError('cost_too_high', 'This request costs too much.')
    }
    const response = await post('/v1/chat/completions', { ...chat, max_tokens: 3, stream: true })
    expect([response.status, await response.json()]).toMatchObject([413, { error: { code: 'cost_too_high' } }])
    expect(priced).toEqual([[promptIds(PROMPT).length, 1, 1, 1]])
    expect(heard).toEqual([])
  })
})

describe('a stream', () => {
  const oneTicket = () =>
    new BoundedAdmission({ slots: 1, leaseMs: 60_000, bodyBytes: LIMITS.bodyBytesTogether, clock: new ManualClock() })

  it('ends with an error event where it fails midway, and with a status where it fails before', async () => {
    const failAt = (place: number) => (index: number) => {
      if (index === place) throw new VergeError('session_lost', 'Another request took the engine down. Try again.')
    }
    const admission = oneTicket()
    const midway = scriptedApp({ before: failAt(3), admission })
    const seen = await events(await midway.post('/v1/chat/completions', { ...chat, stream: true }))
    expect(seen.slice(-2)).toEqual([
      expect.objectContaining({ choices: [expect.objectContaining({ delta: { content: ' ' } })] }),
      { error: expect.objectContaining({ code: 'session_lost', type: 'server_error', param: null }) },
    ])
    expect(seen).not.toContain('[DONE]')
    expect(midway.lines).toContainEqual(expect.objectContaining({ level: 'error', event: 'request_failed' }))
    expect(admission.admitted).toBe(0)

    const atOnce = await scriptedApp({ before: failAt(0), admission }).post('/v1/chat/completions', {
      ...chat,
      stream: true,
    })
    expect([atOnce.status, await atOnce.json()]).toMatchObject([503, { error: { code: 'session_lost' } }])
    expect(admission.admitted).toBe(0)
  })

  it('says nothing of what is not a typed error', async () => {
    const { post } = scriptedApp({
      before: (index) => {
        if (index === 2) throw new Error('secret path')
      },
    })
    const text = await (await post('/v1/chat/completions', { ...chat, stream: true })).text()
    expect(text).toContain('"code":"internal"')
    expect(text).not.toContain('secret')
  })

  it('writes no faster than it is read, and stops when its reader leaves', async () => {
    let written = 0
    const admission = oneTicket()
    const { heard, post } = scriptedApp({
      text: 'x'.repeat(60),
      before: (index) => {
        written = index + 1
      },
      admission,
    })
    const response = await post('/v1/chat/completions', { ...chat, stream: true })
    const reader = response.body?.getReader()
    await reader?.read()
    await reader?.read()
    await reader?.read()
    expect(written).toBeLessThan(6)
    expect(admission.admitted).toBe(1)
    expect((await post('/v1/chat/completions', chat)).status).toBe(429)
    await reader?.cancel()
    await expect
      .poll(() => [heard[0]?.ended, heard[0]?.options.signal.aborted, admission.admitted])
      .toEqual([true, true, 0])
    expect((await post('/v1/chat/completions', chat)).status).toBe(200)
    expect(admission.admitted).toBe(0)
  })

  it('stops when the request is given up', async () => {
    const admission = oneTicket()
    const controller = new AbortController()
    const { heard, request } = scriptedApp({ admission })
    const response = await request('/v1/chat/completions', {
      method: 'POST',
      body: JSON.stringify({ ...chat, stream: true }),
      headers: { 'content-type': 'application/json' },
      signal: controller.signal,
    })
    const reader = response.body?.getReader()
    await reader?.read()
    controller.abort()
    for (let done = false; !done; ) done = (await reader?.read())?.done ?? true
    expect([heard[0]?.ended, admission.admitted]).toEqual([true, 0])
  })

  it('may take longer than an answer, but not for ever', async () => {
    const clock = new ManualClock()
    const { post } = scriptedApp({ clock, deadlineMs: 1_000 })
    const response = await post('/v1/chat/completions', { ...chat, stream: true })
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    await reader?.read()
    await clock.advance(LIMITS.streamedAnswerMs - 1)
    expect((await reader?.read())?.value).not.toContain('error')
    await clock.advance(1)
    let rest = ''
    for (;;) {
      const step = await reader?.read()
      if (step?.done !== false) break
      rest += step.value
    }
    expect(rest).toContain('"code":"deadline_exceeded"')
    expect(rest).not.toContain('[DONE]')
  })
})

describe('POST /v1/completions', () => {
  const completion = { model: 'abacus', prompt: '27 plus 58 is' }

  it('continues a text, texts, and token ids', async () => {
    const { heard, post } = scriptedApp({ text: ' 85.' })
    const one = await (await post('/v1/completions', completion)).json()
    expect(one).toEqual({
      id: expect.stringMatching(/^cmpl-/),
      object: 'text_completion',
      created: expect.any(Number),
      model: 'abacus',
      system_fingerprint: 'fp_0000000000',
      choices: [{ text: ' 85.', index: 0, logprobs: null, finish_reason: 'stop' }],
      usage: { prompt_tokens: 13, completion_tokens: 4, total_tokens: 17 },
    })
    const several = await (await post('/v1/completions', { ...completion, prompt: ['a', 'bc'] })).json()
    expect(several).toMatchObject({
      choices: [
        { text: ' 85.', index: 0 },
        { text: ' 85.', index: 1 },
      ],
      usage: { prompt_tokens: 3, completion_tokens: 8 },
    })
    await post('/v1/completions', { ...completion, prompt: [97, END, 98] })
    await post('/v1/completions', { ...completion, prompt: [[97], [98]] })
    // A prompt is the caller's own: control tokens in it are what they look like.
    await post('/v1/completions', { ...completion, prompt: '<|start|>a' })
    expect(heard.slice(3).map(({ prompt }) => prompt)).toEqual([[97, END, 98], [97], [98], [START, 97]])
  })

  it('takes seeds of 64 bits, and draws another text for each prompt', async () => {
    const { post } = scriptedApp({ height: 0 })
    const texts = async () => {
      const body = { ...completion, prompt: ['a', 'a'], max_tokens: 9, temperature: 1, seed: 2 ** 63 }
      const answer = await (await post('/v1/completions', body)).json<{ choices: { text: string }[] }>()
      return answer.choices.map(({ text }) => text)
    }
    const first = await texts()
    expect(first[0]).not.toBe(first[1])
    expect(await texts()).toEqual(first)
  })

  it('streams several texts, one after the other', async () => {
    const { post } = scriptedApp({ text: 'ab' })
    const seen = await events(await post('/v1/completions', { ...completion, prompt: ['x', 'y'], stream: true }))
    const parts = seen.slice(0, -1) as { choices: { index: number; text: string; finish_reason: string | null }[] }[]
    expect(parts.map(({ choices: [choice] }) => [choice?.index, choice?.text, choice?.finish_reason])).toEqual([
      [0, 'a', null],
      [0, 'b', null],
      [0, '', 'stop'],
      [1, 'a', null],
      [1, 'b', null],
      [1, '', 'stop'],
    ])
    expect(seen.at(-1)).toBe('[DONE]')
  })

  it.each([
    [{ prompt: '' }, 400, 'empty_input', 'prompt'],
    [{ prompt: ['a', ''] }, 400, 'empty_input', 'prompt[1]'],
    [{ prompt: [VOCABULARY] }, 400, 'invalid_request', 'prompt[0]'],
    [{ prompt: new Array(9).fill('x') }, 413, 'input_too_large', 'prompt'],
    [{ prompt: 'x'.repeat(200) }, 400, 'context_length_exceeded', 'prompt'],
    [{ prompt: undefined }, 400, 'invalid_request', 'prompt'],
    [{ echo: true }, 400, 'invalid_request', 'echo'],
    [{ best_of: 2 }, 400, 'invalid_request', 'best_of'],
    [{ logprobs: 3 }, 400, 'invalid_request', 'logprobs'],
    [{ suffix: 'x' }, 400, 'invalid_request', 'suffix'],
  ])('refuses %j', async (more, status, code, param) => {
    const response = await scriptedApp().post('/v1/completions', { ...completion, ...more })
    expect([response.status, await response.json()]).toMatchObject([status, { error: { code, param } }])
  })
})

describe('the task text-generation', () => {
  it('refuses prompts that are too long together, before the first is read', async () => {
    const { post } = scriptedApp({ limits: { chatLength: 100 } })
    const response = await post('/v1/completions', { model: 'abacus', prompt: ['x'.repeat(60), 'y'.repeat(60)] })
    expect([response.status, await response.json()]).toEqual([
      413,
      { error: expect.objectContaining({ message: expect.stringContaining('100 characters together') }) },
    ])
  })

  it.each([
    [' ', 200],
    ['\n\n', 200],
    ['', 400],
  ])('takes what has a token, by every address: %j', async (prompt, status) => {
    const { post } = scriptedApp()
    const run = await post('/run/abacus', { inputs: prompt, parameters: { max_new_tokens: 2 } })
    const completions = await post('/v1/completions', { model: 'abacus', prompt, max_tokens: 2 })
    expect([run.status, completions.status]).toEqual([status, status])
  })

  it.each(['/run/abacus', '/models/abacus', '/models/abacus/pipeline/text-generation'])(
    'continues a text: %s',
    async (path) => {
      const { heard, post } = scriptedApp({ text: ' 85.' })
      const answer = async (parameters?: object) => (await post(path, { inputs: 'a', parameters })).json()
      expect(await answer()).toEqual([{ generated_text: 'a 85.' }])
      expect(await answer({ return_full_text: false, stop: ['5'], max_new_tokens: 9 })).toEqual([
        { generated_text: ' 8' },
      ])
      expect(heard[1]?.options.maxNewTokens).toBe(9)
      const drawn = await answer({
        do_sample: true,
        temperature: 0.7,
        top_k: 5,
        top_p: 0.9,
        seed: 3,
        return_full_text: false,
      })
      expect(drawn).toEqual([{ generated_text: ' 85.' }])
      const plain = await post(path, 'a', { 'content-type': 'text/plain' })
      expect([await plain.json(), plain.headers.get('verge-placement')]).toEqual([
        [{ generated_text: 'a 85.' }],
        expect.stringContaining('edge-fp32'),
      ])
      expect((await post(path, { inputs: 'a', stream: true })).status).toBe(400)
      expect((await post(path, { inputs: '' })).status).toBe(400)
      expect((await post(path, { inputs: 'a', parameters: { max_new_tokens: 0 } })).status).toBe(400)
      // It would cut the character that it is the end of.
      expect((await post(path, { inputs: 'a', parameters: { stop: ['\ude00'] } })).status).toBe(400)
    },
  )
})
