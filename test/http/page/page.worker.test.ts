import { describe, expect, it } from 'vitest'
import type { PageDocument } from '../../../src/http/app-env.ts'
import { testApp } from '../../fixtures/http.ts'

const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'
const document: PageDocument = async () => new Blob(['<!doctype html><title>Verge</title>']).stream()

async function ask(accept: string | undefined, page: PageDocument = document) {
  const { request } = testApp({ page })
  const response = await request('/', accept === undefined ? {} : { headers: { accept } })
  expect(response.status).toBe(200)
  return response
}

const typeOf = async (accept: string | undefined, page?: PageDocument) =>
  (await ask(accept, page)).headers.get('content-type')

describe('GET /', () => {
  it('answers the page to browsers, with a policy that lets nothing in from elsewhere', async () => {
    const response = await ask(BROWSER)
    expect(await response.text()).toBe('<!doctype html><title>Verge</title>')
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      vary: expect.stringMatching(/\baccept\b/i),
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'permissions-policy': expect.stringContaining('microphone=(self)'),
      'cross-origin-opener-policy': 'same-origin',
    })
    const policy = response.headers.get('content-security-policy') ?? ''
    expect(policy).not.toMatch(/unsafe-inline|unsafe-eval'(?<!wasm-unsafe-eval')|https?:|\*/)
    for (const directive of [
      "default-src 'none'",
      "script-src 'self' 'wasm-unsafe-eval'",
      "worker-src 'self'",
      "connect-src 'self'",
      "img-src 'self' blob:",
      "frame-ancestors 'none'",
    ]) {
      expect(policy.split('; ')).toContain(directive)
    }
  })

  it('answers JSON to programs, which name no HTML or prefer JSON', async () => {
    for (const accept of [
      undefined,
      '*/*',
      'application/json',
      'text/*',
      'application/json, text/html;q=0.9',
      'text/html;q=0',
    ]) {
      expect([accept, await typeOf(accept)]).toEqual([accept, 'application/json'])
    }
    for (const accept of ['text/html', 'TEXT/HTML;q=0.5', 'text/html, application/json', BROWSER]) {
      expect([accept, await typeOf(accept)]).toEqual([accept, 'text/html; charset=utf-8'])
    }
  })

  it('tells caches that the answer depends on what was asked for, as JSON too', async () => {
    expect((await ask('*/*')).headers.get('vary')).toMatch(/\baccept\b/i)
  })

  it('answers JSON to browsers, too, where there is no page or it was not built', async () => {
    const { request } = testApp()
    const without = await request('/', { headers: { accept: BROWSER } })
    expect(await without.json()).toMatchObject({ name: 'verge' })
    expect(await typeOf(BROWSER, async () => undefined)).toBe('application/json')
  })

  it('answers HEAD as GET, without the page', async () => {
    const { request } = testApp({ page: document })
    const response = await request('/', { method: 'HEAD', headers: { accept: BROWSER } })
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(await response.text()).toBe('')
  })
})

describe('GET /operate', () => {
  it('answers the same page to browsers, and nothing to programs or where there is no page', async () => {
    const { request } = testApp({ page: document })
    const response = await request('/operate', { headers: { accept: BROWSER } })
    expect(await response.text()).toBe('<!doctype html><title>Verge</title>')
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
    expect((await request('/operate')).status).toBe(404)
    expect((await testApp().request('/operate', { headers: { accept: BROWSER } })).status).toBe(404)
  })
})
