/** Rates and budgets where requests are computed elsewhere or asked for otherwise: origins, bindings, streams. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { WORKER_NAME } from '../../src/cli/local/workerd.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { storeKey } from '../fixtures/node/key-record.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { type OriginProcess, startOriginProcess } from '../fixtures/node/origin-process.ts'
import { publishAs } from '../fixtures/node/placed-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'

const KEY = 'the key that Worker and origin share in this test'
const ASKED = [{ role: 'user' as const, content: 'What is 27 plus 58?' }]
const PLANS = {
  words: { budgets: { day: { tokens: 60 } } },
  few: { budgets: { day: { requests: 2 } } },
  short: { maxTokens: 3 },
}

/** A Worker that calls both bindings with what the test sends. */
const CALLER = `
export default {
  async fetch(request, env) {
    const { binding, args } = await request.json()
    if (binding === 'rpc') return Response.json(await env.VERGE.tryRun(...args))
    try {
      return Response.json({ answer: await env.AI.run(...args) })
    } catch (error) {
      return Response.json({ name: error.name, message: error.message, code: error.code })
    }
  },
}`

let origin: OriginProcess
let worker: LiveWorker
let cache: string
let ask: (binding: 'rpc' | 'ai', ...args: unknown[]) => Promise<Record<string, unknown>>
const keyOf = (plan: keyof typeof PLANS) => storeKey(worker, plan, { plan })

beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), 'verge-budgets-'))
  origin = await startOriginProcess({
    from: join(ROOT, 'models'),
    cache,
    keys: [KEY],
    args: ['--models', 'abacus'],
  })
  const origins = [{ name: 'local', url: origin.url, models: ['abacus'], auth: { type: 'hmac', key: 'ORIGIN_KEY' } }]
  const near = { name: WORKER_NAME }
  worker = await startLiveWorker(
    {
      ORIGINS: JSON.stringify(origins),
      ORIGIN_KEY: KEY,
      PLANS: JSON.stringify(PLANS),
      VERGE_API_KEY: 'a-key-of-the-operator-0123456789',
    },
    [
      {
        name: 'caller',
        script: CALLER,
        compatibilityDate: '2026-10-23',
        serviceBindings: { VERGE: { ...near, entrypoint: 'VergeRpc' }, AI: { ...near, entrypoint: 'WorkersAi' } },
      },
    ],
  )
  const writer = await writerFor(worker)
  const abacus = await packFolder(join(ROOT, 'models/abacus'))
  await publishAs(writer, abacus, 'abacus', { placement: 'origin' })
  for (const name of ['reviews', 'digits'])
    await publishAs(writer, await packFolder(join(ROOT, 'models', name)), name, {})
  const caller = await worker.miniflare.getWorker('caller')
  ask = async (binding, ...args) => {
    const body = JSON.stringify({ binding, args })
    return (await (await caller.fetch('http://caller', { method: 'POST', body })).json()) as Record<string, unknown>
  }
}, 300_000)
afterAll(async () => {
  await worker?.dispose()
  await origin?.stop()
  await rm(cache, { recursive: true, force: true })
})

describe('texts that an origin writes', () => {
  it('count by what the origin says, whole and streamed, until the budget is spent', async () => {
    const client = new OpenAI({ baseURL: `${worker.url}/v1`, apiKey: await keyOf('words') })
    const asked = { model: 'abacus', messages: ASKED, temperature: 0, max_tokens: 12 }
    let used = 0
    let answers = 0
    const failure = await (async () => {
      for (; answers < 20; answers++) {
        if (answers % 2 === 0) used += (await client.chat.completions.create(asked)).usage?.total_tokens ?? 0
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
    expect(failure).toMatchObject({ code: 'insufficient_quota', error: { budget: 'tokens' } })
    expect(answers).toBeGreaterThan(1)
    // What an origin takes is known when it has answered: the last of its texts may go beyond.
    expect(used).toBeGreaterThanOrEqual(60)
    expect(used).toBeLessThan(60 + used / answers + 1)
  })

  it('are as long as the plan allows, and what they took is not told to callers', async () => {
    const answer = await fetch(`${worker.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await keyOf('short')}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'abacus', messages: ASKED, temperature: 0 }),
    })
    expect(answer.headers.get('verge-placement')).toContain('origin')
    expect(answer.headers.get('verge-usage')).toBeNull()
    expect(await answer.json()).toMatchObject({ usage: { completion_tokens: 3 } })
  })
})

describe('calls over bindings', () => {
  it('have a spent budget in their outcome', async () => {
    const token = await keyOf('few')
    const call = () => ask('rpc', 'reviews', 'A fine film.', { token })
    for (let i = 0; i < 2; i++) expect(await call()).toMatchObject({ ok: true })
    expect(await call()).toMatchObject({
      ok: false,
      error: { code: 'budget_spent', status: 429, details: { budget: 'requests', period: 'day' } },
    })
  })

  it("throw Workers AI's error of an account that is limited", async () => {
    const extraHeaders = { authorization: `Bearer ${await keyOf('few')}` }
    const call = () => ask('ai', 'reviews', { text: 'A fine film.' }, { extraHeaders })
    for (let i = 0; i < 2; i++) expect(await call()).toMatchObject({ answer: expect.anything() })
    expect(await call()).toMatchObject({
      name: 'AiError',
      code: 'budget_spent',
      message: expect.stringMatching(/^3036: The budget/),
    })
  })
})
