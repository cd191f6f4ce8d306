/** Usage of several keys over several protocols by their official clients: the ledger, R2 and the command line say what was sent. */
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Anthropic from '@anthropic-ai/sdk'
import { AutoTokenizer, env } from '@huggingface/transformers'
import { CohereClientV2 } from 'cohere-ai'
import { Ollama } from 'ollama'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { openTarget } from '../../src/cli/target/open.ts'
import type { UsageReport } from '../../src/protocols/usage.ts'
import { type IssuedKey, issueKey, storeKey } from '../fixtures/keys.ts'
import { type StartProcess, startProcess } from '../fixtures/node/start-process.ts'
import { ranker, retriever } from '../fixtures/node/text-protocols.ts'
import { verge } from '../fixtures/node/verge.ts'

const OPERATOR = 'a-key-of-the-operator-0123456789'
const QUERY_PROMPT = 'a question about '
const PASSAGE_PROMPT = 'the text '
/** A ledger writes a snapshot a minute. */
const SNAPSHOT_MS = 150_000

type Tokenizer = Awaited<ReturnType<typeof AutoTokenizer.from_pretrained>>

let folder: string
let server: StartProcess
let one: IssuedKey
let two: IssuedKey
const tokenizers = new Map<string, Tokenizer>()

/** A folder as `npm start` serves it, and the same tokenizer as transformers.js reads it. */
async function modelFolder(
  name: string,
  { files, settings }: { readonly files: ReadonlyMap<string, Uint8Array>; readonly settings: object },
): Promise<void> {
  const at = join(folder, 'models', name)
  await mkdir(at, { recursive: true })
  for (const [file, bytes] of files) await writeFile(join(at, file), bytes)
  const artifacts = [{ file: 'model.onnx', dtype: 'fp32', places: ['edge'] }]
  const description = { name, version: '1', visibility: 'private', licence: 'MIT', artifacts, ...settings }
  await writeFile(join(at, 'verge.json'), JSON.stringify(description))
}

/** A model whose results are kept, however little they cost. */
async function keptAnswers() {
  const { files, settings } = await retriever()
  return { files, settings: { ...settings, cache: { ttlSeconds: 600 } } }
}

