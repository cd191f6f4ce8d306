import { describe, expect, it } from 'vitest'
import { importKey, SignatureVerifier } from '../../../src/access/signature.ts'
import { toHex } from '../../../src/core/bytes.ts'
import { VergeError } from '../../../src/core/errors.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import {
  type Origin,
  OriginFault,
  type OriginFaultKind,
  type OriginKind,
  type OriginRequest,
} from '../../../src/placement/origin.ts'
import { accessAuth, bearerAuth, hmacAuth } from '../../../src/placement/remote/auth.ts'
import { exchange, originHeaders } from '../../../src/placement/remote/exchange.ts'
import { ManualClock, settle } from '../../fixtures/clock.ts'
import { ManualBody, originOf, piecesOf, requestOf } from '../../fixtures/remote.ts'

const MiB = 1024 * 1024

/** What an exchange ends with: a status, or the kind of its fault. */
async function outcome(origin: Origin, request: OriginRequest = requestOf(), clock = new ManualClock()) {
  try {
    return (await exchange(origin, request, { clock, limits: LIMITS })).status
  } catch (error) {
    if (error instanceof OriginFault) return error.kind
    if (error instanceof VergeError) return error.code
    throw error
  }
}

const answering = (
  status: number,
  body: string | null,
  headers: Record<string, string> = {},
  kind: OriginKind = 'verge',
) => originOf(() => Promise.resolve(new Response(body, { status, headers })), { kind })

