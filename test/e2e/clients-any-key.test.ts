import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { InferenceClient } from '@huggingface/inference'
import { ChatOpenAI, OpenAI as LangChainOpenAI } from '@langchain/openai'
import { generateText, streamText } from 'ai'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { modelFolders, ROOT } from '../../src/cli/files/project.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'

const QUESTION = 'What is 27 plus 58?'
const ASKED = [{ role: 'user' as const, content: QUESTION }]

/**
 * Official clients as their users write them: a key that they have to give, and that this Worker has never heard of. The
 * shipped models are public, so each has to be answered, whether the Worker has a key of its own or not.
 */
describe.each([
  ['where no key is configured', {}],
  ['where a key is configured', { VERGE_API_KEY: 'a-key-of-the-operator-0123456789' }],
])('clients with any key, %s', (_, vars: Readonly<Record<string, string>>) => {
  let worker: LiveWorker

  beforeAll(async () => {
    worker = await startLiveWorker(vars)
    const writer = await writerFor(worker)
    for (const folder of await modelFolders()) await publish(writer, await packFolder(folder))
  })
  afterAll(() => worker?.dispose())

  it('openai chats, streams, completes and lists', async () => {
    const client = new OpenAI({ baseURL: `${worker.url}/v1`, apiKey: 'EMPTY', maxRetries: 0 })
    const chat = await client.chat.completions.create({ model: 'abacus', messages: ASKED, temperature: 0 })
    expect(chat.choices[0]?.message.content).toContain('85')
    let streamed = ''
    const request = { model: 'abacus', messages: ASKED, temperature: 0, stream: true } as const
    for await (const chunk of await client.chat.completions.create(request)) {
      streamed += chunk.choices[0]?.delta.content ?? ''
    }
    expect(streamed).toBe(chat.choices[0]?.message.content)
    const text = await client.completions.create({
      model: 'abacus',
      prompt: '27 plus 58 is',
      temperature: 0,
      stop: '.',
    })
    expect(text.choices[0]?.text.trim()).toBe('85')
    const names: string[] = []
    for await (const model of client.models.list()) names.push(model.id)
    expect(names.sort()).toEqual(['abacus', 'digits', 'reviews'])
    const { created, id } = await client.models.retrieve('digits')
    expect(id).toBe('digits')
    // Seconds since 1970.
    expect(created).toBeGreaterThan(1_700_000_000)
  })

  it('openai learns that a model needs the right key, whether there is such a model or not', async () => {
    const client = new OpenAI({ baseURL: `${worker.url}/v1`, apiKey: 'EMPTY', maxRetries: 0 })
    await expect(client.models.retrieve('absent')).rejects.toBeInstanceOf(OpenAI.AuthenticationError)
    await expect(client.chat.completions.create({ model: 'absent', messages: ASKED })).rejects.toMatchObject({
      status: 401,
      code: 'unauthorized',
    })
  })

  it('LangChain invokes and streams', async () => {
    const configuration = { baseURL: `${worker.url}/v1` }
    const model = new ChatOpenAI({ model: 'abacus', apiKey: 'sk-none', temperature: 0, configuration, maxRetries: 0 })
    expect((await model.invoke(QUESTION)).content).toContain('85')
    let streamed = ''
    for await (const chunk of await model.stream(QUESTION)) streamed += chunk.text
    expect(streamed).toContain('85')
    const writer = new LangChainOpenAI({
      model: 'abacus',
      apiKey: 'sk-none',
      temperature: 0,
      maxTokens: 8,
      configuration,
      maxRetries: 0,
    })
    expect(await writer.invoke('27 plus 58 is')).toContain('85')
  })

  it("Vercel's AI SDK generates and streams, by its OpenAI provider and its provider for compatible servers", async () => {
    const compatible = createOpenAICompatible({ name: 'verge', baseURL: `${worker.url}/v1`, apiKey: 'any' })
    const official = createOpenAI({ baseURL: `${worker.url}/v1`, apiKey: 'any' })
    for (const model of [compatible('abacus'), official.chat('abacus')]) {
      const { text, usage } = await generateText({ model, prompt: QUESTION, temperature: 0, maxRetries: 0 })
      expect(text).toContain('85')
      expect(usage.outputTokens).toBeGreaterThan(0)
      const stream = streamText({ model, prompt: QUESTION, temperature: 0, maxRetries: 0 })
      let streamed = ''
      for await (const part of stream.textStream) streamed += part
      expect(streamed).toBe(text)
    }
    const { text } = await generateText({
      model: compatible.completionModel('abacus'),
      prompt: '27 plus 58 is',
      temperature: 0,
      maxRetries: 0,
    })
    expect(text).toContain('85')
  })

  it("@huggingface/inference runs tasks, chats and writes texts at a model's own address", async () => {
    const client = new InferenceClient('hf_aTokenOfAnotherService')
    const picture = new Blob([readFileSync(join(ROOT, 'models/digits/samples/seven.png'))], { type: 'image/png' })
    const digits = await client.imageClassification({ endpointUrl: `${worker.url}/models/digits`, data: picture })
    expect(digits[0]).toMatchObject({ label: '7' })
    const review = { endpointUrl: `${worker.url}/models/reviews`, inputs: 'A wonderful film, beautifully played.' }
    expect((await client.textClassification(review))[0]).toMatchObject({ label: 'positive' })

    const endpointUrl = `${worker.url}/models/abacus`
    const chat = await client.chatCompletion({ endpointUrl, messages: ASKED, temperature: 0 })
    expect([chat.model, chat.choices[0]?.message.content]).toEqual(['abacus', expect.stringContaining('85')])
    let streamed = ''
    for await (const chunk of client.chatCompletionStream({ endpointUrl, messages: ASKED, temperature: 0 })) {
      streamed += chunk.choices[0]?.delta.content ?? ''
    }
    expect(streamed).toBe(chat.choices[0]?.message.content)
    const written = await client.textGeneration({
      endpointUrl,
      inputs: '27 plus 58 is',
      parameters: { max_new_tokens: 8, do_sample: false, return_full_text: false, stop: ['.'] },
    })
    expect(written.generated_text.trim()).toBe('85')
  })

  it('a custom client of the same kind is told in one shape at the same address', async () => {
    const answer = await fetch(`${worker.url}/models/abacus/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ messages: [] }),
    })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ error: { code: 'invalid_request', type: 'invalid_request_error' } })
  })
})
