import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encoderModel } from '../../bench/models/encoder.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { nth, readPage } from '../fixtures/node/docs.ts'
import { type DocsWorker, startDocsWorker } from '../fixtures/node/docs-worker.ts'

const KEY = 'a-key-behind-a-gateway-0123456789'
const SLUG = 'verge'
const page = readPage('../ai-gateway')

let docs: DocsWorker
let gateway: Server
let url: string
/** What the gateway was asked, and asked for. */
const seen: { readonly asked: string; readonly upstream: string; readonly headers: IncomingMessage['headers'] }[] = []

/** `{base_url}/{provider-path}`, from `/v1/{account_id}/{gateway_id}/custom-{slug}/{provider-path}`, query included. */
async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const asked = request.url ?? ''
  const path = new RegExp(`^/v1/[^/]+/[^/]+/custom-${SLUG}/(.*)$`).exec(asked)?.[1]
  if (path === undefined) return void response.writeHead(404).end()
  const upstream = `${docs.worker.url}/${path}`
  seen.push({ asked, upstream, headers: request.headers })
  const headers = new Headers()
  for (const [name, value] of Object.entries(request.headers)) {
    if (typeof value === 'string' && !['host', 'connection', 'content-length'].includes(name)) headers.set(name, value)
  }
  // What Cloudflare's network says of every request.
  headers.set('cf-connecting-ip', '203.0.113.7')
  headers.set('cf-ray', '8a1b2c3d4e5f6071-FRA')
  headers.set('cf-aig-event-id', 'event')
  const body = request.method === 'GET' ? null : Buffer.concat((await request.toArray()) as Buffer[])
  const answer = await fetch(upstream, { method: request.method ?? 'GET', headers, body })
  response.writeHead(answer.status, {
    'content-type': answer.headers.get('content-type') ?? '',
    'cf-aig-log-id': 'log',
  })
  for await (const part of answer.body ?? []) response.write(part)
  response.end()
}

beforeAll(async () => {
  docs = await startDocsWorker({ VERGE_API_KEY: KEY })
  const settings = (name: string) => readFileSync(join(ROOT, 'models', name, 'verge.json'), 'utf8')
  for (const name of ['abacus', 'reviews']) await docs.publish(settings(name), join(ROOT, 'models', name))
  await docs.publish(settings('reviews'), join(ROOT, 'models/reviews'), { name: 'secret', visibility: 'private' })
  const shape = { layers: 1, hidden: 32, heads: 4, ffn: 64, vocabulary: 6_946, positions: 256 }
  const minilm = {
    name: 'minilm',
    task: 'feature-extraction',
    tokenizer: 'tokenizer.json',
    preprocess: { text: { maxTokens: 64 } },
  }
  await docs.publish(minilm, encoderModel(shape, 'fp32'))
  gateway = createServer((request, response) => {
    pass(request, response).catch((error: unknown) => response.writeHead(599).end(String(error)))
  }).listen(0, '127.0.0.1')
  await once(gateway, 'listening')
  url = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}/v1/account/gateway`
})
afterAll(async () => {
  gateway?.close()
  await docs?.dispose()
})

const ask = async (command: string): Promise<unknown> =>
  JSON.parse(await docs.shell(command.replaceAll('$GATEWAY', url).replaceAll('$CF_AIG_TOKEN', 'token')))

describe('Verge behind AI Gateway', () => {
  it('answers the requests of the page as it answers without a gateway', async () => {
    const { commands } = page
    expect(commands).toHaveLength(3)
    const [embeddings, chat, run] = commands
    const direct = async (path: string, body: object) => docs.post(path, JSON.stringify(body))
    expect(await ask(nth([embeddings ?? ''], 0))).toEqual(
      await direct('/v1/embeddings', { model: 'minilm', input: 'Refunds take a week.' }),
    )
    expect(seen.at(-1)).toMatchObject({
      asked: '/v1/account/gateway/custom-verge/v1/embeddings',
      upstream: `${docs.worker.url}/v1/embeddings`,
    })
    expect(await ask(chat ?? '')).toMatchObject({ choices: [{ message: { content: expect.stringContaining('85') } }] })
    expect(seen.at(-1)?.headers).toMatchObject({ 'cf-aig-authorization': 'Bearer token', 'cf-aig-cache-ttl': '60' })
    expect(await ask(run ?? '')).toEqual(await direct('/run/reviews', { inputs: 'A waste of an evening.' }))
  })

  it('registers what its page says: an address without a path, and a slug of letters', () => {
    const [register = ''] = page.blocks('bash')
    const {
      base_url: base,
      enable,
      slug,
    } = JSON.parse(/-d '(.*)'/.exec(register)?.[1] ?? '{}') as Record<string, unknown>
    expect(slug).toBe(SLUG)
    expect(enable).toBe(true)
    expect(new URL(String(base))).toMatchObject({ protocol: 'https:', pathname: '/' })
    expect(String(base).endsWith('/')).toBe(false)
  })

  it("answers OpenAI's client, streams and failures included", async () => {
    const script = nth(page.blocks('js'), 0)
    expect(script).toContain('/custom-verge/v1`')
    const options = {
      baseURL: `${url}/custom-verge/v1`,
      maxRetries: 0,
      defaultHeaders: { 'cf-aig-authorization': 'Bearer token' },
    }
    const openai = new OpenAI({ ...options, apiKey: 'none' })
    const stream = await openai.chat.completions.create({
      model: 'abacus',
      messages: [{ role: 'user', content: 'What is 27 plus 58?' }],
      temperature: 0,
      stream: true,
    })
    let text = ''
    for await (const part of stream) text += part.choices[0]?.delta.content ?? ''
    expect(text).toContain('85')
    const absent = await openai.embeddings.create({ model: 'secret', input: 'x' }).catch((error: unknown) => error)
    expect(absent).toMatchObject({ status: 401, code: 'unauthorized' })
    const operator = new OpenAI({ ...options, apiKey: KEY })
    const found = await operator.embeddings.create({ model: 'secret', input: 'x' }).catch((error: unknown) => error)
    expect(found).toMatchObject({ status: 400, code: 'task_mismatch' })
  })

  it('has nothing at an address with /v1 twice', async () => {
    const response = await fetch(`${url}/custom-verge/v1/v1/models`)
    expect(response.status).toBe(404)
    expect((await fetch(`${url}/custom-verge/v1/models`)).status).toBe(200)
  })
})
