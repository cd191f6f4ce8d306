import { describe, expect, it } from 'vitest'
import { NonceMemory } from '../../src/access/nonces.ts'
import {
  importKey,
  SignatureVerifier,
  type SignedParts,
  type SigningKey,
  signRequest,
  type VerifierOptions,
} from '../../src/access/signature.ts'

const SECRET = '0123456789abcdef0123456789abcdef'
const OTHER = 'fedcba9876543210fedcba9876543210'
const NOW = 1_790_000_000_000
const PARTS: SignedParts = {
  method: 'POST',
  path: '/run/digits?version=2',
  caller: 'operator',
  requestId: 'r-1',
  body: null,
}

let nonces = 0
const nonce = (): string => (++nonces).toString(16).padStart(32, '0')

async function signed(
  parts: Partial<SignedParts> = {},
  stamp: { now?: number; nonce?: string; key?: SigningKey } = {},
) {
  const all = { ...PARTS, ...parts }
  const key = stamp.key ?? (await importKey(SECRET))
  const headers = new Headers(await signRequest(all, key, { now: stamp.now ?? NOW, nonce: stamp.nonce ?? nonce() }))
  if (all.requestId !== '') headers.set('x-request-id', all.requestId)
  return { method: all.method, path: all.path, headers }
}

async function verifier(options: Partial<VerifierOptions> = {}, secrets = [SECRET]): Promise<SignatureVerifier> {
  return new SignatureVerifier(await Promise.all(secrets.map(importKey)), { clock: { now: () => NOW }, ...options })
}

