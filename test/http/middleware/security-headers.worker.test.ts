import { describe, expect, it } from 'vitest'
import type { PageDocument } from '../../../src/http/app-env.ts'
import { API_KEY, testApp, testModel } from '../../fixtures/http.ts'

const model = testModel('m', 'public', {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1] }],
})
const page: PageDocument = async () => new Blob(['<!doctype html>']).stream()

const EVERYWHERE = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
}

const json = { 'content-type': 'application/json' }
const tensor = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }] }
const preflight = { origin: 'https://a.example', 'access-control-request-method': 'POST' }

describe('security headers', () => {
  it.each<[string, number, string, RequestInit]>([
    ['what the Worker is', 200, '/', {}],
    ['a list', 200, '/v1/models', {}],
    ['a run', 200, '/v2/models/m/infer', { method: 'POST', headers: json, body: JSON.stringify(tensor) }],
    ['the client', 200, '/client.js', {}],
    ['a wrong body', 400, '/v2/models/m/infer', { method: 'POST', headers: json, body: '{' }],
    ['no such address', 404, '/nothing', {}],
    ['no such model', 404, '/v2/models/n', {}],
    ['a wrong key', 401, '/v2/models/n', { headers: { authorization: 'Bearer wrong' } }],
    ['another method', 405, '/v1/models', { method: 'DELETE' }],
    ['a preflight', 204, '/v1/models', { method: 'OPTIONS', headers: preflight }],
    ['what can be done', 204, '/v1/models', { method: 'OPTIONS' }],
    ['an upgrade that is missing', 426, '/stream/m', {}],
  ])('are on the answer for %s (%i)', async (_, status, path, init) => {
    const { request } = testApp({ models: [model], corsOrigins: ['https://a.example'] })
    const response = await request(path, init)
    expect(response.status).toBe(status)
    expect(Object.fromEntries(response.headers)).toMatchObject(EVERYWHERE)
  })

  it('leave the page its own policy', async () => {
    const { request } = testApp({ page })
    const { headers } = await request('/', { headers: { accept: 'text/html' } })
    expect(headers.get('content-security-policy')).toContain("script-src 'self' 'wasm-unsafe-eval'")
    expect(headers.get('permissions-policy')).toContain('camera=()')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  })

  it('let pages embed answers only where any page may read them', async () => {
    const policyOf = async (corsOrigins: string[], path = '/v1/models') =>
      (await testApp({ corsOrigins }).request(path)).headers.get('cross-origin-resource-policy')
    expect(await policyOf([])).toBe('same-origin')
    expect(await policyOf(['https://a.example'])).toBe('same-origin')
    expect(await policyOf(['*'])).toBe('cross-origin')
    // Code that is public.
    expect(await policyOf([], '/client.js')).toBe('cross-origin')
  })

  it('keep browsers on https where they came by it', async () => {
    const { app } = testApp()
    const by = async (scheme: string) =>
      (await app.fetch(new Request(`${scheme}://verge.example/v1/models`))).headers.get('strict-transport-security')
    expect(await by('https')).toBe('max-age=31536000')
    expect(await by('http')).toBeNull()
  })
})

describe('headers of requests', () => {
  const LINE_BREAKS = ['\r\nset-cookie: a=b', '\nset-cookie: a=b', '\r\n\r\n<script>', 'é', '\u2028', '\0', ' ', '']

  it('are never echoed with what could begin another header', async () => {
    const { request } = testApp({ models: [model] })
    for (const odd of ['a b', 'a;b', 'a:b', '"a"', '<a>', 'é', 'a'.repeat(129), '%0d%0aset-cookie:%20a=b']) {
      const { headers } = await request('/v1/models', { headers: { 'x-request-id': odd } })
      expect(headers.get('x-request-id'), odd).toMatch(/^[\w.-]{1,128}$/)
      expect(headers.get('x-request-id')).not.toBe(odd)
      expect(headers.get('set-cookie')).toBeNull()
    }
    expect((await request('/v1/models', { headers: { 'x-request-id': 'mine-1' } })).headers.get('x-request-id')).toBe(
      'mine-1',
    )
  })

  it('nor are paths, queries and bodies', async () => {
    const { request } = testApp({ models: [model], corsOrigins: ['https://a.example'] })
    for (const odd of LINE_BREAKS) {
      const path = encodeURIComponent(odd)
      for (const response of [
        await request(`/v2/models/${path}`),
        await request(`/run/m${path}?version=${path}`, { method: 'POST', headers: json, body: '{}' }),
        await request('/v1/embeddings', {
          method: 'POST',
          headers: json,
          body: JSON.stringify({ model: `m${odd}`, input: 'x' }),
        }),
      ]) {
        expect(response.headers.get('set-cookie')).toBeNull()
        for (const [, value] of response.headers) expect(value).toMatch(/^[\t\x20-\x7e]*$/)
        expect(response.status).toBeLessThan(500)
      }
    }
  })

  it('of another origin are not reflected', async () => {
    const { request } = testApp({ corsOrigins: ['https://a.example'] })
    for (const origin of ['https://a.example.attacker.example', 'https://A.EXAMPLE', 'null', 'http://a.example']) {
      const { headers } = await request('/v1/models', { headers: { origin } })
      expect(headers.get('access-control-allow-origin'), origin).toBeNull()
      expect(headers.get('access-control-allow-credentials')).toBeNull()
    }
  })

  it('may be as long as the platform lets them be', async () => {
    const { request } = testApp({ models: [model], corsOrigins: ['https://a.example'] })
    // 128 KB are the most of all headers together.
    for (const piece of [
      'a',
      ' ',
      ',',
      ';',
      '=',
      '"',
      '\\',
      ';q=',
      'bytes=',
      'bearer ',
      '("@method")',
      '*/*,',
      'W/"',
    ]) {
      const long = `x${piece.repeat(Math.floor(120_000 / piece.length))}x`
      for (const name of [
        'accept',
        'authorization',
        'cache-control',
        'cf-access-jwt-assertion',
        'content-type',
        'if-none-match',
        'origin',
        'range',
        'signature',
        'signature-input',
        'traceparent',
        'verge-place',
        'verge-timeout-ms',
        'x-api-key',
        'x-request-id',
      ]) {
        const method = name === 'content-type' ? 'POST' : 'GET'
        const path = method === 'POST' ? '/v2/models/m/infer' : '/v1/models'
        const response = await request(path, {
          method,
          headers: { [name]: long },
          ...(method === 'POST' && { body: '{}' }),
        })
        expect(response.status, `${name}: ${piece}`).toBeLessThan(500)
        for (const [, value] of response.headers) expect(value.length).toBeLessThan(2_000)
        expect((await response.text()).length).toBeLessThan(4_000)
      }
    }
    const bearer = await request('/v2/models/n', {
      headers: { authorization: `Bearer ${API_KEY}${'a'.repeat(100_000)}` },
    })
    expect(bearer.status).toBe(401)
  })
})