describe('exchange', () => {
  it('sends the request with what proves who sends it, and no other credential', async () => {
    let sent: Request | undefined
    const origin = originOf(
      (request) => {
        sent = request
        return Promise.resolve(Response.json({ ok: true }))
      },
      { url: 'https://fra.example.com/base', auth: bearerAuth('secret-token') },
    )
    const incoming = new Headers({
      'content-type': 'text/plain',
      cookie: 'a=b',
      authorization: 'Bearer operator',
      'cf-connecting-ip': '1.2.3.4',
      'cache-control': 'no-store',
    })
    const request = requestOf({ path: '/run/x?version=1', headers: originHeaders(incoming, 1234.5) })
    await exchange(origin, request, { clock: new ManualClock(), limits: LIMITS })
    expect(sent?.url).toBe('https://fra.example.com/base/run/x?version=1')
    expect(Object.fromEntries(sent?.headers ?? [])).toEqual({
      'accept-encoding': 'identity',
      authorization: 'Bearer secret-token',
      'cache-control': 'no-store',
      'content-type': 'text/plain',
      'verge-timeout-ms': '1234',
      'x-request-id': 'r-1',
    })
    expect(sent?.redirect).toBe('manual')
    expect(await sent?.text()).toBe('{}')
  })

  it('gives back what concerns the caller of the answer, and nothing else', async () => {
    const headers = {
      'content-type': 'application/json',
      'content-length': '2',
      'set-cookie': 'a=b',
      server: 'nginx/1.2',
      'x-powered-by': 'y',
      'server-timing': 'run;dur=3',
      'verge-placement': 'origin;start=warm',
    }
    const answer = await exchange(answering(200, '{}', headers), requestOf(), {
      clock: new ManualClock(),
      limits: LIMITS,
    })
    expect([...answer.headers.keys()].sort()).toEqual(['content-type', 'server-timing', 'verge-placement'])
    expect(await answer.text()).toBe('{}')
  })

  const json = { 'content-type': 'application/json' }
  const html = { 'content-type': 'text/html' }
  const code = (name: string) => JSON.stringify({ error: { code: name, message: 'm', request_id: 'r' } })
  const oipCode = (name: string) => JSON.stringify({ error: 'm', code: name, request_id: 'r' })
  it.each<[string, number, string | null, Record<string, string>, OriginKind, number | OriginFaultKind]>([
    ['an answer', 200, '{}', json, 'verge', 200],
    ['no content', 204, null, {}, 'openai', 204],
    ['a redirection', 302, null, { location: 'https://evil.example.com' }, 'verge', 'garbage'],
    ['JSON that is none', 200, '<html>', json, 'verge', 'garbage'],
    ['cut JSON', 200, '{"a":', json, 'verge', 'garbage'],
    ['a wrong input', 400, code('invalid_tensor'), json, 'verge', 400],
    ['a large input', 413, oipCode('input_too_large'), json, 'verge', 413],
    ['a proxy that takes less', 413, '<html>', html, 'verge', 'unable'],
    ['a proxy that knows no such host', 400, '<html>', html, 'verge', 'garbage'],
    ['a model that it lacks', 404, code('model_not_found'), json, 'verge', 'unable'],
    ['a path that it lacks', 404, code('not_found'), json, 'verge', 'garbage'],
    ['a path that the proxy lacks', 404, 'not found', html, 'verge', 'garbage'],
    ['a method that it lacks', 405, code('method_not_allowed'), json, 'verge', 'garbage'],
    [
      'a model that vLLM lacks',
      404,
      '{"error":{"message":"m","type":"NotFoundError","code":404}}',
      json,
      'openai',
      'unable',
    ],
    ['a path that FastAPI lacks', 404, '{"detail":"Not Found"}', json, 'openai', 'garbage'],
    ['a wrong input of FastAPI', 422, '{"detail":[{"loc":["body"]}]}', json, 'openai', 422],
    ['a wrong input of TEI', 422, '{"error":"too long","error_type":"Tokenizer"}', json, 'openai', 422],
    ['a backend of TEI that failed', 424, '{"error":"x","error_type":"Backend"}', json, 'openai', 'error-status'],
    ['a full TEI', 429, '{"error":"Model is overloaded","error_type":"Overloaded"}', json, 'openai', 'overloaded'],
    ['a wrong input of Triton', 400, '{"error":"unexpected shape"}', {}, 'oip', 400],
    [
      'a model that Triton lacks',
      400,
      '{"error":"Request for unknown model: \'x\' is not found"}',
      {},
      'oip',
      'unable',
    ],
    ["an input of TEI on OpenAI's path", 413, '{"message":"m","code":413,"type":"Validation"}', json, 'openai', 413],
    [
      'a body that TEI cannot read',
      422,
      'Failed to deserialize the JSON body',
      { 'content-type': 'text/plain' },
      'openai',
      422,
    ],
    ['a full Triton', 503, '{"error":"Exceeds maximum queue size"}', json, 'oip', 'overloaded'],
    ['a full origin', 429, code('overloaded'), json, 'verge', 'overloaded'],
    ['an origin that drains', 503, code('origin_unavailable'), json, 'verge', 'refused'],
    ['weights that it cannot get', 503, code('weights_unavailable'), json, 'verge', 'unable'],
    ['a model that it cannot run', 501, oipCode('engine_unsupported'), json, 'verge', 'unable'],
    ['a run that killed the engine', 500, oipCode('engine_aborted'), json, 'verge', 'engine-crash'],
    ['a code of ours from another server', 500, code('engine_aborted'), json, 'openai', 'error-status'],
    ['a body that came too slowly', 408, code('body_too_slow'), json, 'verge', 408],
    ['a body of TEI that did', 408, '{"error":"x","error_type":"Backend"}', json, 'openai', 'error-status'],
    ['a deadline that passed', 504, code('deadline_exceeded'), json, 'verge', 504],
    ['a gateway whose server is gone', 502, '<html>', html, 'verge', 'error-status'],
    ['a gateway that waited', 504, '<html>', html, 'verge', 'error-status'],
    ['a connection that Cloudflare did not get', 521, '<html>', html, 'verge', 'refused'],
    ['inputs that the backend of Triton rejects', 500, '{"error":"unexpected shape"}', json, 'oip', 'unable'],
    ['a failure', 500, 'Internal Server Error', {}, 'openai', 'error-status'],
    ['a long failure', 500, 'x'.repeat(200_000), html, 'verge', 'error-status'],
    ['a wrong signature', 401, code('unauthorized'), json, 'verge', 'unauthorized'],
    ['a wrong token', 403, '{}', json, 'openai', 'unauthorized'],
    ['an unheard-of status', 418, '{}', json, 'verge', 'garbage'],
  ])('judges %s', async (_, status, body, headers, kind, expected) => {
    expect(await outcome(answering(status, body, headers, kind))).toBe(expected)
  })

  it('keeps when an origin says that it may be asked again', async () => {
    const wait = async (value: string) => {
      const error: unknown = await exchange(answering(503, '', { 'retry-after': value }), requestOf(), {
        limits: LIMITS,
        clock: Object.assign(new ManualClock(), { now: () => Date.parse('2026-01-01T00:00:00Z') }),
      }).catch((reason: unknown) => reason)
      return error instanceof OriginFault ? error.retryAfterMs : 'no fault'
    }
    expect(await wait('7')).toBe(7_000)
    expect(await wait('Thu, 01 Jan 2026 00:00:03 GMT')).toBe(3_000)
    expect(await wait('soon')).toBeUndefined()
  })

  it('tells a connection that was never there from one that broke, where the platform does', async () => {
    const failing = (cause: unknown) => originOf(() => Promise.reject(new TypeError('fetch failed', { cause })))
    expect(await outcome(failing(Object.assign(new Error('x'), { code: 'ECONNREFUSED' })))).toBe('refused')
    expect(await outcome(failing(Object.assign(new Error('x'), { code: 'ECONNRESET' })))).toBe('cut')
    expect(await outcome(failing(undefined))).toBe('cut')
  })

  it('gives up an origin that sends no headers, and aborts the request', async () => {
    const clock = new ManualClock()
    let signal: AbortSignal | undefined
    const origin = originOf((request) => {
      signal = request.signal
      return new Promise(() => {})
    })
    const result = outcome(origin, requestOf(), clock)
    await clock.advance(999)
    expect(signal?.aborted).toBe(false)
    await clock.advance(1)
    expect(await result).toBe('headers-timeout')
    expect(signal?.aborted).toBe(true)
  })

  it('holds it against no origin that a body which is passed on as it comes takes longer', async () => {
    const clock = new ManualClock()
    const origin = originOf(() => new Promise(() => {}))
    const slow = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(new Uint8Array(1)) })
    const thrown = exchange(origin, requestOf({ body: slow }), { clock, limits: LIMITS }).catch(
      (error: unknown) => error,
    )
    await clock.advance(1000)
    expect(await thrown).toMatchObject({ kind: 'body-timeout', consequence: { counts: false } })
  })

  it('gives up an answer that stops coming, and one that never ends', async () => {
    const clock = new ManualClock()
    const stalled = new ManualBody()
    const first = outcome(
      originOf(() => Promise.resolve(new Response(stalled.stream))),
      requestOf(),
      clock,
    )
    stalled.push('{')
    await clock.advance(1_999)
    stalled.push('"a"')
    await clock.advance(1_999)
    stalled.push(':')
    await clock.advance(2_000)
    expect(await first).toBe('idle-timeout')
    expect(stalled.cancelled).toBeUndefined()

    const endless = new ManualBody()
    const second = outcome(
      originOf(() => Promise.resolve(new Response(endless.stream))),
      requestOf(),
      clock,
    )
    for (let i = 0; i < 61; i++) {
      endless.push('.')
      await clock.advance(1_000)
    }
    expect(await second).toBe('idle-timeout')
  })

  it('ends with the caller, before and while an answer comes', async () => {
    const gone = new AbortController()
    let signal: AbortSignal | undefined
    const waiting = outcome(
      originOf((request) => {
        signal = request.signal
        return new Promise(() => {})
      }),
      requestOf({ signal: gone.signal }),
    )
    await settle()
    gone.abort(new VergeError('deadline_exceeded', 'Too late.'))
    expect(await waiting).toBe('deadline_exceeded')
    expect(signal?.aborted).toBe(true)

    let asked = false
    const never = originOf(() => {
      asked = true
      return Promise.resolve(new Response())
    })
    expect(await outcome(never, requestOf({ signal: AbortSignal.abort() }))).toBe('cancelled')
    expect(asked).toBe(false)
  })

  it('counts a small answer only when it is whole', async () => {
    const cut = new ManualBody()
    const broken = outcome(originOf(() => Promise.resolve(new Response(cut.stream, { headers: json }))))
    cut.push('{"a":1')
    await settle()
    cut.break()
    expect(await broken).toBe('cut')
    const short = originOf(() => Promise.resolve(new Response('{}', { headers: { ...json, 'content-length': '20' } })))
    expect(await outcome(short)).toBe('cut')
  })

  it('lets go of an error that is longer than any is read', async () => {
    const body = new ManualBody()
    const headers = { 'content-type': 'text/plain' }
    const origin = originOf(() => Promise.resolve(new Response(body.stream, { status: 413, headers })), {
      kind: 'openai',
    })
    const ending = outcome(origin)
    body.push('x'.repeat(70_000))
    expect(await ending).toBe(413)
    await expect.poll(() => body.cancelled).toBeInstanceOf(Error)
  })

  it('passes on a large answer as it comes, byte for byte', async () => {
    const part = new Uint8Array(300_000).map((_, i) => i % 251)
    const body = piecesOf(part.slice(), new Uint8Array(0), ...[1, 2, 3, 4].map(() => part.slice()))
    const origin = originOf(() => Promise.resolve(new Response(body, { headers: { 'content-type': 'image/png' } })))
    const answer = await exchange(origin, requestOf(), { clock: new ManualClock(), limits: LIMITS })
    const bytes = new Uint8Array(await answer.arrayBuffer())
    expect(bytes.length).toBe(5 * part.length)
    expect(bytes.every((byte, i) => byte === (i % part.length) % 251)).toBe(true)
  })

  it('breaks a large answer off where the origin does, and lets go of it where the caller does', async () => {
    const body = new ManualBody()
    const headers = { 'content-length': String(2 * MiB) }
    const origin = originOf(() => Promise.resolve(new Response(body.stream, { headers })))
    const answer = await exchange(origin, requestOf(), { clock: new ManualClock(), limits: LIMITS })
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
    body.push('abc')
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('abc')
    const next = reader.read()
    body.break()
    await expect(next).rejects.toMatchObject({ kind: 'cut' })

    const left = new ManualBody()
    let signal: AbortSignal | undefined
    const other = originOf((request) => {
      signal = request.signal
      return Promise.resolve(new Response(left.stream, { headers }))
    })
    const half = await exchange(other, requestOf(), { clock: new ManualClock(), limits: LIMITS })
    await half.body?.cancel()
    // A stream of the platform's own notices by what comes next; a client that leaves ends everything at once.
    left.push('abc')
    await expect.poll(() => signal?.aborted).toBe(true)
    expect(left.cancelled).toBeDefined()
    expect(signal?.aborted).toBe(true)
  })
})