describe('SignatureVerifier', () => {
  it('says who a signed request is on behalf of', async () => {
    const accepts = await verifier()
    expect(await accepts.verify(await signed())).toMatchObject({ ok: true, caller: 'operator' })
    expect(await accepts.verify(await signed({ caller: '' }))).toMatchObject({ ok: true, caller: '' })
    expect(await accepts.verify(await signed({ caller: 'service:50% Größe' }))).toMatchObject({
      ok: true,
      caller: 'service:50% Größe',
    })
  })

  it('refuses a request in which anything that was signed is another', async () => {
    const accepts = await verifier()
    const request = await signed()
    const changed = (name: string, value: string) => {
      const headers = new Headers(request.headers)
      headers.set(name, value)
      return { ...request, headers }
    }
    const input = request.headers.get('signature-input') ?? ''
    const without = (name: string) => {
      const headers = new Headers(request.headers)
      headers.delete(name)
      return { ...request, headers }
    }
    const refused = [
      { ...request, method: 'GET' },
      { ...request, path: '/run/digits?version=3' },
      { ...request, path: '/run/digits' },
      changed('verge-caller', 'service:x'),
      changed('x-request-id', 'r-2'),
      changed('content-digest', `sha-256=:${btoa('x'.repeat(32))}:`),
      without('verge-caller'),
      without('x-request-id'),
      changed('signature-input', input.replace(/created=\d+/, `created=${NOW / 1000 + 1}`)),
      changed('signature-input', input.replace(/nonce="\w+"/, `nonce="${'f'.repeat(32)}"`)),
      changed('signature-input', input.replace(' "content-digest"', '')),
      changed('signature-input', input.replace(' "verge-caller"', '')),
      changed('signature', `verge=:${btoa('x'.repeat(32))}:`),
      changed('signature', 'verge=:AAAA:'),
    ]
    for (const other of refused) expect(await accepts.verify(other)).toEqual({ ok: false, reason: 'bad_signature' })
    expect(await accepts.verify(request)).toMatchObject({ ok: true })
  })

  it('tells what is missing, malformed, or signed with a key that it does not know', async () => {
    const accepts = await verifier()
    const whole = await signed()
    const input = whole.headers.get('signature-input') ?? ''
    const signature = whole.headers.get('signature') ?? ''
    const reason = async (changes: Readonly<Record<string, string>>) => {
      const headers = new Headers(whole.headers)
      for (const [name, value] of Object.entries(changes)) {
        if (value === '') headers.delete(name)
        else headers.set(name, value)
      }
      const verdict = await accepts.verify({ ...whole, headers })
      return verdict.ok ? 'ok' : verdict.reason
    }
    expect(await reason({ 'signature-input': '' })).toBe('missing')
    expect(await reason({ 'signature-input': '', authorization: 'Bearer abc' })).toBe('missing')
    expect(await reason({ 'signature-input': '', authorization: 'Verge-HMAC-SHA256 key="0"' })).toBe(
      'unsupported_version',
    )
    expect(await reason({ 'signature-input': input.replace('verge-origin-1', 'verge-origin-2') })).toBe(
      'unsupported_version',
    )
    expect(await reason({ 'signature-input': input.replace('verge-origin-1', 'another') })).toBe('missing')
    for (const malformed of [
      { signature: '' },
      { signature: 'other=:AAAA:' },
      { signature: 'verge="text"' },
      { signature: 'verge=:A:B' },
      { 'signature-input': input.replace('(', '') },
      { 'signature-input': `${input}, second${input.slice(5)}`, signature: `${signature}, second=:AAAA:` },
      { 'signature-input': 'verge;tag="verge-origin-1"' },
      { 'signature-input': input.replace('"@path"', '"@path" "@path"') },
      { 'signature-input': input.replace('"@path"', '"@path";req') },
      { 'signature-input': input.replace('"@path"', '"@authority"') },
      { 'signature-input': `${input};expires=1` },
      { 'signature-input': input.replace('"x-request-id"', '"x-request-id" "date"') },
      { 'signature-input': `${input}, ${'a, '.repeat(2_000)}a` },
      { 'content-digest': 'sha-256=:AAAA:' },
      { 'content-digest': '' },
      { 'verge-caller': 'a'.repeat(513) },
      { 'verge-caller': 'a b' },
      { 'verge-caller': '%FF' },
      { 'x-request-id': 'r'.repeat(129) },
    ]) {
      expect([malformed, await reason(malformed)]).toEqual([malformed, 'malformed'])
    }
    const foreign = await signed({}, { key: await importKey(OTHER) })
    expect(await accepts.verify(foreign)).toEqual({ ok: false, reason: 'unknown_key' })
  })

  it('takes both keys while one is being replaced', async () => {
    const accepts = await verifier({}, [OTHER, SECRET])
    expect(await accepts.verify(await signed())).toMatchObject({ ok: true })
    expect(await accepts.verify(await signed({}, { key: await importKey(OTHER) }))).toMatchObject({ ok: true })
  })

  it('takes a clock that is off by the window, and none that is off by more', async () => {
    const accepts = await verifier({ windowMs: 1_000 })
    const reasons = []
    // by the second: what is signed in the last millisecond of one is as old as its first
    for (const now of [NOW - 1_001, NOW - 1_000, NOW + 1_999, NOW + 2_000]) {
      const verdict = await accepts.verify(await signed({}, { now }))
      reasons.push(verdict.ok ? 'ok' : verdict.reason)
    }
    expect(reasons).toEqual(['clock_skew', 'ok', 'ok', 'clock_skew'])
  })

  it('refuses what it has seen, of equal requests at once all but one', async () => {
    const accepts = await verifier()
    const request = await signed()
    const verdicts = await Promise.all(Array.from({ length: 8 }, () => accepts.verify(request)))
    expect(verdicts.filter(({ ok }) => ok)).toHaveLength(1)
    expect(verdicts.filter((verdict) => !verdict.ok && verdict.reason === 'replayed')).toHaveLength(7)
  })

  it('uses up no nonce for a request that is wrong', async () => {
    const accepts = await verifier()
    const mine = nonce()
    const wrong = await signed({}, { nonce: mine })
    expect(await accepts.verify({ ...wrong, path: '/other' })).toEqual({ ok: false, reason: 'bad_signature' })
    expect(await accepts.verify(await signed({}, { nonce: mine }))).toMatchObject({ ok: true })
  })

  it('refuses a replay however many requests came between', async () => {
    let now = NOW
    const accepts = await verifier({ clock: { now: () => now }, nonces: 10 })
    const first = await signed()
    expect(await accepts.verify(first)).toMatchObject({ ok: true })
    for (let i = 0; i < 40; i++) {
      now += 500
      expect(await accepts.verify(await signed({}, { now }))).toMatchObject({ ok: true })
    }
    expect(await accepts.verify(first)).toMatchObject({ ok: false })
  })

  it('matches a body with the digest that was signed', async () => {
    const accepts = await verifier()
    const body = new TextEncoder().encode('{}').slice()
    const verdict = await accepts.verify(await signed({ body }))
    if (!verdict.ok) throw new Error(verdict.reason)
    expect(await accepts.matches(verdict.digest, body)).toBe(true)
    expect(await accepts.matches(verdict.digest, new TextEncoder().encode('[]').slice())).toBe(false)
    expect(await accepts.matches('unsigned', body)).toBe(true)
  })

  it('wants a secret that is long enough, and does not repeat a short one', async () => {
    await expect(importKey('short-secret')).rejects.toThrow(/^(?!.*short-secret).*at least 32/)
  })
})

describe('NonceMemory', () => {
  it('holds no more than it may, and forgets what is too old', () => {
    const memory = new NonceMemory(3)
    expect([memory.claim('a', 1_000, 0), memory.claim('b', 2_000, 0), memory.claim('c', 3_000, 0)]).toEqual([
      true,
      true,
      true,
    ])
    expect(memory.claim('d', 4_000, 0)).toBe(true)
    expect([memory.tooOld(1_999), memory.tooOld(2_000)]).toEqual([true, false])
    expect(memory.claim('b', 2_000, 0)).toBe(false)
    // b and c are too old to be accepted by now: there is room again, and nothing has to go early
    expect([memory.claim('e', 9_000, 4_000), memory.claim('f', 9_000, 4_000)]).toEqual([true, true])
    expect(memory.tooOld(4_000)).toBe(false)
  })
})
