import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceClient } from '@huggingface/inference'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { TextTokenizer } from '../../src/media/text/tokenizer.ts'
import { documentedJson, expectLike, readPage } from '../fixtures/node/docs.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'

/** The clients below have another: they insist on one, and public models need none. */
const KEY = 'a-key-of-the-operator-0123456789'
const ANY_KEY = 'sk-whatever'
const FOLDER = join(ROOT, 'models/abacus')

let worker: LiveWorker
let openai: OpenAI

beforeAll(async () => {
  worker = await startLiveWorker({ VERGE_API_KEY: KEY })
  openai = new OpenAI({ baseURL: `${worker.url}/v1`, apiKey: ANY_KEY, maxRetries: 0 })
  await publish(await writerFor(worker), await packFolder(FOLDER))
})
afterAll(() => worker?.dispose())

const ask = (content: string) => [{ role: 'user' as const, content }]

/** Sums that the model was not trained on are its own test's business; here any will do. */
const SUMS = [
  [27, 58],
  [9, 4],
  [63, 30],
] as const

describe('the official client', () => {
  it('is answered', async () => {
    for (const [a, b] of SUMS) {
      const { choices, usage, model } = await openai.chat.completions.create({
        model: 'abacus',
        messages: ask(`What is ${a} plus ${b}?`),
        temperature: 0,
      })
      const content = choices[0]?.message.content ?? ''
      expect(content).toMatch(new RegExp(`\\b${a + b}\\b`))
      expect([model, choices[0]?.finish_reason]).toEqual(['abacus', 'stop'])
      expect(usage?.total_tokens).toBe((usage?.prompt_tokens ?? 0) + (usage?.completion_tokens ?? 0))
    }
  })

  it('counts the prompt as the tokenizer does', async () => {
    const tokenizer = TextTokenizer.parse(new Uint8Array(readFileSync(join(FOLDER, 'tokenizer.json'))))
    const { usage } = await openai.chat.completions.create({
      model: 'abacus',
      messages: ask('27 + 58 = ?'),
      max_tokens: 1,
    })
    const prompt = '<|im_start|>user\n27 + 58 = ?<|im_end|>\n<|im_start|>assistant\n'
    expect(usage?.prompt_tokens).toBe(tokenizer.tokens(prompt).length)
    expect(usage?.completion_tokens).toBe(1)
  })

  it('streams what it is answered whole', async () => {
    const request = { model: 'abacus', messages: ask('What is 31 plus 44?'), temperature: 0 }
    const whole = await openai.chat.completions.create(request)
    const stream = await openai.chat.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    })
    const parts: string[] = []
    let finish: string | null | undefined
    let usage: unknown
    for await (const chunk of stream) {
      parts.push(chunk.choices[0]?.delta.content ?? '')
      finish = chunk.choices[0]?.finish_reason ?? finish
      usage = chunk.usage ?? usage
    }
    expect(parts.join('')).toBe(whole.choices[0]?.message.content)
    expect(parts.filter((part) => part !== '').length).toBeGreaterThan(3)
    expect([finish, usage]).toEqual([whole.choices[0]?.finish_reason, whole.usage])
  })

  it('streams through its helper', async () => {
    const runner = openai.chat.completions.stream({
      model: 'abacus',
      messages: ask('What is 5 plus 6?'),
      temperature: 0,
    })
    expect(await runner.finalContent()).toContain('11')
  })

  it('draws the same text for a seed', async () => {
    // Nothing that it was taught, so that it is sure of nothing.
    const draw = async (seed: number) =>
      (await openai.completions.create({ model: 'abacus', prompt: ' Q zz', temperature: 2, seed, max_tokens: 24 }))
        .choices[0]?.text
    const texts = [await draw(1), await draw(1), await draw(2), await draw(3), await draw(4)]
    expect(texts[0]).toBe(texts[1])
    expect(new Set(texts).size).toBeGreaterThan(1)
  })

  it('continues a text', async () => {
    const { choices } = await openai.completions.create({
      model: 'abacus',
      prompt: '27 plus 58 is',
      temperature: 0,
      stop: '.',
    })
    expect(choices[0]?.text.trim()).toBe('85')
    const stream = await openai.completions.create({
      model: 'abacus',
      prompt: '27 plus 58 is',
      temperature: 0,
      stop: '.',
      stream: true,
    })
    let text = ''
    for await (const chunk of stream) text += chunk.choices[0]?.text ?? ''
    expect(text).toBe(choices[0]?.text)
  })

  it('leaves, and leaves nothing behind', async () => {
    for (let i = 0; i < 20; i++) {
      const stream = await openai.chat.completions.create({
        model: 'abacus',
        messages: ask('What is 8 plus 9?'),
        stream: true,
        temperature: 2,
        max_tokens: 150,
      })
      for await (const _ of stream) break
    }
    // More than there are places: each was given back.
    const { choices } = await openai.chat.completions.create({
      model: 'abacus',
      messages: ask('What is 8 plus 9?'),
      temperature: 0,
    })
    expect(choices[0]?.message.content).toContain('17')
  })

  it('reads our refusals as its own errors', async () => {
    const create = (more: object) =>
      openai.chat.completions.create({ model: 'abacus', messages: ask('Hello'), ...more })
    // With a key that is not known nobody learns whether there is such a model.
    await expect(create({ model: 'absent' })).rejects.toBeInstanceOf(OpenAI.AuthenticationError)
    await expect(create({ n: 2 })).rejects.toMatchObject({ status: 400, param: 'n', type: 'invalid_request_error' })
    await expect(create({ messages: ask('x '.repeat(2_000)) })).rejects.toMatchObject({
      status: 400,
      code: 'context_length_exceeded',
      param: 'messages',
    })
    await expect(create({ stream: true, max_tokens: 100_000 })).rejects.toMatchObject({
      code: 'context_length_exceeded',
    })
  })
})

describe('@huggingface/inference', () => {
  const client = new InferenceClient(ANY_KEY)

  it('chats, and streams a chat', async () => {
    const request = { endpointUrl: worker.url, model: 'abacus', messages: ask('What is 27 plus 58?'), temperature: 0 }
    const { choices } = await client.chatCompletion(request)
    expect(choices[0]?.message.content).toContain('85')
    let text = ''
    for await (const chunk of client.chatCompletionStream(request)) text += chunk.choices[0]?.delta.content ?? ''
    expect(text).toBe(choices[0]?.message.content)
  })
})

describe('docs/tasks/generation.md', () => {
  const page = readPage('generation')
  const [settings = '', chat = '', written = ''] = page.blocks('json')
  const ask = async (command: string): Promise<unknown> => {
    const [, path = '', body = ''] = /^curl \$VERGE(\S+) .* -d '(.*)'$/.exec(command.trim()) ?? []
    const headers = { 'content-type': 'application/json' }
    return (await fetch(`${worker.url}${path}`, { method: 'POST', headers, body })).json()
  }

  it('prints the model\u2019s own settings', () => {
    const own = JSON.parse(readFileSync(join(FOLDER, 'verge.json'), 'utf8'))
    expect(own).toMatchObject(JSON.parse(settings))
  })

  it('prints what is answered', async () => {
    expect(page.commands).toHaveLength(2)
    const [first = '', second = ''] = page.commands
    expectLike(await ask(first), documentedJson(chat))
    expect(await ask(second)).toEqual(documentedJson(written))
  })
})