describe('hmacAuth', () => {
  const SECRET = '0123456789abcdef0123456789abcdef'
  const EPOCH = 1_790_000_000_000
  const at = (offset: number) => ({ now: () => EPOCH + offset })

  /** An origin that verifies, with a clock of its own. */
  async function verifying(offset: number, seen: string[]) {
    const verifier = new SignatureVerifier([await importKey(SECRET)], { clock: at(offset) })
    return async (request: Request): Promise<Response> => {
      const { pathname, search } = new URL(request.url)
      const verdict = await verifier.verify({
        method: request.method,
        path: pathname + search,
        headers: request.headers,
      })
      const digest = verdict.ok && verdict.digest instanceof Uint8Array ? toHex(verdict.digest) : 'unsigned'
      seen.push(verdict.ok ? `${verdict.caller} ${digest}` : verdict.reason)
      if (verdict.ok) return Response.json({})
      const error = { code: 'unauthorized', message: 'm', reason: verdict.reason }
      return Response.json({ error }, { status: 401, headers: { 'verge-time': String(EPOCH + offset) } })
    }
  }
  const auth = () => hmacAuth(SECRET, { clock: at(0), randomId: () => crypto.randomUUID() })

  it('signs what is sent, the path as a URL writes it', async () => {
    const seen: string[] = []
    const origin = originOf(await verifying(0, seen), { auth: auth() })
    expect(await outcome(origin, requestOf({ path: '/run/a b/../ü?q=ä' }))).toBe(200)
    expect(await outcome(origin, requestOf({ body: piecesOf('x') }))).toBe(200)
    expect(seen[0]).toMatch(/^operator [0-9a-f]{64}$/)
    expect(seen[1]).toBe('operator unsigned')
  })

  it('sets itself by the clock of an origin, and asks once more', async () => {
    const seen: string[] = []
    const origin = originOf(await verifying(600_000, seen), { auth: auth() })
    expect(await outcome(origin)).toBe(200)
    expect(await outcome(origin, requestOf({ body: piecesOf('x') }))).toBe(200)
    expect(seen.map((entry) => entry.split(' ')[0])).toEqual(['clock_skew', 'operator', 'operator'])
  })

  it('does not send a stream again, nor ask a third time', async () => {
    const seen: string[] = []
    const origin = originOf(await verifying(600_000, seen), { auth: auth() })
    expect(await outcome(origin, requestOf({ body: piecesOf('x') }))).toBe('unauthorized')
    expect(seen).toEqual(['clock_skew'])

    let asked = 0
    const stubborn = originOf(
      () => {
        asked += 1
        const error = { code: 'unauthorized', reason: 'clock_skew' }
        return Promise.resolve(Response.json({ error }, { status: 401, headers: { 'verge-time': '5' } }))
      },
      { auth: auth() },
    )
    expect(await outcome(stubborn)).toBe('unauthorized')
    expect(asked).toBe(2)
  })

  it('repeats for the log why an origin refuses a signature, if that is a word', async () => {
    const refusing = (reason: unknown) =>
      originOf(() =>
        Promise.resolve(Response.json({ error: { code: 'unauthorized', message: 'm', reason } }, { status: 401 })),
      )
    const message = (reason: unknown) =>
      exchange(refusing(reason), requestOf(), { clock: new ManualClock(), limits: LIMITS }).then(
        () => 'answered',
        (error: OriginFault) => error.message,
      )
    expect(await message('unsupported_version')).toBe('Origin "fra" answered with status 401 (unsupported_version).')
    for (const reason of ['Bad <b>words', 'x'.repeat(41), 5, undefined]) {
      expect(await message(reason)).toBe('Origin "fra" answered with status 401.')
    }
  })

  it('sends the headers of a service token', async () => {
    const headers = await accessAuth('id.access', ' s3cret ').headers(requestOf(), new URL('https://x'))
    expect(headers).toEqual({ 'CF-Access-Client-Id': 'id.access', 'CF-Access-Client-Secret': 's3cret' })
    expect(() => bearerAuth('two words')).toThrow(/^(?!.*two words)/)
  })
})
