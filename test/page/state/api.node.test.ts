import { describe, expect, it } from 'vitest'
import { createApi } from '../../../page/state/api.ts'
import { credentialsOf } from '../../../src/client/credentials.ts'
import { systemClock } from '../../../src/client/runtime.ts'

/** An API over answers by path; `healthz` as a Worker with the given operator's key answers it. */
function apiOf(key: string | undefined, answers: Readonly<Record<string, unknown>>, status = 200) {
  const paths: string[] = []
  const api = createApi({
    base: 'http://worker',
    credentials: credentialsOf({ key }, systemClock),
    timeoutMs: 5_000,
    retries: 0,
    clock: systemClock,
    random: () => 0,
    fetch: async (url, init) => {
      const { pathname, search } = new URL(url)
      paths.push(pathname + search)
      if (pathname !== '/healthz') return Response.json(answers[pathname])
      const sent = new Headers(init.headers).get('authorization')
      if (sent === 'Bearer ended')
        return Response.json({ error: { code: 'unauthorized', message: 'It ended.' } }, { status: 401 })
      const operator = sent === 'Bearer right'
      const body = {
        status: status === 200 ? 'ok' : 'unavailable',
        engine: 'verge',
        ...(operator && { caller: 'operator' }),
      }
      return Response.json(body, { status })
    },
  })
  return { api, paths }
}

const V2 = { '/v2': { name: 'verge', version: '1.2.3' } }

describe('what the page asks beside running models', () => {
  it('is how the Worker is, also where it cannot run models', async () => {
    expect(await apiOf(undefined, V2).api.worker()).toEqual({
      version: '1.2.3',
      engine: 'verge',
      ok: true,
      caller: undefined,
    })
    expect(await apiOf(undefined, V2, 503).api.worker()).toMatchObject({ ok: false })
  })

  it('is whether the Worker knows the key', async () => {
    expect(await apiOf('right', V2).api.worker()).toMatchObject({ caller: 'operator' })
    expect(await apiOf('wrong', V2).api.worker()).toMatchObject({ caller: undefined })
  })

  it('is how the Worker is, also where a token has ended', async () => {
    const { api, paths } = apiOf('ended', V2)
    expect(await api.worker()).toEqual({ version: '1.2.3', engine: 'verge', ok: true, caller: undefined })
    expect(paths).toEqual(['/v2', '/healthz', '/healthz'])
  })

  it('is the models, one model, and why a place was chosen', async () => {
    const { api, paths } = apiOf('right', {
      '/models': { models: [] },
      '/models?prefix=di': { models: [] },
      '/models/a': { name: 'a' },
      '/explain/a': {},
    })
    expect(await api.models()).toEqual({ models: [] })
    expect(await api.models({ prefix: 'di' })).toEqual({ models: [] })
    expect(await api.model('a')).toEqual({ name: 'a' })
    await api.explain('a', { method: 'chat', input: [] })
    expect(paths).toEqual(['/models', '/models?prefix=di', '/models/a', '/explain/a?route=openai'])
  })
})
