import { describe, expect, it } from 'vitest'
import { ADDRESSES, answersAtRoot, rootPath } from '../../src/http/addresses.ts'
import { PROTOCOLS } from '../../src/protocols/names.ts'
import { downloads } from '../fixtures/downloads.ts'
import { testApp } from '../fixtures/http.ts'

/** Routes of the application as the table of addresses writes them, without its middleware. */
function routesOf(options: Parameters<typeof testApp>[0] = {}): Set<string> {
  const { app } = testApp({ downloads: downloads(), ...options })
  const routes = app.routes
    .filter(({ method }) => method !== 'ALL')
    .map(({ method, path }) => {
      const pattern = path.replace(/:(\w+)(\{[^}]*\})?/g, (_, name: string, rest?: string) =>
        rest === undefined ? `{${name}}` : `{${name}...}`,
      )
      return `${method} ${pattern}`
    })
  return new Set(routes)
}

const isPrefixed = (route: string): boolean =>
  PROTOCOLS.some((protocol) => new RegExp(` /${protocol}(/|$)`).test(route))

describe('the table of addresses', () => {
  const routes = routesOf()

  it.each(PROTOCOLS)('has the routes of %s behind its prefix, and no others', (protocol) => {
    const prefixed = [...routes].filter((route) => new RegExp(` /${protocol}(/|$)`).test(route)).sort()
    const written = ADDRESSES[protocol].flatMap(({ method, path }) =>
      // A prefix itself is asked for with and without a slash at its end.
      (path === '/' ? ['', '/'] : [path]).map((each) => `${method} /${protocol}${each}`),
    )
    expect(prefixed).toEqual(written.sort())
    expect(new Set(written).size).toBe(written.length)
  })

  it('has the routes at the root, and no others but the client', () => {
    const written = PROTOCOLS.flatMap((protocol) =>
      ADDRESSES[protocol]
        .filter((address) => answersAtRoot(protocol, address, {}))
        .map((address) => `${address.method} ${rootPath(address)}`),
    )
    const atRoot = [...routes].filter((route) => !isPrefixed(route) && route !== 'GET /client.js')
    expect(atRoot.sort()).toEqual(written.sort())
  })

  it('gives no path at the root to two protocols, unless one of them is the default', () => {
    const always = PROTOCOLS.flatMap((protocol) =>
      ADDRESSES[protocol].filter(({ root }) => root === 'always').map(({ method, path }) => `${method} ${path}`),
    )
    expect(always.filter((address, place) => always.indexOf(address) !== place)).toEqual([])
  })

  it.each(PROTOCOLS)(
    'adds all addresses of %s at the root where it is the default, with a default model',
    (protocol) => {
      const all = routesOf({ addressing: { defaultProtocol: protocol, defaultModel: 'eye' } })
      const written = ADDRESSES[protocol].flatMap((address) => {
        const path = rootPath(address)
        return path === undefined ? [] : [`${address.method} ${path}`]
      })
      expect(written.filter((route) => !all.has(route))).toEqual([])
    },
  )
})

describe('a task of Hugging Face that comes later', () => {
  it.each(['/pipeline/summarization/m', '/models/m/pipeline/translation', '/huggingface/pipeline/text-to-speech/m'])(
    '%s is refused as not implemented',
    async (path) => {
      const answer = await testApp().post(path, { inputs: 'a' })
      expect(answer.status).toBe(501)
      expect(await answer.json()).toMatchObject({ error: expect.stringContaining('not implemented yet') })
    },
  )
})

describe('a path that the configuration does not place', () => {
  const { request } = testApp()
  const told = async (path: string, method = 'POST') => {
    const answer = await request(path, { method })
    expect(answer.status).toBe(404)
    return answer.text()
  }

  it('says which prefix works and which variable to set', async () => {
    for (const protocol of PROTOCOLS) {
      for (const address of ADDRESSES[protocol]) {
        const path = rootPath(address)
        if (path === undefined || answersAtRoot(protocol, address, {})) continue
        // Another protocol has it.
        if (routesOf().has(`${address.method} ${path}`)) continue
        const text = await told(path.replace(/\{\w+(\.\.\.)?\}/g, 'x'), address.method)
        expect(text).toContain(`/${protocol}${address.path}`)
        expect(text).toMatch(/DEFAULT_PROTOCOL|DEFAULT_MODEL/)
      }
    }
  })

  it('is told from one that nothing is at', async () => {
    expect(await told('/no/such/path')).toContain('There is nothing at /no/such/path')
  })
})

describe('an address that comes later', () => {
  const { request } = testApp()
  const later = PROTOCOLS.flatMap((protocol) =>
    ADDRESSES[protocol].filter(({ state }) => state === 'not-yet').map((address) => ({ protocol, ...address })),
  )

  it.each(later)(
    '$method /$protocol$path is refused as not implemented',
    async ({ instead, method, path, protocol }) => {
      const answer = await request(`/${protocol}${path.replace(/\{\w+\}/g, 'x')}`, { method })
      expect(answer.status).toBe(501)
      const text = await answer.text()
      expect(text).toContain('not implemented yet')
      expect(text).toContain(JSON.stringify(instead ?? path).slice(1, -1))
    },
  )
})

it('the page for operators is not there for programs, whatever the configuration says', async () => {
  const answer = await testApp({}).request('/operate')
  const { error } = (await answer.json()) as { error: { code: string; message: string } }
  expect([answer.status, error.code, error.message]).toEqual([
    404,
    'not_found',
    'There is nothing at /operate. GET / lists what there is.',
  ])
})