async function readTokenizer(name: string, config: object): Promise<void> {
  const at = join(folder, 'tokenizers', name)
  await mkdir(at, { recursive: true })
  await cp(join(folder, 'models', name, 'tokenizer.json'), join(at, 'tokenizer.json'))
  await writeFile(join(at, 'tokenizer_config.json'), JSON.stringify(config))
  tokenizers.set(name, await AutoTokenizer.from_pretrained(name))
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-usage-'))
  env.allowRemoteModels = false
  env.localModelPath = join(folder, 'tokenizers')
  await modelFolder('retriever', await retriever())
  await modelFolder('ranker', await ranker())
  await modelFolder('kept', await keptAnswers())
  await cp(join(ROOT, 'models/abacus'), join(folder, 'models/abacus'), { recursive: true })
  for (const name of ['retriever', 'ranker', 'kept']) await readTokenizer(name, { tokenizer_class: 'BertTokenizer' })
  await readTokenizer('abacus', { tokenizer_class: 'GPT2Tokenizer' })
  const persistTo = join(folder, 'state')
  server = await startProcess({
    models: join(folder, 'models'),
    persistTo,
    origin: 'http://127.0.0.1:9',
    vars: { VERGE_API_KEY: OPERATOR },
  })
  const target = await openTarget({ local: persistTo })
  one = await issueKey({ models: ['*'], actions: ['infer', 'mint'] })
  two = await issueKey()
  for (const { record } of [one, two]) await storeKey(record, target.truth)
  await target.dispose()
}, 300_000)
afterAll(async () => {
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** Tokens of texts by transformers.js, special ones included. */
function tokensOf(model: string, texts: readonly string[], special = true): number {
  const tokenizer = tokenizers.get(model)
  if (tokenizer === undefined) throw new Error(`${model} has no tokenizer`)
  return texts.reduce((sum, text) => sum + tokenizer.encode(text, { add_special_tokens: special }).length, 0)
}

function pairTokens(query: string, texts: readonly string[]): number {
  const tokenizer = tokenizers.get('ranker')
  return texts.reduce((sum, text) => sum + (tokenizer?.encode(query, { text_pair: text }).length ?? 0), 0)
}

interface Sent {
  readonly requests: number
  readonly errors: number
  readonly cached: number
  readonly byToken: number
  readonly input: number
  readonly output: number
}

const NOTHING: Sent = { requests: 0, errors: 0, cached: 0, byToken: 0, input: 0, output: 0 }

/** What was sent by a key, model by model. */
class Tally {
  readonly models = new Map<string, Sent>()

  add(model: string, input: number, output = 0, more: Partial<Sent> = {}): void {
    const sum = this.models.get(model) ?? NOTHING
    const { byToken = 0, cached = 0, errors = 0 } = more
    this.models.set(model, {
      requests: sum.requests + 1,
      errors: sum.errors + errors,
      cached: sum.cached + cached,
      byToken: sum.byToken + byToken,
      input: sum.input + input,
      output: sum.output + output,
    })
  }
}

const tallies = { one: new Tally(), two: new Tally() }
const TEXTS = ['A quiet film that stays with you.', 'No.', 'The cast is wonderful, and nothing happens until the end!']
const DOCUMENTS = ['the first program', 'music', 'a program about music and more music']
const chatPrompt = (content: string) => `<|im_start|>user\n${content}<|im_end|>\n<|im_start|>assistant\n`
const ask = (content: string) => [{ role: 'user' as const, content }]

async function post(path: string, body: unknown, key: string): Promise<Response> {
  return fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
}

async function posted<T>(path: string, body: unknown, key: string): Promise<T> {
  const response = await post(path, body, key)
  expect(response.status, await response.clone().text()).toBe(200)
  return (await response.json()) as T
}

describe("a protocol's counts are those of transformers.js", () => {
  const openai = () => new OpenAI({ baseURL: `${server.url}/v1`, apiKey: one.text, maxRetries: 0 })

  it("in OpenAI's embeddings", async () => {
    const tokens = tokensOf('retriever', TEXTS)
    const { usage } = await openai().embeddings.create({ model: 'retriever', input: TEXTS })
    expect(usage).toEqual({ prompt_tokens: tokens, total_tokens: tokens })
    tallies.one.add('retriever@1', tokens)
  })

  it("in OpenAI's chats, whole and streamed, and continued texts", async () => {
    const content = 'What is 27 plus 58?'
    const prompt = tokensOf('abacus', [chatPrompt(content)], false)
    const request = { model: 'abacus', messages: ask(content), temperature: 0 }
    const whole = await openai().chat.completions.create(request)
    const written = tokensOf('abacus', [whole.choices[0]?.message.content ?? ''], false)
    const usage = { prompt_tokens: prompt, completion_tokens: written, total_tokens: prompt + written }
    expect(whole.usage).toEqual(usage)
    tallies.one.add('abacus@1', prompt, written)
    const stream = await openai().chat.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    })
    const usages: unknown[] = []
    for await (const chunk of stream) usages.push(chunk.usage)
    expect(usages.pop()).toEqual(usage)
    expect(new Set(usages)).toEqual(new Set([null]))
    tallies.one.add('abacus@1', prompt, written)
    // Without counts in the stream, the ledger has them all the same.
    for await (const chunk of await openai().chat.completions.create({ ...request, stream: true }))
      expect(chunk.usage).toBeUndefined()
    tallies.one.add('abacus@1', prompt, written)
    const short = await openai().completions.create({
      model: 'abacus',
      prompt: '27 plus 58 is',
      max_tokens: 2,
      temperature: 0,
    })
    const shortPrompt = tokensOf('abacus', ['27 plus 58 is'], false)
    expect(short.usage).toEqual({ prompt_tokens: shortPrompt, completion_tokens: 2, total_tokens: shortPrompt + 2 })
    tallies.one.add('abacus@1', shortPrompt, 2)
    const response = await openai().responses.create({ model: 'abacus', input: content, temperature: 0 })
    expect(response.usage).toEqual({
      input_tokens: prompt,
      input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
      output_tokens: written,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: prompt + written,
    })
    tallies.one.add('abacus@1', prompt, written)
  })

  it("in Anthropic's messages, whole and streamed", async () => {
    const anthropic = new Anthropic({ baseURL: server.url, apiKey: two.text, maxRetries: 0 })
    const content = 'What is 9 plus 4?'
    const prompt = tokensOf('abacus', [chatPrompt(content)], false)
    const request = { model: 'abacus', max_tokens: 64, messages: ask(content), temperature: 0 }
    const message = await anthropic.messages.create(request)
    const [block] = message.content
    const written = tokensOf('abacus', [block?.type === 'text' ? block.text : ''], false)
    expect(message.usage).toMatchObject({ input_tokens: prompt, output_tokens: written })
    tallies.two.add('abacus@1', prompt, written)
    const streamed = await anthropic.messages.stream(request).finalMessage()
    expect(streamed.usage).toMatchObject({ input_tokens: prompt, output_tokens: written })
    tallies.two.add('abacus@1', prompt, written)
    expect(await anthropic.messages.countTokens({ model: 'abacus', messages: ask(content) })).toEqual({
      input_tokens: prompt,
    })
    tallies.two.add('abacus@1', 0)
  })

  it("in Ollama's chats and embeddings", async () => {
    const ollama = new Ollama({ host: server.url, headers: { authorization: `Bearer ${two.text}` } })
    const content = 'What is 63 plus 30?'
    const prompt = tokensOf('abacus', [chatPrompt(content)], false)
    const chat = await ollama.chat({ model: 'abacus', messages: ask(content), options: { temperature: 0 } })
    const written = tokensOf('abacus', [chat.message.content], false)
    expect([chat.prompt_eval_count, chat.eval_count]).toEqual([prompt, written])
    tallies.two.add('abacus@1', prompt, written)
    const tokens = tokensOf('retriever', TEXTS)
    const { prompt_eval_count } = await ollama.embed({ model: 'retriever', input: TEXTS })
    expect(prompt_eval_count).toBe(tokens)
    tallies.two.add('retriever@1', tokens)
  })

  it("in Cohere's billed units", async () => {
    const cohere = new CohereClientV2({ environment: server.url, token: two.text })
    const embedded = await cohere.embed({
      model: 'retriever',
      texts: TEXTS,
      inputType: 'search_query',
      embeddingTypes: ['float'],
    })
    const tokens = tokensOf(
      'retriever',
      TEXTS.map((text) => QUERY_PROMPT + text),
    )
    expect(embedded.meta?.billedUnits).toEqual({ inputTokens: tokens })
    tallies.two.add('retriever@1', tokens)
    const ranked = await cohere.rerank({ model: 'ranker', query: 'program', documents: DOCUMENTS })
    expect(ranked.meta?.billedUnits).toEqual({ searchUnits: 1 })
    tallies.two.add('ranker@1', pairTokens('program', DOCUMENTS))
  })

  it("in Jina's, vLLM's and TEI's answers, and in Verge's own", async () => {
    interface Counted {
      readonly usage: Readonly<Record<string, number | null>>
    }
    const pairs = pairTokens('program', DOCUMENTS)
    const ranking = { model: 'ranker', query: 'program', documents: DOCUMENTS }
    const jina = await posted<Counted>('/jina/v1/rerank', ranking, one.text)
    expect(jina.usage).toEqual({ total_tokens: pairs })
    const vllm = await posted<Counted>('/vllm/rerank', ranking, one.text)
    expect(vllm.usage).toEqual({ prompt_tokens: pairs, total_tokens: pairs })
    const own = await posted<Counted>('/rerank', ranking, one.text)
    expect(own.usage).toEqual({ total_tokens: pairs })
    const score = { model: 'ranker', text_1: 'program', text_2: DOCUMENTS }
    const scored = await posted<Counted>('/vllm/score', score, one.text)
    expect(scored.usage).toMatchObject({ prompt_tokens: pairs, total_tokens: pairs, completion_tokens: 0 })
    for (let i = 0; i < 4; i++) tallies.one.add('ranker@1', pairs)
    const passages = tokensOf(
      'retriever',
      TEXTS.map((text) => PASSAGE_PROMPT + text),
    )
    const task = { model: 'retriever', input: TEXTS, task: 'retrieval.passage' }
    const embedded = await posted<Counted>('/jina/v1/embeddings', task, one.text)
    expect(embedded.usage).toEqual({ total_tokens: passages, prompt_tokens: passages })
    tallies.one.add('retriever@1', passages)
    const tokens = tokensOf('retriever', TEXTS)
    const tei = await posted<Counted>('/tei/retriever/v1/embeddings', { input: TEXTS }, one.text)
    expect(tei.usage).toEqual({ prompt_tokens: tokens, total_tokens: tokens })
    tallies.one.add('retriever@1', tokens)
    await posted('/tei/retriever/embed', { inputs: TEXTS }, one.text)
    tallies.one.add('retriever@1', tokens)
  })

  it('in an answer from the result cache, too', async () => {
    const tokens = tokensOf('kept', TEXTS)
    const usage = { prompt_tokens: tokens, total_tokens: tokens }
    for (const cached of [0, 1]) {
      const { data, response } = await openai().embeddings.create({ model: 'kept', input: TEXTS }).withResponse()
      expect([response.headers.get('verge-cache'), data.usage]).toEqual([cached === 1 ? 'hit' : 'miss', usage])
      tallies.one.add('kept@1', tokens, 0, { cached })
    }
  })

  it("and a browser token's requests are those of its key, whose usage it cannot read", async () => {
    const origin = 'https://app.example.com'
    const minted = await posted<{ token: string }>('/v1/tokens', { origins: [origin], models: ['retriever'] }, one.text)
    const headers = { authorization: `Bearer ${minted.token}`, origin, 'content-type': 'application/json' }
    const body = JSON.stringify({ model: 'retriever', input: 'No.' })
    const answer = await fetch(`${server.url}/v1/embeddings`, { method: 'POST', headers, body })
    expect(answer.status, await answer.text()).toBe(200)
    tallies.one.add('retriever@1', tokensOf('retriever', ['No.']), 0, { byToken: 1 })
    expect((await fetch(`${server.url}/v1/usage`, { headers })).status).toBe(403)
  })

  it('and failures are counted as what they are', async () => {
    expect((await post('/v1/embeddings', { model: 'retriever', input: [] }, one.text)).status).toBe(400)
    tallies.one.add('retriever@1', 0, 0, { errors: 1 })
    expect((await post('/v1/embeddings', { model: 'missing', input: 'a' }, one.text)).status).toBe(404)
    tallies.one.add('', 0, 0, { errors: 1 })
  })
})

