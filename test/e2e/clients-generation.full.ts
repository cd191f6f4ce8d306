import { join } from 'node:path'
import { createOpenAI } from '@ai-sdk/openai'
import Anthropic from '@anthropic-ai/sdk'
import { ChatOpenAI } from '@langchain/openai'
import { generateText, streamText } from 'ai'
import { Ollama } from 'ollama'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { documentedJson, expectLike, nth, readPage } from '../fixtures/node/docs.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { publishAs } from '../fixtures/node/placed-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'
import { smallEncoder } from '../fixtures/node/small-encoder.ts'

/** Public models need no key, but some clients insist on one. */
const KEY = 'a-key-of-the-operator-0123456789'
const ANY_KEY = 'sk-whatever'
const QUESTION = 'What is 27 plus 58?'
const messages = [{ role: 'user' as const, content: QUESTION }]

let worker: LiveWorker
/** What the same model answers to the same question by the protocol that has its own proofs. */
let expected: { readonly text: string; readonly prompt: number; readonly completion: number }

beforeAll(async () => {
  worker = await startLiveWorker({ VERGE_API_KEY: KEY, MODEL_NAMES: 'claude-opus-5=abacus, llama3.2:3b=abacus' })
  const writer = await writerFor(worker)
  const abacus = await packFolder(join(ROOT, 'models/abacus'))
  await publish(writer, abacus)
  await publishAs(writer, abacus, 'secret')
  await writer.setVisibility('secret', 'private')
  await publish(writer, await smallEncoder('embedder'))
  const openai = new OpenAI({ baseURL: `${worker.url}/v1`, apiKey: ANY_KEY, maxRetries: 0 })
  const { choices, usage } = await openai.chat.completions.create({ model: 'abacus', messages, temperature: 0 })
  expected = {
    text: choices[0]?.message.content ?? '',
    prompt: usage?.prompt_tokens ?? 0,
    completion: usage?.completion_tokens ?? 0,
  }
})
afterAll(() => worker?.dispose())

it('knows what is expected', () => {
  expect(expected.text).toContain('85')
  expect(expected.completion).toBeGreaterThan(3)
})

