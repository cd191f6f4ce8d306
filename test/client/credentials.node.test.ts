import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { credentialsOf } from '../../src/client/credentials.ts'
import { type ClientOptions, createClient, VergeError } from '../../src/client/index.ts'
import { failure } from '../fixtures/client-failure.ts'
import { ManualClock, settle } from '../fixtures/clock.ts'

/** A token that says it lives so many seconds; nothing here reads its signature. */
function tokenOf(name: string, seconds: number): string {
  const claims = Buffer.from(JSON.stringify({ jti: name, iat: 5_000, exp: 5_000 + seconds })).toString('base64url')
  return `verge_bt_${Buffer.from('{}').toString('base64url')}.${claims}.${name}`
}

const ANSWER = [{ label: 'yes', score: 1 }]

/** A server that accepts some tokens and refuses all others. */
function serverOf(accepted: ReadonlySet<string>) {
  const sent: (string | null)[] = []
  const fetch: ClientOptions['fetch'] = async (_, init) => {
    const credential = new Headers(init.headers).get('authorization')
    sent.push(credential)
    if (accepted.has(credential?.replace('Bearer ', '') ?? '')) return Response.json(ANSWER)
    return Response.json({ error: { code: 'unauthorized', message: 'The token has ended.' } }, { status: 401 })
  }
  return { fetch, sent }
}

function thrownBy(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    return error
  }
}

/** A function that makes the tokens of a list, and counts its calls. */
function maker(tokens: readonly string[]) {
  let made = 0
  return {
    make: async () => tokens[made++] ?? '',
    get made() {
      return made
    },
  }
}

describe('a token of a client', () => {
  it('is sent as a bearer, like a key', async () => {
    const { fetch, sent } = serverOf(new Set(['fixed']))
    expect(await createClient({ url: 'http://w', token: 'fixed', fetch }).run('m', 'text')).toEqual(ANSWER)
    expect(sent).toEqual(['Bearer fixed'])
  })

  it('is not there beside a key, and holds nothing that a header cannot', () => {
    expect(() => createClient({ url: 'http://w', token: 'a', key: 'b' })).toThrow(/either "key" or "token"/)
    expect(() => createClient({ url: 'http://w', token: 'a\nb' })).toThrow(TypeError)
  })

  it('is in no error where no header can hold it', async () => {
    for (const secret of ['verge_sk_secret\nmore', 'verge_bt_secret\u0000more', 'verge_sk_secretключ']) {
      expect(inspect(thrownBy(() => createClient({ url: 'http://w', key: secret })))).not.toContain('secret')
      const client = createClient({ url: 'http://w', token: async () => secret })
      const failed: unknown = await client.run('m', 'text').catch((error: unknown) => error)
      expect(failed).toMatchObject({ code: 'token_unavailable' })
      expect(inspect(failed)).not.toContain('secret')
    }
  })

  it('that is fixed is not sent again after a refusal', async () => {
    const { fetch, sent } = serverOf(new Set())
    const client = createClient({ url: 'http://w', token: 'fixed', fetch })
    expect(await failure(client.run('m', 'text'))).toMatchObject({ code: 'unauthorized', status: 401 })
    expect(sent).toHaveLength(1)
  })
})

