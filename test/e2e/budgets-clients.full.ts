/** Rates and budgets by official clients, each as its users write it: a rate is repeated and answered, a budget is not. */
import Anthropic from '@anthropic-ai/sdk'
import { InferenceClient } from '@huggingface/inference'
import { CohereClientV2, CohereError } from 'cohere-ai'
import { Ollama } from 'ollama'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { modelFolders } from '../../src/cli/files/project.ts'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack, packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { createClient } from '../../src/client/index.ts'
import { models } from '../compatibility/models/texts.ts'
import { storeKey } from '../fixtures/node/key-record.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'

const ASKED = [{ role: 'user' as const, content: 'What is 27 plus 58?' }]

const PLANS = {
  slow: { rate: '2/4s' },
  few: { budgets: { day: { requests: 1 } } },
  words: { budgets: { month: { tokens: 60 } } },
  work: { budgets: { day: { units: 1 } } },
  short: { maxTokens: 3, batch: 2, bodyBytes: 2_000 },
}

let worker: LiveWorker

beforeAll(async () => {
  worker = await startLiveWorker({
    PLANS: JSON.stringify(PLANS),
    VERGE_API_KEY: 'a-key-of-the-operator-0123456789',
  })
  const writer = await writerFor(worker)
  for (const folder of await modelFolders()) await publish(writer, await packFolder(folder))
  const { files, settings } = await models.retriever()
  if (typeof files === 'string') throw new Error('the retriever lies in a folder')
  const description = descriptionSchema.parse({
    version: '1',
    visibility: 'public',
    licence: 'Apache-2.0',
    artifacts: [{ file: 'model.onnx', dtype: 'fp32', places: ['edge'] }],
    ...settings,
    name: 'retriever',
  })
  await publish(writer, await pack(description, '', files))
}, 300_000)
afterAll(() => worker?.dispose())

const keyOf = (plan: keyof typeof PLANS) => storeKey(worker, `on plan ${plan}`, { plan })

/** How often this key's plan has refused a request. */
function refusals(code: string): number {
  return worker.logs.filter((line) => line.includes('"request_refused"') && line.includes(`"code":"${code}"`)).length
}

/** Calls as official clients make them, and what they throw where nothing is left. */
const CALLS: Readonly<
  Record<string, (key: string) => { readonly call: () => Promise<unknown>; readonly spent: (error: unknown) => void }>
> = {
  openai: (apiKey) => {
    const client = new OpenAI({ baseURL: `${worker.url}/v1`, apiKey })
    return {
      call: () => client.chat.completions.create({ model: 'abacus', messages: ASKED, temperature: 0 }),
      spent: (error) => {
        expect(error).toBeInstanceOf(OpenAI.RateLimitError)
        expect(error).toMatchObject({ status: 429, code: 'insufficient_quota', type: 'insufficient_quota' })
      },
    }
  },
  '@anthropic-ai/sdk': (apiKey) => {
    const client = new Anthropic({ baseURL: `${worker.url}/anthropic`, apiKey })
    return {
      call: () => client.messages.create({ model: 'abacus', messages: ASKED, max_tokens: 32 }),
      spent: (error) => {
        expect(error).toBeInstanceOf(Anthropic.APIError)
        expect(error).toMatchObject({ status: 402, error: { error: { type: 'billing_error' } } })
      },
    }
  },
  'cohere-ai': (token) => {
    const client = new CohereClientV2({ environment: `${worker.url}/cohere`, token })
    const request = {
      model: 'retriever',
      texts: ['No.'],
      inputType: 'search_query',
      embeddingTypes: ['float'],
    } as const
    return {
      call: () => client.embed({ ...request, texts: [...request.texts], embeddingTypes: [...request.embeddingTypes] }),
      spent: (error) => {
        expect(error).toBeInstanceOf(CohereError)
        expect(error).toMatchObject({ statusCode: 402 })
      },
    }
  },
}

describe.each(Object.entries(CALLS))('%s', (_, clientOf) => {
  it('waits as long as Retry-After says where its rate is used up, and is answered', async () => {
    const { call } = clientOf(await keyOf('slow'))
    const before = refusals('rate_limited')
    // A window may end between two calls; it cannot have room for all of these.
    for (let i = 0; i < 4; i++) await call()
    expect(refusals('rate_limited')).toBeGreaterThan(before)
  })

  it('asks once where its budget is spent', async () => {
    const { call, spent } = clientOf(await keyOf('few'))
    await call()
    const before = refusals('budget_spent')
    const failure = await call().then(
      () => expect.fail('the budget was spent'),
      (error: unknown) => error,
    )
    spent(failure)
    expect(refusals('budget_spent')).toBe(before + 1)
  })
})

