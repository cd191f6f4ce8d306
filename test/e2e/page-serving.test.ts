import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { builtAssets, type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'

const BROWSER = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

let assets: string
let worker: LiveWorker

beforeAll(async () => {
  assets = await builtAssets()
  worker = await startLiveWorker({}, [], assets)
})
afterAll(() => worker?.dispose())

const get = (path: string, headers: Readonly<Record<string, string>> = {}) => fetch(`${worker.url}${path}`, { headers })

describe('the page as Workers Assets serve it', () => {
  it('is at / for browsers, and everything that it names is there', async () => {
    const html = await (await get('/', BROWSER)).text()
    const named = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path ?? '')
    expect(named.length).toBeGreaterThan(2)
    for (const path of named) {
      expect(path).toMatch(/^\/assets\/page\//)
      const file = await get(path)
      expect([path, file.status]).toEqual([path, 200])
      expect(Object.fromEntries(file.headers)).toMatchObject({
        'cache-control': 'public, max-age=31536000, immutable',
        'access-control-allow-origin': '*',
        'x-content-type-options': 'nosniff',
      })
      await file.body?.cancel()
    }
  })

  it('has no other address, at which it would lack its policy', async () => {
    for (const path of ['/index.html', '/_headers', '/index']) {
      const response = await get(path, BROWSER)
      expect([path, response.status]).toEqual([path, 404])
      expect(await response.json()).toMatchObject({ error: { code: 'not_found' } })
    }
  })

  it('answers for a file of another release so that no cache keeps it', async () => {
    for (const path of ['/assets/page/index-of-another-release.js', '/assets/', '/browser.js.map']) {
      const response = await get(path)
      expect([path, response.status, response.headers.get('cache-control')]).toEqual([path, 404, 'no-store'])
      expect(await response.json()).toMatchObject({ error: { code: 'not_found' } })
    }
  })

  it('leaves every path of the API to the Worker', async () => {
    for (const path of ['/', '/healthz', '/v1/models', '/models', '/openapi.json']) {
      const response = await get(path)
      expect([path, response.status, response.headers.get('content-type')]).toEqual([path, 200, 'application/json'])
      expect(response.headers.get('x-request-id')).toMatch(/^[\w.-]+$/)
      await response.body?.cancel()
    }
  })

  it('can be turned off', async () => {
    const without = await startLiveWorker({ PLAYGROUND: 'off' }, [], assets)
    try {
      const response = await fetch(without.url, { headers: BROWSER })
      expect(response.headers.get('content-type')).toBe('application/json')
      expect(response.headers.get('vary')).toBeNull()
    } finally {
      await without.dispose()
    }
  })
})
