import { describe, expect, it } from 'vitest'
import { CLIENT_ETAG, CLIENT_SCRIPT } from '../../../src/http/client/script.ts'
import { testApp } from '../../fixtures/http.ts'

describe('GET /client.js', () => {
  it('answers a module that caches may keep, whoever asks', async () => {
    const { request } = testApp()
    for (const headers of [{}, { authorization: 'Bearer of-nobody' }]) {
      const response = await request('/client.js', { headers })
      expect(response.status).toBe(200)
      expect(Object.fromEntries(response.headers)).toMatchObject({
        'content-type': 'text/javascript; charset=utf-8',
        'cache-control': 'public, max-age=300, stale-while-revalidate=86400',
        'x-content-type-options': 'nosniff',
        etag: CLIENT_ETAG,
        'x-request-id': expect.any(String),
      })
      expect(await response.text()).toBe(CLIENT_SCRIPT)
    }
  })

  it('answers 304 to who has it, with a weak tag too, and the script to who has another', async () => {
    const { request } = testApp()
    const ask = (tag: string) => request('/client.js', { headers: { 'if-none-match': tag } })
    for (const tag of [CLIENT_ETAG, `W/${CLIENT_ETAG}`, `"other", ${CLIENT_ETAG}`, '*']) {
      const response = await ask(tag)
      expect([tag, response.status, await response.text()]).toEqual([tag, 304, ''])
      expect(response.headers.get('etag')).toBe(CLIENT_ETAG)
      expect(response.headers.get('cache-control')).toContain('max-age=300')
    }
    for (const tag of ['"other"', CLIENT_ETAG.replaceAll('"', '')]) expect((await ask(tag)).status).toBe(200)
  })

  it('lets the pages of configured origins load it, and no others', async () => {
    const { request } = testApp({ corsOrigins: ['https://shop.example'] })
    const from = async (origin: string) =>
      (await request('/client.js', { headers: { origin } })).headers.get('access-control-allow-origin')
    expect(await from('https://shop.example')).toBe('https://shop.example')
    expect(await from('https://other.example')).toBeNull()
  })

  it('has no body for HEAD, and no other methods', async () => {
    const { request } = testApp()
    const head = await request('/client.js', { method: 'HEAD' })
    expect([head.status, await head.text(), head.headers.get('etag')]).toEqual([200, '', CLIENT_ETAG])
    const post = await request('/client.js', { method: 'POST' })
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS'])
    expect(post.headers.get('cache-control')).toBe('no-store')
  })
})
