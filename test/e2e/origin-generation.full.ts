import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Anthropic from '@anthropic-ai/sdk'
import { Ollama } from 'ollama'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { passTo } from '../fixtures/node/faulty-origin.ts'
import { type OriginProcess, startOriginProcess } from '../fixtures/node/origin-process.ts'
import type { StandIn } from '../fixtures/node/origin-stand-in.ts'
import {
  OPERATOR,
  ORIGIN_KEY,
  type PlacedWorker,
  publishAs,
  startPlacedWorker,
  until,
} from '../fixtures/node/placed-worker.ts'
import { smallEncoder } from '../fixtures/node/small-encoder.ts'
import { startVllm } from '../fixtures/node/vllm-stand-in.ts'

/** Models that run nowhere but at an origin, asked for by protocols that the origin is asked in other words for. */
const QUESTION = 'What is 27 plus 58?'
const WORDS = ['one ', 'two ', 'three ', 'four']
const messages = [{ role: 'user' as const, content: QUESTION }]

/** Of vLLM's kind: each behind a front of its own, with the same server or one that fails behind it. */
const SERVERS = ['vllm', 'failing', 'cut', 'slow'] as const

let worker: PlacedWorker
let origin: OriginProcess
let scratch: string
const servers = new Map<string, StandIn>()
let anthropic: Anthropic
let ollama: Ollama
let openai: OpenAI

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'verge-generation-'))
  const token = { auth: { type: 'none' }, kind: 'openai' }
  worker = await startPlacedWorker([
    { name: 'verge', models: ['abacus', 'embedder'] },
    ...SERVERS.map((name) => ({ name, models: { [name]: 'their/model' }, ...token })),
  ])
  const abacus = await packFolder(join(ROOT, 'models/abacus'))
  await publishAs(worker.writer, abacus, 'abacus', { placement: 'origin' })
  await publishAs(worker.writer, await smallEncoder('embedder'), 'embedder', { placement: 'origin' })
  // Their weights, tokenizers and templates lie with the server.
  const { generation: _g, files: _f, ...manifest } = abacus.manifest
  for (const name of SERVERS) {
    await publishAs(worker.writer, { ...abacus, manifest: { ...manifest, artifacts: [] } }, name, {
      placement: 'origin',
    })
  }
  servers.set('vllm', await startVllm({ model: 'their/model', words: WORDS }))
  servers.set('failing', await startVllm({ model: 'their/model', words: WORDS, failAfter: 2 }))
  servers.set('slow', await startVllm({ model: 'their/model', words: new Array(400).fill('x '), pauseMs: 20 }))
  origin = await startOriginProcess({ from: worker.url, cache: join(scratch, 'cache'), keys: [ORIGIN_KEY], args: [] })
  await origin.logged('origin_ready')
  worker.front('verge').behave(passTo(origin.url))
  for (const name of ['vllm', 'failing', 'slow']) worker.front(name).behave(passTo(servers.get(name)?.url ?? ''))
  let pieces = 0
  worker
    .front('cut')
    .behave(passTo(servers.get('slow')?.url ?? '', { piece: (piece) => (pieces++ < 3 ? piece : 'break') }))
  anthropic = new Anthropic({ baseURL: `${worker.url}/anthropic`, apiKey: OPERATOR, maxRetries: 0 })
  openai = new OpenAI({ baseURL: `${worker.url}/v1`, apiKey: OPERATOR, maxRetries: 0 })
  ollama = new Ollama({ host: `${worker.url}/ollama` })
})
afterAll(async () => {
  await worker?.dispose()
  await origin?.stop()
  for (const server of servers.values()) await server.close()
  await rm(scratch, { recursive: true, force: true })
})

/** What the last request to a server of vLLM's kind asked for. */
function lastAsked(name: string): { readonly path: string; readonly body: Record<string, unknown> } {
  const asked = servers.get(name)?.asked.at(-1)
  if (asked === undefined) throw new Error('nothing was asked')
  return { path: asked.path, body: JSON.parse(asked.body.toString('utf8')) as Record<string, unknown> }
}