it('ollama and @huggingface/inference hear of both, and repeat neither', async () => {
  const told = async (call: (key: string) => Promise<unknown>, plan: keyof typeof PLANS) => {
    const key = await keyOf(plan)
    const code = plan === 'slow' ? 'rate_limited' : 'budget_spent'
    const before = refusals(code)
    for (let i = 0; i < 12; i++) {
      try {
        await call(key)
      } catch (error) {
        return [refusals(code) - before, error] as const
      }
    }
    return expect.fail('nothing was refused')
  }
  const ollama = (key: string) => {
    const client = new Ollama({ host: `${worker.url}/ollama`, headers: { authorization: `Bearer ${key}` } })
    return client.chat({ model: 'abacus', messages: ASKED })
  }
  expect(await told(ollama, 'slow')).toEqual([1, expect.objectContaining({ status_code: 429 })])
  expect(await told(ollama, 'few')).toEqual([1, expect.objectContaining({ status_code: 429 })])
  const huggingFace = (key: string) =>
    new InferenceClient(key).textClassification({ endpointUrl: `${worker.url}/models/reviews`, inputs: 'A fine film.' })
  expect(await told(huggingFace, 'slow')).toEqual([1, expect.objectContaining({ httpResponse: expect.anything() })])
  const [times, error] = await told(huggingFace, 'few')
  expect(times).toBe(1)
  expect(error).toMatchObject({ httpResponse: { status: 402 } })
})

it("Verge's own client repeats a rate, and no budget", async () => {
  const slow = createClient({ url: worker.url, key: await keyOf('slow'), retries: 3 })
  const before = refusals('rate_limited')
  for (let i = 0; i < 4; i++) await slow.chat('abacus', ASKED).answer()
  expect(refusals('rate_limited')).toBeGreaterThan(before)
  const few = createClient({ url: worker.url, key: await keyOf('few'), retries: 3 })
  await few.chat('abacus', ASKED).answer()
  const spent = refusals('budget_spent')
  await expect(few.chat('abacus', ASKED).answer()).rejects.toMatchObject({ code: 'budget_spent', status: 429 })
  expect(refusals('budget_spent')).toBe(spent + 1)
})

describe('a budget of tokens', () => {
  it('is spent by what is read and written, streams included, and never by more than one text', async () => {
    const client = new OpenAI({ baseURL: `${worker.url}/v1`, apiKey: await keyOf('words') })
    let used = 0
    const asked = { model: 'abacus', messages: ASKED, temperature: 0, max_tokens: 12 }
    const failure = await (async () => {
      for (let i = 0; i < 20; i++) {
        if (i % 2 === 0) used += (await client.chat.completions.create(asked)).usage?.total_tokens ?? 0
        else {
          const stream = await client.chat.completions.create({
            ...asked,
            stream: true,
            stream_options: { include_usage: true },
          })
          for await (const { usage } of stream) used += usage?.total_tokens ?? 0
        }
      }
    })().catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'insufficient_quota', error: { budget: 'tokens', period: 'month' } })
    expect(used).toBeGreaterThan(0)
    // Answers are reserved before they are written.
    expect(used).toBeLessThanOrEqual(60)
  })
})

describe('headers', () => {
  const ask = async (plan: keyof typeof PLANS, body: object, path = '/v1/chat/completions') =>
    fetch(worker.url + path, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${await keyOf(plan)}`,
        'content-type': 'application/json',
        origin: 'https://shop.example',
      },
      body: JSON.stringify(body),
    })
  const CHAT = { model: 'abacus', messages: ASKED }

  it('say what is left, to pages too', async () => {
    const answer = await ask('slow', CHAT)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('ratelimit-policy')).toContain('q=2;w=4')
    expect(answer.headers.get('ratelimit')).toMatch(/r=[01];t=\d/)
    const exposed = answer.headers.get('access-control-expose-headers')?.split(',') ?? []
    expect(exposed).toEqual(expect.arrayContaining(['ratelimit', 'ratelimit-policy', 'retry-after', 'verge-budget']))
  })

  it('say that units are missing before anything is run', async () => {
    const answer = await ask('work', CHAT)
    expect(answer.status).toBe(429)
    expect(answer.headers.get('x-should-retry')).toBe('false')
    expect(await answer.json()).toMatchObject({ error: { reason: 'budget_spent', budget: 'units', period: 'day' } })
  })

  it('say what one request may be', async () => {
    const short = await ask('short', CHAT)
    expect(await short.json()).toMatchObject({ usage: { completion_tokens: 3 } })
    expect((await ask('short', { ...CHAT, max_tokens: 4 })).status).toBe(400)
    const many = await ask('short', { model: 'retriever', input: ['a', 'b', 'c'] }, '/v1/embeddings')
    expect([many.status, await many.json()]).toMatchObject([413, { error: { limit: 'plan', limit_inputs: 2 } }])
    const long = await ask('short', { ...CHAT, messages: [{ role: 'user', content: 'a'.repeat(3_000) }] })
    expect([long.status, await long.json()]).toMatchObject([413, { error: { code: 'body_too_large' } }])
  })
})