describe('a function that makes tokens', () => {
  it('is called once for all requests, until shortly before the token ends', async () => {
    const clock = new ManualClock()
    const [first, second] = [tokenOf('first', 600), tokenOf('second', 600)]
    const tokens = maker([first, second])
    const { fetch, sent } = serverOf(new Set([first, second]))
    const client = createClient({ url: 'http://w', token: tokens.make, fetch, clock, timeoutMs: 1e9 })
    await Promise.all([client.run('m', 'a'), client.run('m', 'b'), client.run('m', 'c')])
    await clock.advance(569_000)
    await client.run('m', 'd')
    expect(tokens.made).toBe(1)
    // 30 seconds before the end of 600.
    await clock.advance(1_000)
    await Promise.all([client.run('m', 'e'), client.run('m', 'f')])
    expect(tokens.made).toBe(2)
    expect(sent).toEqual([...Array(4).fill(`Bearer ${first}`), ...Array(2).fill(`Bearer ${second}`)])
  })

  it('is not called for every request where tokens are short', async () => {
    const clock = new ManualClock()
    const tokens = maker([tokenOf('first', 20), tokenOf('second', 20)])
    const credentials = credentialsOf({ token: tokens.make }, clock)
    await credentials.current()
    await clock.advance(17_999)
    await credentials.current()
    expect(tokens.made).toBe(1)
    await clock.advance(1)
    await credentials.current()
    expect(tokens.made).toBe(2)
  })

  it('is called once more for a request that is refused, and once for all that are', async () => {
    const [ended, newer] = [tokenOf('ended', 600), tokenOf('newer', 600)]
    const tokens = maker([ended, newer])
    const { fetch, sent } = serverOf(new Set([newer]))
    const client = createClient({ url: 'http://w', token: tokens.make, fetch })
    expect(await Promise.all([client.run('m', 'a'), client.run('m', 'b')])).toEqual([ANSWER, ANSWER])
    expect(tokens.made).toBe(2)
    expect(sent).toHaveLength(4)
  })

  it('does not begin a circle: the second refusal is the answer', async () => {
    const tokens = maker(['one', 'two', 'three'])
    const { fetch, sent } = serverOf(new Set())
    const client = createClient({ url: 'http://w', token: tokens.make, fetch })
    expect(await failure(client.run('m', 'text'))).toMatchObject({ code: 'unauthorized' })
    expect(sent).toEqual(['Bearer one', 'Bearer two'])
  })

  it('that gives the refused token again is not asked for a third', async () => {
    const tokens = maker(['one', 'one', 'two'])
    const { fetch, sent } = serverOf(new Set(['two']))
    const client = createClient({ url: 'http://w', token: tokens.make, fetch })
    expect(await failure(client.run('m', 'text'))).toMatchObject({ code: 'unauthorized' })
    expect(sent).toEqual(['Bearer one'])
  })

  it('replaces the token behind a stream that was refused, which cannot be sent twice', async () => {
    const tokens = maker(['ended', 'newer'])
    const { fetch, sent } = serverOf(new Set(['newer']))
    const client = createClient({ url: 'http://w', token: tokens.make, fetch })
    const stream = () => new Blob(['text']).stream() as ReadableStream<Uint8Array>
    expect(await failure(client.run('m', stream()))).toMatchObject({ code: 'unauthorized' })
    expect(await client.run('m', stream())).toEqual(ANSWER)
    expect(sent).toEqual(['Bearer ended', 'Bearer newer'])
  })

  it.each([
    ['rejects', () => Promise.reject(new Error('no network'))],
    [
      'throws',
      () => {
        throw new Error('no network')
      },
    ],
    ['gives no text', async () => undefined as unknown as string],
    ['gives what no header can hold', async () => 'a\nb'],
  ])('that %s fails the request with a word on the function, and is called again by the next', async (_, fails) => {
    let calls = 0
    const { fetch } = serverOf(new Set(['good']))
    const token = (): Promise<string> => (++calls === 1 ? fails() : Promise.resolve('good'))
    const client = createClient({ url: 'http://w', token, fetch })
    const error = await failure(client.run('m', 'text'))
    expect(error).toBeInstanceOf(VergeError)
    expect(error).toMatchObject({ code: 'token_unavailable', message: expect.stringMatching(/function "token"/) })
    expect(await client.run('m', 'text')).toEqual(ANSWER)
  })

  it('that never answers ends no other request than those in time, and is called again later', async () => {
    const clock = new ManualClock()
    let calls = 0
    const token = (): Promise<string> => (++calls === 1 ? new Promise(() => {}) : Promise.resolve('good'))
    const { fetch } = serverOf(new Set(['good']))
    const client = createClient({ url: 'http://w', token, fetch, clock, timeoutMs: 40_000 })
    const first = failure(client.run('m', 'text'))
    const leaving = new AbortController()
    const second = failure(client.run('m', 'text', { signal: leaving.signal }))
    await settle()
    leaving.abort()
    expect(await second).toMatchObject({ code: 'cancelled' })
    await clock.advance(30_000)
    expect(await client.run('m', 'text')).toEqual(ANSWER)
    await clock.advance(10_000)
    expect(await first).toMatchObject({ code: 'deadline_exceeded' })
    expect(calls).toBe(2)
  })
})
