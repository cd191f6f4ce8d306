import Anthropic from '@anthropic-ai/sdk'
import { CohereClientV2 } from 'cohere-ai'
import { describe, expect, it } from 'vitest'
import { API_KEY, testApp, testModel } from '../../fixtures/http.ts'

const secret = testModel('secret', 'private', {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1] }],
})

describe("a key in Anthropic's header", () => {
  const { request } = testApp({ models: [secret] })
  const statusOf = async (path: string, headers: Record<string, string>) => (await request(path, { headers })).status

  it('is the operator’s at addresses of that protocol', async () => {
    expect(await statusOf('/anthropic/v1/models/secret', { 'x-api-key': API_KEY })).toBe(200)
    expect(await statusOf('/anthropic/v1/models/secret', {})).toBe(404)
    expect(await statusOf('/anthropic/v1/models/secret', { 'x-api-key': 'another' })).toBe(401)
  })

  it('is none elsewhere', async () => {
    expect(await statusOf('/v1/models/secret', { 'x-api-key': API_KEY })).toBe(404)
    expect(await statusOf('/v2/models/secret', { 'x-api-key': API_KEY })).toBe(404)
  })

  it('gives way to a bearer key', async () => {
    const bearer = { authorization: 'Bearer another', 'x-api-key': API_KEY }
    expect(await statusOf('/anthropic/v1/models/secret', bearer)).toBe(401)
    const right = { authorization: `Bearer ${API_KEY}`, 'x-api-key': 'another' }
    expect(await statusOf('/anthropic/v1/models/secret', right)).toBe(200)
  })
})

describe('headers that clients send from pages', () => {
  /** Which of them a preflight does not let through. */
  async function missing(call: (fetch: typeof globalThis.fetch) => Promise<unknown>): Promise<string[]> {
    const sent = new Set<string>()
    await call(async (input, init) => {
      for (const name of new Request(input, init).headers.keys()) sent.add(name)
      return Response.json({ data: [], models: [], content: [], embeddings: {} })
    }).catch(() => {})
    expect(sent.size).toBeGreaterThan(3)
    const { request } = testApp({ corsOrigins: ['*'] })
    // A browser asks for every header of a request that is not on the CORS safelist.
    const asked = [...sent].filter((name) => !['accept', 'content-length'].includes(name))
    const answer = await request('/v1/messages', {
      method: 'OPTIONS',
      headers: {
        origin: 'https://a.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': asked.join(','),
      },
    })
    const allowed = answer.headers.get('access-control-allow-headers')?.split(',') ?? []
    return asked.filter((name) => !allowed.includes(name))
  }

  it("@anthropic-ai/sdk's are allowed", async () => {
    const messages = [{ role: 'user' as const, content: 'x' }]
    const call = (fetch: typeof globalThis.fetch) => {
      const options = {
        apiKey: 'none',
        baseURL: 'https://verge.example/anthropic',
        dangerouslyAllowBrowser: true,
        fetch,
      }
      return new Anthropic(options).messages.create({ model: 'm', max_tokens: 1, messages })
    }
    expect(await missing(call)).toEqual([])
  })

  it("cohere-ai's are allowed", async () => {
    const call = (fetch: typeof globalThis.fetch) => {
      const client = new CohereClientV2({ token: 'none', environment: 'https://verge.example/cohere', fetch })
      return client.embed({ model: 'm', texts: ['x'], inputType: 'search_query', embeddingTypes: ['float'] })
    }
    expect(await missing(call)).toEqual([])
  })
})
