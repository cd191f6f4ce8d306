import { createHash, createHmac } from 'node:crypto'
import { createSignature, verifySignature } from 'http-message-sig'
import { describe, expect, it } from 'vitest'
import { signatureBase } from '../../src/access/message-signature.ts'
import { importKey, SignatureVerifier, type SignedParts, signRequest } from '../../src/access/signature.ts'

const SECRET = 'correct horse battery staple, at length'
const KEY_ID = createHash('sha256').update(SECRET).digest('hex').slice(0, 8)
const NONCE = '000102030405060708090a0b0c0d0e0f'
const TIME = 1_790_000_000_123
const SECONDS = 1_790_000_000
const STAMP = { now: TIME, nonce: NONCE }
const BODY = new TextEncoder().encode('{"inputs":"x"}').slice()
const PARTS: SignedParts = {
  method: 'POST',
  path: '/run/digits?version=2',
  caller: 'service:shop',
  requestId: 'abc-1',
  body: BODY,
}

/** HMAC by Node, and with nothing of ours. */
const hmac = {
  algorithm: 'hmac-sha256',
  sign: (data: Uint8Array) => new Uint8Array(createHmac('sha256', SECRET).update(data).digest()),
  verify: (data: Uint8Array, signature: Uint8Array) =>
    createHmac('sha256', SECRET).update(data).digest().equals(Buffer.from(signature)),
}

function digestField(body: Uint8Array | string): string {
  return `sha-256=:${createHash('sha256').update(body).digest('base64')}:`
}

function message({ method, path }: Pick<SignedParts, 'method' | 'path'>, headers: Record<string, string>) {
  const fields = Object.entries(headers).map(([name, value]) => ({ name, value }))
  return { kind: 'request', method, targetUri: `https://origin.example${path}`, fields } as const
}

describe('signatureBase', () => {
  it('gives the signature of RFC 9421, B.2.5', () => {
    const secret = 'uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=='
    const base = signatureBase(
      [
        ['date', 'Tue, 20 Apr 2021 02:07:55 GMT'],
        ['@authority', 'example.com'],
        ['content-type', 'application/json'],
      ],
      new Map<string, string | number>([
        ['created', 1_618_884_473],
        ['keyid', 'test-shared-secret'],
      ]),
    )
    const signature = createHmac('sha256', Buffer.from(secret, 'base64')).update(base).digest('base64')
    expect(signature).toBe('pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=')
  })
})

describe('signRequest', () => {
  it('writes the fields that its description shows', async () => {
    const headers = await signRequest(PARTS, await importKey(SECRET), STAMP)
    const covered = '("@method" "@path" "@query" "content-digest" "verge-caller" "x-request-id")'
    const parameters = `;created=${SECONDS};nonce="${NONCE}";keyid="${KEY_ID}";alg="hmac-sha256";tag="verge-origin-1"`
    const base = [
      '"@method": POST',
      '"@path": /run/digits',
      '"@query": ?version=2',
      `"content-digest": ${digestField(BODY)}`,
      '"verge-caller": service:shop',
      '"x-request-id": abc-1',
      `"@signature-params": ${covered}${parameters}`,
    ].join('\n')
    expect(headers).toEqual({
      'content-digest': digestField(BODY),
      'verge-caller': 'service:shop',
      'signature-input': `verge=${covered}${parameters}`,
      signature: `verge=:${createHmac('sha256', SECRET).update(base).digest('base64')}:`,
    })
  })

  it.each([
    ['no body', { body: null }, digestField('')],
    ['a stream', { body: 'stream' as const }, undefined],
    ['a mebibyte', { body: new Uint8Array(1024 * 1024) }, digestField('\0'.repeat(1024 * 1024))],
    ['more', { body: new Uint8Array(1024 * 1024 + 1) }, undefined],
    ['no query, caller and request id', { path: '/v2', caller: '', requestId: '' }, digestField(BODY)],
    ['a name in UTF-8', { caller: 'service:café' }, digestField(BODY)],
  ])('signs %s so that another implementation verifies it', async (_, part, digest) => {
    const parts = { ...PARTS, ...part }
    const signed = await signRequest(parts, await importKey(SECRET), STAMP)
    expect(signed['content-digest']).toBe(digest)
    const headers: Record<string, string> = {
      ...signed,
      ...(parts.requestId !== '' && { 'x-request-id': parts.requestId }),
    }
    const verify = (sent: Record<string, string>) =>
      verifySignature(message(parts, sent), {
        policy: {
          algorithms: ['hmac-sha256'],
          requiredComponents: ['@method', '@path', '@query', ...(digest === undefined ? [] : ['content-digest'])],
          requiredParameters: ['created', 'nonce', 'keyid', 'tag'],
          maxAge: 60,
          now: SECONDS + 60,
        },
        resolveVerifier: () => hmac,
      })
    expect(await verify(headers)).toMatchObject({ parameters: { keyid: KEY_ID, nonce: NONCE, tag: 'verge-origin-1' } })
    const other = {
      ...headers,
      'signature-input': headers['signature-input']?.replace(NONCE, `f${NONCE.slice(1)}`) ?? '',
    }
    await expect(verify(other)).rejects.toThrow('verification failed')
  })
})