describe('@anthropic-ai/sdk', () => {
  let anthropic: Anthropic
  beforeAll(() => {
    anthropic = new Anthropic({ baseURL: `${worker.url}/anthropic`, apiKey: ANY_KEY, maxRetries: 0 })
  })
  const request = { model: 'abacus', max_tokens: 100, temperature: 0, messages }

  it('creates a message, at the root too', async () => {
    const atRoot = new Anthropic({ baseURL: worker.url, apiKey: ANY_KEY, maxRetries: 0 })
    for (const client of [anthropic, atRoot]) {
      const message = await client.messages.create(request)
      expect(message.content).toEqual([{ type: 'text', text: expected.text, citations: null }])
      expect([message.role, message.model, message.stop_reason]).toEqual(['assistant', 'abacus', 'end_turn'])
      expect(message.usage).toMatchObject({ input_tokens: expected.prompt, output_tokens: expected.completion })
    }
  })

  it('streams events', async () => {
    const types: string[] = []
    let text = ''
    for await (const event of await anthropic.messages.create({ ...request, stream: true })) {
      if (types.at(-1) !== event.type) types.push(event.type)
      if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') text += event.delta.text
    }
    expect(text).toBe(expected.text)
    expect(types).toEqual([
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ])
  })

  it('streams through its helper', async () => {
    const stream = anthropic.messages.stream(request)
    let text = ''
    stream.on('text', (part) => {
      text += part
    })
    const message = await stream.finalMessage()
    expect([text, await stream.finalText()]).toEqual([expected.text, expected.text])
    expect(message.usage).toMatchObject({ input_tokens: expected.prompt, output_tokens: expected.completion })
    // The same message, but for its id.
    expect({ ...message, id: '' }).toMatchObject({ ...(await anthropic.messages.create(request)), id: '' })
  })

  it('names the stop sequence, and says that the maximum was reached', async () => {
    expect(await anthropic.messages.create({ ...request, stop_sequences: [' is'] })).toMatchObject({
      stop_reason: 'stop_sequence',
      stop_sequence: ' is',
    })
    expect(await anthropic.messages.create({ ...request, max_tokens: 1 })).toMatchObject({
      stop_reason: 'max_tokens',
      usage: { output_tokens: 1 },
    })
  })

  it('takes a system prompt in blocks, and counts tokens as they are billed', async () => {
    const system = [{ type: 'text' as const, text: 'Be brief.' }]
    const message = await anthropic.messages.create({ ...request, system })
    const { input_tokens: counted } = await anthropic.messages.countTokens({ model: 'abacus', messages, system })
    expect(counted).toBe(message.usage.input_tokens)
    expect(counted).toBeGreaterThan(expected.prompt)
  })

  it('is answered by the name that it asked for', async () => {
    const message = await anthropic.messages.create({ ...request, model: 'claude-opus-5' })
    expect([message.model, message.content[0]]).toMatchObject(['claude-opus-5', { text: expected.text }])
  })

  it('lists models', async () => {
    const ids: string[] = []
    for await (const model of anthropic.models.list({ limit: 1 })) ids.push(model.id)
    expect(ids).toEqual(['abacus', 'embedder'])
    expect(await anthropic.models.retrieve('abacus')).toMatchObject({ type: 'model', id: 'abacus' })
  })

  it('reads our refusals as its own errors', async () => {
    const create = (more: object) => anthropic.messages.create({ ...request, ...more })
    await expect(create({ model: 'absent' })).rejects.toBeInstanceOf(Anthropic.AuthenticationError)
    const operator = new Anthropic({ baseURL: `${worker.url}/anthropic`, apiKey: KEY, maxRetries: 0 })
    await expect(operator.messages.create({ ...request, model: 'absent' })).rejects.toMatchObject({
      name: 'NotFoundError',
      status: 404,
      type: 'not_found_error',
    })
    expect(await operator.messages.create({ ...request, model: 'secret' })).toMatchObject({ model: 'secret' })
    await expect(create({ model: 'secret' })).rejects.toBeInstanceOf(Anthropic.AuthenticationError)
    await expect(create({ temperature: 7 })).rejects.toMatchObject({ name: 'BadRequestError', requestID: /./ })
    await expect(create({ model: 'embedder' })).rejects.toBeInstanceOf(Anthropic.BadRequestError)
  })

  it('is told at once what comes later: it does not try again', async () => {
    let tries = 0
    const counting = new Anthropic({
      baseURL: worker.url,
      apiKey: ANY_KEY,
      fetch: (url, init) => {
        tries++
        return fetch(url, init)
      },
    })
    const tools = [{ name: 'add', input_schema: { type: 'object' as const } }]
    await expect(counting.messages.create({ ...request, tools })).rejects.toMatchObject({
      status: 501,
      message: expect.stringContaining('"tools"'),
    })
    expect(tries).toBe(1)
  })

  it('leaves, and leaves nothing behind', async () => {
    const drawn = { ...request, temperature: 1 }
    for (let i = 0; i < 20; i++) {
      const stream = await anthropic.messages.create({ ...drawn, stream: true })
      for await (const _ of stream) break
    }
    // More than there are places: each was given back.
    expect((await anthropic.messages.create(request)).content[0]).toMatchObject({ text: expected.text })
  })
})