describe('an origin of our own', () => {
  it('answers as it answers a chat, whole and streamed, by every protocol', async () => {
    const chat = await openai.chat.completions.create({ model: 'abacus', messages, temperature: 0 })
    const text = chat.choices[0]?.message.content ?? ''
    expect(text).toContain('85')
    const request = { model: 'abacus', max_tokens: 100, temperature: 0, messages }
    const usage = { input_tokens: chat.usage?.prompt_tokens, output_tokens: chat.usage?.completion_tokens }
    const { data: message, response } = await anthropic.messages.create(request).withResponse()
    expect(message).toMatchObject({ content: [{ text }], stop_reason: 'end_turn', model: 'abacus', usage })
    expect(response.headers.get('verge-placement')).toMatch(/^origin;origin="verge";artifact="[^"]+";/)
    expect(await anthropic.messages.stream(request).finalMessage()).toMatchObject({ content: [{ text }], usage })
    expect(await anthropic.messages.create({ ...request, stop_sequences: [' is'] })).toMatchObject({
      stop_reason: 'stop_sequence',
      stop_sequence: ' is',
    })
    const answered = await openai.responses.create({ model: 'abacus', input: QUESTION, temperature: 0 })
    expect([answered.output_text, answered.usage]).toMatchObject([text, usage])
    const theirs = await ollama.chat({ model: 'abacus:latest', messages, options: { temperature: 0 } })
    expect(theirs).toMatchObject({
      model: 'abacus:latest',
      message: { content: text },
      prompt_eval_count: usage.input_tokens,
      eval_count: usage.output_tokens,
    })
    let streamed = ''
    const options = { temperature: 0 }
    for await (const part of await ollama.generate({ model: 'abacus', prompt: QUESTION, options, stream: true })) {
      streamed += part.response
    }
    expect(streamed).toBe(text)
  })

  it('says what is wrong with a request in the protocol of the caller', async () => {
    const long = [{ role: 'user' as const, content: 'x '.repeat(400) }]
    const refused = anthropic.messages.create({ model: 'abacus', max_tokens: 10, messages: long })
    await expect(refused).rejects.toMatchObject({
      name: 'BadRequestError',
      type: 'invalid_request_error',
      error: { error: { code: 'context_length_exceeded' } },
    })
    await expect(ollama.chat({ model: 'abacus', messages: long })).rejects.toMatchObject({ status_code: 400 })
  })

  it('embeds for the clients of Ollama', async () => {
    const input = ['the cat sat on the mat', 'a dog ran']
    const theirs = await openai.embeddings.create({ model: 'embedder', input, encoding_format: 'float' })
    const { embeddings, prompt_eval_count: count } = await ollama.embed({ model: 'embedder', input })
    expect([embeddings, count]).toEqual([theirs.data.map(({ embedding }) => embedding), theirs.usage.prompt_tokens])
  })
})

describe("a server of OpenAI's kind", () => {
  it('is asked in its words, under its name for the model', async () => {
    const message = await anthropic.messages.create({
      model: 'vllm',
      max_tokens: 3,
      system: 'Be brief.',
      stop_sequences: ['!'],
      messages,
    })
    expect(message).toMatchObject({
      model: 'vllm',
      content: [{ text: 'one two three ' }],
      stop_reason: 'max_tokens',
      usage: { input_tokens: 5, output_tokens: 3 },
    })
    expect(lastAsked('vllm')).toEqual({
      path: '/v1/chat/completions',
      body: {
        model: 'their/model',
        messages: [{ role: 'system', content: 'Be brief.' }, ...messages],
        temperature: 1,
        top_p: 1,
        max_tokens: 3,
        stop: ['!'],
      },
    })
    const options = { temperature: 0.5, top_k: 7, seed: 3, num_predict: 2, repeat_penalty: 1.2 }
    const raw = await ollama.generate({ model: 'vllm', prompt: 'a b', raw: true, options })
    expect([raw.response, raw.done_reason, raw.prompt_eval_count]).toEqual(['one two ', 'length', 2])
    expect(lastAsked('vllm')).toEqual({
      path: '/v1/completions',
      body: {
        model: 'their/model',
        prompt: 'a b',
        temperature: 0.5,
        top_p: 0.9,
        top_k: 7,
        repetition_penalty: 1.2,
        max_tokens: 2,
        seed: 3,
      },
    })
  })

  it('streams piece by piece', async () => {
    const parts: string[] = []
    for await (const part of await ollama.chat({ model: 'vllm', messages, stream: true })) {
      if (!part.done) parts.push(part.message.content)
      else expect(part).toMatchObject({ done_reason: 'stop', prompt_eval_count: 5, eval_count: 4 })
    }
    expect(parts).toEqual(WORDS)
    const final = await anthropic.messages.stream({ model: 'vllm', max_tokens: 9, messages }).finalMessage()
    expect(final).toMatchObject({
      content: [{ text: WORDS.join('') }],
      stop_reason: 'end_turn',
      usage: { input_tokens: 5, output_tokens: 4 },
    })
    const response = await openai.responses.stream({ model: 'vllm', input: QUESTION }).finalResponse()
    expect([response.output_text, response.usage?.total_tokens]).toEqual([WORDS.join(''), 9])
  })

  it.each(['failing', 'cut'])(
    'that fails after a few words (%s) ends each stream as an error of its client',
    async (model) => {
      let said = ''
      const reading = async () => {
        const request = { model, max_tokens: 400, messages, stream: true } as const
        for await (const event of await anthropic.messages.create(request)) {
          if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') said += event.delta.text
        }
      }
      await expect(reading()).rejects.toBeInstanceOf(Anthropic.APIError)
      expect(said).not.toBe('')
      if (model === 'cut') return
      const lines = async () => {
        for await (const _ of await ollama.chat({ model, messages, stream: true }));
      }
      await expect(lines()).rejects.toThrow('EngineCore encountered an issue.')
      const events = async () => {
        for await (const _ of await openai.responses.create({ model, input: QUESTION, stream: true }));
      }
      await expect(events()).rejects.toBeInstanceOf(OpenAI.APIError)
    },
  )

  it('is left when the caller leaves', async () => {
    const front = worker.front('slow')
    const stream = await anthropic.messages.create({ model: 'slow', max_tokens: 400, messages, stream: true })
    let events = 0
    for await (const _ of stream) if (++events > 6) break
    await until(() => front.open === 0, 'an end of what is in work')
    await servers.get('slow')?.abandoned
  })

  it('has no tokens counted here that only it can count', async () => {
    await expect(anthropic.messages.countTokens({ model: 'vllm', messages })).rejects.toMatchObject({ status: 400 })
  })
})
