import { describe, expect, it } from 'vitest'
import { type WeightsCredentials, WeightsHttp } from '../../../src/browser/weights/http.ts'
import { WEIGHTS_LIMITS } from '../../../src/browser/weights/limits.ts'

const ADDRESS = { model: 'm', sha256: 'a'.repeat(64) }
const live = (): { readonly signal: AbortSignal } => ({ signal: new AbortController().signal })

function httpOf(credentials: WeightsCredentials, accepted: string) {
  const sent: (string | null)[] = []
  const http = new WeightsHttp({
    base: 'https://verge.test',
    credentials,
    limits: WEIGHTS_LIMITS,
    fetch: async (_, { headers }) => {
      const credential = new Headers(headers).get('authorization')
      sent.push(credential)
      if (credential === `Bearer ${accepted}`) return new Response('bytes')
      return Response.json({ error: { code: 'unauthorized', message: 'The token has ended.' } }, { status: 401 })
    },
  })
  return { http, sent }
}

describe('requests for weights', () => {
  it('are sent again with a newer credential where the server refuses the one that was current', async () => {
    const refused: string[] = []
    const renewed = async (credential: string): Promise<string> => {
      refused.push(credential)
      return 'newer'
    }
    const { http, sent } = httpOf({ current: async () => 'ended', renewed }, 'newer')
    const { body } = await http.open(ADDRESS, live())
    expect(await new Response(body).text()).toBe('bytes')
    expect(sent).toEqual(['Bearer ended', 'Bearer newer'])
    expect(refused).toEqual(['ended'])
  })

  it('end with the refusal where there is no other', async () => {
    const { http, sent } = httpOf({ current: async () => 'ended', renewed: async () => undefined }, 'newer')
    await expect(http.open(ADDRESS, live())).rejects.toMatchObject({
      code: 'unauthorized',
      message: 'The token has ended.',
    })
    expect(sent).toEqual(['Bearer ended'])
  })

  it('do not outlive their signal while a credential is made', async () => {
    const { http, sent } = httpOf({ current: () => new Promise(() => {}), renewed: async () => undefined }, 'newer')
    const leaving = new AbortController()
    const opened = http.open(ADDRESS, { signal: leaving.signal })
    leaving.abort()
    await expect(opened).rejects.toMatchObject({ code: 'cancelled' })
    expect(sent).toEqual([])
  })
})