describe('SignatureVerifier', () => {
  const verifier = async () => new SignatureVerifier([await importKey(SECRET)], { clock: { now: () => TIME + 59_000 } })

  /** A request as another implementation signs it. */
  async function signedByOther(components: readonly string[], parameters: Record<string, string | number> = {}) {
    const own = { 'content-digest': digestField(BODY), 'verge-caller': 'service:caf%C3%A9', 'x-request-id': 'r' }
    const fields = await createSignature(message(PARTS, own), {
      label: 'any-label',
      components,
      parameters: { created: SECONDS, keyid: KEY_ID, nonce: NONCE, tag: 'verge-origin-1', ...parameters },
      signer: { ...hmac, algorithm: String(parameters.alg ?? hmac.algorithm) },
    })
    const headers = new Headers({ ...own, signature: fields.signature, 'signature-input': fields.signatureInput })
    return { method: PARTS.method, path: PARTS.path, headers }
  }
  const ALL = ['x-request-id', 'content-digest', 'verge-caller', '@query', '@path', '@method']

  it('accepts what another implementation signs, in any order', async () => {
    expect(await (await verifier()).verify(await signedByOther(ALL))).toEqual({
      ok: true,
      caller: 'service:café',
      digest: new Uint8Array(createHash('sha256').update(BODY).digest()),
    })
  })

  it('takes a body as unsigned where the signature does not cover its digest', async () => {
    const request = await signedByOther(ALL.filter((name) => name !== 'content-digest'))
    expect(await (await verifier()).verify(request)).toMatchObject({ ok: true, digest: 'unsigned' })
  })

  it.each([
    ['the method', '@method', 'malformed'],
    ['the path', '@path', 'malformed'],
    ['the query', '@query', 'malformed'],
    ['the caller', 'verge-caller', 'bad_signature'],
    ['the request id', 'x-request-id', 'bad_signature'],
  ])('refuses a signature that does not cover %s', async (_, left, reason) => {
    const request = await signedByOther(ALL.filter((name) => name !== left))
    expect(await (await verifier()).verify(request)).toEqual({ ok: false, reason })
  })

  it.each([
    ['alg', 'hmac-sha512', 'malformed'],
    ['expires', SECONDS + 600, 'malformed'],
    ['nonce', 'short', 'malformed'],
    ['created', -1, 'malformed'],
    ['tag', 'verge-origin-2', 'unsupported_version'],
    ['tag', 'something-else', 'missing'],
    ['keyid', '00000000', 'unknown_key'],
  ])('refuses %s = %s', async (name, value, reason) => {
    const request = await signedByOther(ALL, { [name]: value })
    expect(await (await verifier()).verify(request)).toEqual({ ok: false, reason })
  })

  it('leaves signatures for other purposes aside', async () => {
    const { headers, ...request } = await signedByOther(ALL)
    headers.set('signature-input', `proxy=("@authority";req);tag="proxy", ${headers.get('signature-input')}`)
    headers.set('signature', `${headers.get('signature')}, proxy=:AAAA:`)
    expect(await (await verifier()).verify({ ...request, headers })).toMatchObject({ ok: true })
  })
})