const plain = (tally: Tally) => Object.fromEntries(tally.models)

async function report(key: string, query = ''): Promise<UsageReport> {
  const response = await fetch(`${server.url}/v1/usage?group=model${query}`, {
    headers: { authorization: `Bearer ${key}` },
  })
  expect(response.status, await response.clone().text()).toBe(200)
  return (await response.json()) as UsageReport
}

function reported({ data }: UsageReport) {
  return Object.fromEntries(
    data.map(({ by_token: byToken, cached, errors, input_tokens: input, model, output_tokens: output, requests }) => [
      model ?? '',
      { requests, errors, cached, byToken, input, output },
    ]),
  )
}

describe('what was sent', () => {
  it('is what the ledger says to each key, and to the operator', async () => {
    for (const [name, key] of [
      ['one', one],
      ['two', two],
    ] as const) {
      const sent = plain(tallies[name])
      await expect.poll(async () => reported(await report(key.text))).toEqual(sent)
      expect(reported(await report(OPERATOR, `&principal=key:${key.record.id}`))).toEqual(sent)
    }
    const { total } = await report(one.text)
    expect(total.usd).toBeGreaterThan(0)
    expect(total.cpu_ms).toBeGreaterThan(total.units * 0.075)
  })

  it(
    'is what the command line reads from R2',
    async () => {
      const usage = async (...args: string[]) => {
        const { code, stderr, stdout } = await verge(['usage', ...args, '--json', '--persist-to', 'state'], {
          cwd: folder,
        })
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
        return JSON.parse(stdout) as {
          readonly data: readonly Record<string, unknown>[]
          readonly total: Record<string, number>
        }
      }
      for (const [name, key] of [
        ['one', one],
        ['two', two],
      ] as const) {
        const read = async () =>
          Object.fromEntries(
            (await usage('--key', key.record.id)).data.map(
              ({ byToken, cached, errors, inputTokens: input, model, outputTokens: output, requests }) => [
                model ?? '',
                { requests, errors, cached, byToken, input, output },
              ],
            ),
          )
        await expect.poll(read, { timeout: SNAPSHOT_MS, interval: 5_000 }).toEqual(plain(tallies[name]))
      }
      const { total } = await report(one.text)
      const read = await usage('--key', one.record.id, '--group', 'day')
      expect(read.total).toMatchObject({
        requests: total.requests,
        inputTokens: total.input_tokens,
        units: total.units,
        usd: total.usd,
      })
      const all = await usage()
      const keys = all.data.map(({ key }) => key)
      expect(keys).toEqual(expect.arrayContaining([`key:${one.record.id}`, `key:${two.record.id}`]))
      const list = await fetch(`${server.url}/v1/usage/principals`, {
        headers: { authorization: `Bearer ${OPERATOR}` },
      })
      const { data } = (await list.json()) as { readonly data: readonly { readonly principal: string }[] }
      expect(data.map(({ principal }) => principal)).toEqual(expect.arrayContaining(keys))
    },
    2 * SNAPSHOT_MS + 60_000,
  )
})
