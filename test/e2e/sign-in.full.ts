/** Sign-in at a Worker in workerd: an issuer on this machine that publishes its keys, changes them and goes away. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { OAuth2Server } from 'oauth2-mock-server'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MATMUL_INNER, matmulModel } from '../../synthetic/onnx-models.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'

const SIGNATURE = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', MATMUL_INNER] }],
  outputs: [{ name: 'mean', datatype: 'FP32', shape: ['n', 1] }],
} as const
const AUDIENCE = 'https://verge.example.com'
let issuer: OAuth2Server
let silent: Server
let worker: LiveWorker

/** What `SIGN_IN` says of an issuer. */
const settings = (name: string, url: string, more: object = {}) => ({
  name,
  issuer: url,
  audience: AUDIENCE,
  jwks: `${url}/jwks`,
  grants: [{ when: { groups: 'ml' }, grant: { models: ['digits'], actions: ['infer'] } }],
  ...more,
})

beforeAll(async () => {
  issuer = new OAuth2Server()
  await issuer.issuer.keys.generate('RS256', { kid: 'first' })
  await issuer.start(0, '127.0.0.1')
  silent = createServer(() => {})
  await new Promise<void>((done) => void silent.listen(0, '127.0.0.1', done))
  const silentUrl = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
  const issuers = [
    settings('company', String(issuer.issuer.url)),
    settings('silent', silentUrl),
    settings('access', 'https://team.cloudflareaccess.example', {
      jwks: `${issuer.issuer.url}/jwks`,
      header: 'cf-access-jwt-assertion',
    }),
  ]
  worker = await startLiveWorker({ SIGN_IN: JSON.stringify(issuers) })
  await publishModel(await writerFor(worker), 'digits', matmulModel(4_096), SIGNATURE, { visibility: 'private' })
})
afterAll(async () => {
  await worker?.dispose()
  silent?.close().closeAllConnections()
  if (issuer?.listening) await issuer.stop()
})

function token(more: Readonly<Record<string, unknown>> = {}, kid = 'first'): Promise<string> {
  return issuer.issuer.buildToken({
    kid,
    scopesOrTransform: (_, payload) =>
      void Object.assign(payload, { aud: AUDIENCE, sub: 'anna', groups: ['ml'], ...more }),
  })
}

async function status(headers: Readonly<Record<string, string>>): Promise<number> {
  const answer = await fetch(`${worker.url}/v2/models/digits`, { headers })
  await answer.body?.cancel()
  return answer.status
}
const bearer = (text: string) => ({ authorization: `Bearer ${text}` })

describe('sign-in at a Worker', () => {
  it('lets in whom the issuer vouches for, many at once', async () => {
    const good = bearer(await token())
    expect(await Promise.all(Array.from({ length: 20 }, () => status(good)))).toEqual(
      Array.from({ length: 20 }, () => 200),
    )
    expect(await status({})).toBe(404)
    expect(await status(bearer(await token({ groups: ['sales'] })))).toBe(401)
    expect(await status(bearer(await token({ aud: 'https://other.example.com' })))).toBe(401)
    expect(await status(bearer(`${await token()}x`))).toBe(401)
  })

  it('reads the token of Cloudflare Access from its header alone', async () => {
    const text = await token({ iss: 'https://team.cloudflareaccess.example' })
    expect(await status({ 'cf-access-jwt-assertion': text })).toBe(200)
    expect(await status(bearer(text))).toBe(401)
    expect(await status({ 'cf-access-jwt-assertion': await token() })).toBe(401)
    expect(await status({ 'cf-access-jwt-assertion': text, origin: 'https://attacker.example' })).toBe(404)
  })

  it('is closed while an issuer whose keys nobody has does not answer', async () => {
    const { port } = silent.address() as AddressInfo
    const answer = await fetch(`${worker.url}/v2/models/digits`, {
      headers: bearer(await token({ iss: `http://127.0.0.1:${port}` })),
    })
    expect(answer.status).toBe(503)
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    // Others are signed in as before.
    expect(await status(bearer(await token()))).toBe(200)
  })

  it('goes by the last known keys when the issuer is gone', async () => {
    const good = await token()
    await issuer.stop()
    expect(await status(bearer(good))).toBe(200)
  })
})