describe('ollama', () => {
  let ollama: Ollama
  beforeAll(() => {
    ollama = new Ollama({ host: `${worker.url}/ollama` })
  })
  const options = { temperature: 0 }

  it('chats, at the root too', async () => {
    for (const client of [ollama, new Ollama({ host: worker.url })]) {
      const answer = await client.chat({ model: 'abacus', messages, options })
      expect(answer).toMatchObject({
        model: 'abacus',
        message: { role: 'assistant', content: expected.text },
        done: true,
        done_reason: 'stop',
        prompt_eval_count: expected.prompt,
        eval_count: expected.completion,
      })
      expect(Date.parse(String(answer.created_at))).toBeGreaterThan(1_700_000_000_000)
    }
  })

  it('streams a chat', async () => {
    const parts: string[] = []
    let last: unknown
    for await (const part of await ollama.chat({ model: 'abacus:latest', messages, options, stream: true })) {
      parts.push(part.message.content)
      last = part
    }
    expect(parts.join('')).toBe(expected.text)
    expect(parts.length).toBeGreaterThan(4)
    expect(last).toMatchObject({
      model: 'abacus:latest',
      done: true,
      done_reason: 'stop',
      prompt_eval_count: expected.prompt,
      eval_count: expected.completion,
    })
  })

  it('generates by the template, and continues raw texts', async () => {
    const asked = await ollama.generate({ model: 'abacus', prompt: QUESTION, options })
    expect([asked.response, asked.done_reason]).toEqual([expected.text, 'stop'])
    const raw = { model: 'abacus', prompt: '27 plus 58 is', raw: true, options: { ...options, stop: ['.'] } }
    const { response: continued = '' } = await ollama.generate(raw)
    expect(continued.trim()).toBe('85')
    let streamed = ''
    for await (const part of await ollama.generate({ ...raw, stream: true })) streamed += part.response
    expect(streamed.trim()).toBe('85')
  })

  it('draws what chats draw by the same seed and the same numbers', async () => {
    const numbers = { temperature: 2, top_k: 40, top_p: 0.95 }
    // Nothing that it was taught, so that it is sure of nothing.
    const prompt = ' Q zz'
    const openai = new OpenAI({ baseURL: `${worker.url}/v1`, apiKey: ANY_KEY, maxRetries: 0 })
    const texts: string[] = []
    for (const seed of [1, 2, 3, 4]) {
      const { choices } = await openai.completions.create({ model: 'abacus', prompt, ...numbers, seed, max_tokens: 24 })
      const options = { ...numbers, seed, num_predict: 24 }
      const theirs = await ollama.generate({ model: 'abacus', prompt, raw: true, options })
      expect(theirs.response).toBe(choices[0]?.text)
      texts.push(theirs.response ?? '')
    }
    expect(new Set(texts).size).toBeGreaterThan(1)
  })

  it('loads a model, and is told which there are', async () => {
    expect(await ollama.generate({ model: 'abacus', prompt: '' })).toMatchObject({ done: true, done_reason: 'load' })
    const { models } = await ollama.list()
    expect(models.map(({ name }) => name)).toEqual(['abacus:latest', 'embedder:latest'])
    expect(models[0]).toMatchObject({ digest: expect.stringMatching(/^[0-9a-f]{64}$/), size: expect.any(Number) })
    expect(await ollama.show({ model: 'abacus' })).toMatchObject({ capabilities: ['completion'] })
    expect(await ollama.show({ model: 'embedder' })).toMatchObject({ capabilities: ['embedding'] })
    expect((await ollama.ps()).models.map(({ name }) => name)).toContain('abacus:latest')
    expect((await ollama.version()).version).toMatch(/^\d+\.\d+\.\d+/)
    expect((await fetch(`${worker.url}/ollama/`, { method: 'HEAD' })).status).toBe(200)
  })

  it('is answered by the name that it asked for, its version too', async () => {
    const answer = await ollama.chat({ model: 'llama3.2:3b', messages, options })
    expect([answer.model, answer.message.content]).toEqual(['llama3.2:3b', expected.text])
  })

  it("has OpenAI's addresses behind its own, as Ollama does", async () => {
    const openai = new OpenAI({ baseURL: `${worker.url}/ollama/v1`, apiKey: 'ollama', maxRetries: 0 })
    const { choices } = await openai.chat.completions.create({ model: 'abacus:latest', messages, temperature: 0 })
    expect(choices[0]?.message.content).toBe(expected.text)
    const refused = openai.chat.completions.create({ model: 'abacus', messages, n: 2 })
    await expect(refused).rejects.toMatchObject({ status: 400, param: 'n', type: 'invalid_request_error' })
  })

  it('embeds as /v1/embeddings does', async () => {
    const input = ['the cat sat on the mat', 'a dog ran']
    const openai = new OpenAI({ baseURL: `${worker.url}/v1`, apiKey: ANY_KEY, maxRetries: 0 })
    const theirs = await openai.embeddings.create({ model: 'embedder', input, encoding_format: 'float' })
    const vectors = theirs.data.map(({ embedding }) => embedding)
    const many = await ollama.embed({ model: 'embedder:latest', input })
    expect([many.model, many.prompt_eval_count]).toEqual(['embedder:latest', theirs.usage.prompt_tokens])
    expect(many.embeddings).toEqual(vectors)
    expect((await ollama.embed({ model: 'embedder', input: input[0] ?? '' })).embeddings).toEqual([vectors[0]])
    expect((await ollama.embeddings({ model: 'embedder', prompt: input[1] ?? '' })).embedding).toEqual(vectors[1])
    expect((await ollama.embed({ model: 'embedder', input: [] })).embeddings).toEqual([])
  })

  it('reads our refusals as its own errors', async () => {
    const chat = (more: object) => ollama.chat({ model: 'abacus', messages, ...more })
    await expect(chat({ model: 'absent' })).rejects.toMatchObject({
      name: 'ResponseError',
      status_code: 404,
      message: expect.stringContaining('absent'),
    })
    await expect(chat({ format: 'json' })).rejects.toMatchObject({ status_code: 501 })
    await expect(chat({ tools: [{ type: 'function', function: { name: 'add' } }] })).rejects.toMatchObject({
      status_code: 501,
    })
    await expect(chat({ messages: [{ ...messages[0], images: ['AAAA'] }] })).rejects.toMatchObject({ status_code: 501 })
    await expect(chat({ model: 'embedder' })).rejects.toMatchObject({ status_code: 400 })
    await expect(ollama.embed({ model: 'abacus', input: 'x' })).rejects.toMatchObject({ status_code: 400 })
    await expect(ollama.embed({ model: 'embedder', input: ['a', ' '] })).rejects.toMatchObject({ status_code: 400 })
    await expect(ollama.pull({ model: 'abacus' })).rejects.toMatchObject({ status_code: 501 })
  })

  it('aborts, and leaves nothing behind', async () => {
    for (let i = 0; i < 20; i++) {
      const stream = await ollama.chat({ model: 'abacus', messages, options: { temperature: 2 }, stream: true })
      const reading = async () => {
        for await (const _ of stream) ollama.abort()
      }
      await expect(reading()).rejects.toMatchObject({ name: 'AbortError' })
    }
    // More than there are places: each was given back.
    expect((await ollama.chat({ model: 'abacus', messages, options })).message.content).toBe(expected.text)
  })
})

