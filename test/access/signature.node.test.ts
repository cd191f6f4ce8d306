import { createHash, createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { importKey, SignatureVerifier, signRequest } from '../../src/access/signature.ts'

const SECRET = 'correct horse battery staple, at length'
const NONCE = '000102030405060708090a0b0c0d0e0f'
const TIME = 1_790_000_000_123

/** The signature as its description says, by Node's own HMAC and with nothing of ours. */
function expected(lines: readonly string[]): string {
  return createHmac('sha256', SECRET).update(lines.join('\n')).digest('hex')
}

function sha256(data: string): string {
  return createHash('sha256').update(data).digest('hex')
}

describe('signRequest', () => {
  it('signs what its description says, as node:crypto does', async () => {
    const headers = await signRequest(
      {
        method: 'POST',
        path: '/run/digits?version=2',
        caller: 'service:shop',
        requestId: 'abc-1',
        body: new TextEncoder().encode('{"inputs":"x"}').slice(),
      },
      await importKey(SECRET),
      { now: TIME, nonce: NONCE },
    )
    const digest = sha256('{"inputs":"x"}')
    const signature = expected([
      'verge-hmac-v1',
      'POST',
      '/run/digits?version=2',
      String(TIME),
      NONCE,
      digest,
      'service:shop',
      'abc-1',
    ])
    expect(headers).toEqual({
      authorization: `Verge-HMAC-SHA256 key="${sha256(SECRET).slice(0, 8)}", ts="${TIME}", nonce="${NONCE}", digest="${digest}", signature="${signature}"`,
      'verge-caller': 'service:shop',
    })
  })

  it.each([
    ['no body', null, sha256('')],
    ['a stream', 'stream' as const, 'unsigned'],
    ['a mebibyte', new Uint8Array(1024 * 1024), sha256('\0'.repeat(1024 * 1024))],
    ['more', new Uint8Array(1024 * 1024 + 1), 'unsigned'],
  ])('signs %s as what it is', async (_, body, digest) => {
    const parts = { method: 'GET', path: '/', caller: '', requestId: '', body }
    const headers = await signRequest(parts, await importKey(SECRET), { now: TIME, nonce: NONCE })
    const signature = expected(['verge-hmac-v1', 'GET', '/', String(TIME), NONCE, digest, '', ''])
    expect(headers.authorization).toContain(`digest="${digest}", signature="${signature}"`)
    expect(headers).not.toHaveProperty('verge-caller')
  })
})

describe('SignatureVerifier', () => {
  it('takes a signature that was made by node:crypto alone', async () => {
    const caller = 'service:caf%C3%A9'
    const signature = expected(['verge-hmac-v1', 'GET', '/v2', String(TIME), NONCE, 'unsigned', caller, 'r'])
    const authorization = `Verge-HMAC-SHA256 key="${sha256(SECRET).slice(0, 8)}", ts="${TIME}", nonce="${NONCE}", digest="unsigned", signature="${signature}"`
    const verifier = new SignatureVerifier([await importKey(SECRET)], { clock: { now: () => TIME + 59_000 } })
    const headers = new Headers({ authorization, 'verge-caller': caller, 'x-request-id': 'r' })
    expect(await verifier.verify({ method: 'GET', path: '/v2', headers })).toEqual({
      ok: true,
      caller: 'service:café',
      digest: 'unsigned',
    })
  })
})