describe('openai, its responses', () => {
  let openai: OpenAI
  beforeAll(() => {
    openai = new OpenAI({ baseURL: `${worker.url}/v1`, apiKey: ANY_KEY, maxRetries: 0 })
  })
  const request = { model: 'abacus', input: QUESTION, temperature: 0 }

  it('are created from a text, behind the prefix too', async () => {
    const prefixed = new OpenAI({ baseURL: `${worker.url}/openai/v1`, apiKey: ANY_KEY, maxRetries: 0 })
    for (const client of [openai, prefixed]) {
      const response = await client.responses.create(request)
      expect([response.output_text, response.status, response.model]).toEqual([expected.text, 'completed', 'abacus'])
      expect(response.usage).toMatchObject({
        input_tokens: expected.prompt,
        output_tokens: expected.completion,
        total_tokens: expected.prompt + expected.completion,
      })
    }
  })

  it('continue a conversation that the client keeps', async () => {
    const first = await openai.responses.create(request)
    const said = first.output.filter((item) => item.type === 'message')
    const input = [...messages, ...said, { role: 'user' as const, content: 'What is 2 plus 2?' }]
    const second = await openai.responses.create({ ...request, input, instructions: 'Be brief.' })
    expect(second.usage?.input_tokens).toBeGreaterThan(expected.prompt + expected.completion)
    expect(second.instructions).toBe('Be brief.')
  })

  it('stream events', async () => {
    const types: string[] = []
    let text = ''
    let sequence = 0
    for await (const event of await openai.responses.create({ ...request, stream: true })) {
      if (types.at(-1) !== event.type) types.push(event.type)
      expect(event.sequence_number).toBe(sequence++)
      if (event.type === 'response.output_text.delta') text += event.delta
    }
    expect(text).toBe(expected.text)
    expect(types).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ])
  })

  it('stream through the helper', async () => {
    const stream = openai.responses.stream(request)
    let snapshot = ''
    stream.on('response.output_text.delta', (event) => {
      snapshot = event.snapshot
    })
    const final = await stream.finalResponse()
    expect([snapshot, final.output_text, final.status]).toEqual([expected.text, expected.text, 'completed'])
    const { completed_at: _c, created_at: _a, id: _i, output: _o, ...same } = await openai.responses.create(request)
    expect(final).toMatchObject({ usage: same.usage, text: same.text, store: false })
  })

  it('say that the maximum was reached', async () => {
    expect(await openai.responses.create({ ...request, max_output_tokens: 1 })).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
    })
  })

  it('are refused as errors of the client, and not tried again', async () => {
    let tries = 0
    const counting = new OpenAI({
      baseURL: `${worker.url}/v1`,
      apiKey: ANY_KEY,
      fetch: (url, init) => {
        tries++
        return fetch(url, init)
      },
    })
    const refused = (more: object) => counting.responses.create({ ...request, ...more })
    await expect(refused({ previous_response_id: 'resp_1' })).rejects.toMatchObject({
      status: 501,
      code: 'not_implemented',
      param: 'previous_response_id',
    })
    await expect(refused({ background: true })).rejects.toMatchObject({ status: 501, param: 'background' })
    await expect(refused({ tools: [{ type: 'web_search' }] })).rejects.toMatchObject({ status: 501, param: 'tools' })
    await expect(refused({ temperature: 7 })).rejects.toBeInstanceOf(OpenAI.BadRequestError)
    await expect(counting.responses.retrieve('resp_1')).rejects.toMatchObject({ status: 501 })
    expect(tries).toBe(5)
  })

  it("are what Vercel's AI SDK asks its OpenAI provider for", async () => {
    const model = createOpenAI({ baseURL: `${worker.url}/v1`, apiKey: ANY_KEY })('abacus')
    const { finishReason, text, usage } = await generateText({ model, prompt: QUESTION, temperature: 0, maxRetries: 0 })
    expect([text, finishReason]).toEqual([expected.text, 'stop'])
    expect([usage.inputTokens, usage.outputTokens]).toEqual([expected.prompt, expected.completion])
    const stream = streamText({ model, prompt: QUESTION, temperature: 0, maxRetries: 0 })
    let streamed = ''
    for await (const part of stream.textStream) streamed += part
    expect([streamed, await stream.finishReason]).toEqual([expected.text, 'stop'])
    // Its later turns name earlier items by their ids, unless they are not to be kept.
    const { response } = await generateText({ model, prompt: QUESTION, temperature: 0, maxRetries: 0 })
    const turn = { model, messages: [...messages, ...response.messages, ...messages], temperature: 0, maxRetries: 0 }
    await expect(generateText(turn)).rejects.toMatchObject({ message: expect.stringContaining('"store"') })
    const kept = await generateText({ ...turn, providerOptions: { openai: { store: false } } })
    expect(kept.usage.inputTokens).toBeGreaterThan(expected.prompt + expected.completion)
  })

  it('are what LangChain asks for where it is told to', async () => {
    const model = new ChatOpenAI({
      model: 'abacus',
      apiKey: ANY_KEY,
      temperature: 0,
      useResponsesApi: true,
      configuration: { baseURL: `${worker.url}/v1` },
      maxRetries: 0,
    })
    const answer = await model.invoke(QUESTION)
    expect([answer.text, answer.usage_metadata]).toMatchObject([
      expected.text,
      { input_tokens: expected.prompt, output_tokens: expected.completion },
    ])
    let streamed = ''
    for await (const chunk of await model.stream(QUESTION)) streamed += chunk.text
    expect(streamed).toBe(expected.text)
  })
})

describe('docs/protocols/generation.md', () => {
  const page = readPage('generation', 'docs/protocols')
  const ask = async (command: string): Promise<unknown> => {
    const [, path = '', body = ''] = /^curl \$VERGE(\S+) .*-d '(.*)'$/.exec(command.trim()) ?? []
    const headers = { 'content-type': 'application/json' }
    return (await fetch(`${worker.url}${path}`, { method: 'POST', headers, body })).json()
  }

  it('prints what is answered', async () => {
    expect(page.commands).toHaveLength(3)
    const [message, generated] = page.blocks('json').map(documentedJson)
    expect(await ask(nth(page.commands, 0))).toMatchObject({ status: 'completed', store: false })
    expectLike(await ask(nth(page.commands, 1)), message)
    const continued = await ask(nth(page.commands, 2))
    expectLike(continued, generated)
    const { eval_count, prompt_eval_count, response } = generated as Readonly<Record<string, unknown>>
    expect(continued).toMatchObject({ eval_count, prompt_eval_count, response })
    expect(message).toMatchObject({
      content: [{ text: expected.text }],
      usage: { input_tokens: expected.prompt, output_tokens: expected.completion },
    })
  })

  it('has programs that run as they are written', async () => {
    const programs = page.blocks('js')
    expect(programs).toHaveLength(4)
    for (const program of programs) {
      const code = program.replaceAll(/^import .*\n/gm, '').replaceAll('https://verge.example', worker.url)
      const said: string[] = []
      const names = { OpenAI, Anthropic, Ollama, createOpenAI, generateText }
      const log = { log: (text: string) => said.push(text) }
      const run = new Function(...Object.keys(names), 'console', `return (async () => {\n${code}\n})()`)
      await run(...Object.values(names), log)
      expect(said.join('')).toContain('85')
    }
  })
})
