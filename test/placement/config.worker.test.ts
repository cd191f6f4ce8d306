import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/core/limits.ts'
import { parseOrigins } from '../../src/placement/config.ts'

const fra = { name: 'fra', url: 'https://fra.example.com', auth: { type: 'hmac', key: 'ORIGIN_KEY' } }
const parse = (...origins: readonly object[]): ReturnType<typeof parseOrigins> =>
  parseOrigins(JSON.stringify(origins), LIMITS)

function messageOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    return error instanceof Error ? error.message : ''
  }
  return 'nothing was thrown'
}

describe('ORIGINS', () => {
  it('fills in what is left out', () => {
    expect(parse(fra)).toEqual([
      {
        name: 'fra',
        kind: 'verge',
        url: 'https://fra.example.com',
        weight: 1,
        auth: { type: 'hmac', key: 'ORIGIN_KEY' },
        timeouts: { headersMs: 10_000, idleMs: 15_000, totalMs: 300_000 },
      },
    ])
    expect(parseOrigins(' ', LIMITS)).toEqual([])
    expect(parseOrigins('[]', LIMITS)).toEqual([])
  })

  it('reads all that an origin may have', () => {
    const [origin] = parse({
      name: 'triton-1',
      url: 'http://triton.internal:8000/base/',
      kind: 'oip',
      latitude: 50.1,
      longitude: -8.7,
      weight: 0.5,
      models: { digits: 'Digits/v2' },
      auth: { type: 'access', id: 'ACCESS_ID', secret: 'ACCESS_SECRET' },
      binding: 'VPC',
      timeouts: { headersMs: 500 },
    })
    expect(origin).toEqual({
      name: 'triton-1',
      url: 'http://triton.internal:8000/base',
      kind: 'oip',
      at: { latitude: 50.1, longitude: -8.7 },
      weight: 0.5,
      models: new Map([['digits', 'Digits/v2']]),
      auth: { type: 'access', id: 'ACCESS_ID', secret: 'ACCESS_SECRET' },
      binding: 'VPC',
      timeouts: { headersMs: 500, idleMs: 15_000, totalMs: 300_000 },
    })
    expect(parse({ ...fra, models: ['a', 'b'] })[0]?.models).toEqual(
      new Map([
        ['a', 'a'],
        ['b', 'b'],
      ]),
    )
    expect(parse({ ...fra, models: '*' })[0]).not.toHaveProperty('models')
  })

  it.each(['http://localhost:8788', 'http://127.0.0.1:8788', 'http://[::1]:8788', 'http://gpu.localhost'])(
    'lets %s do without TLS and without a credential',
    (url) => {
      expect(parse({ name: 'here', url })[0]?.auth).toEqual({ type: 'none' })
    },
  )

  it('lets what a binding reaches do without', () => {
    for (const url of ['http://10.0.0.5:8788', 'https://gpu.example.com']) {
      expect(parse({ name: 'vpc', url, binding: 'VPC' })[0]).toMatchObject({
        url,
        auth: { type: 'none' },
        binding: 'VPC',
      })
    }
  })

  it.each<[string, string, readonly object[]]>([
    ['no TLS', 'ORIGINS[0].url: must begin with https://', [{ ...fra, url: 'http://fra.example.com' }]],
    ['a name that looks like loopback', 'ORIGINS[0].url', [{ ...fra, url: 'http://127.0.0.1.example.com' }]],
    ['no address', 'ORIGINS[0].url', [{ ...fra, url: 'fra.example.com' }]],
    ['another scheme', 'ORIGINS[0].url', [{ ...fra, url: 'file:///etc/passwd' }]],
    ['a credential in the address', 'ORIGINS[0].url', [{ ...fra, url: 'https://me:hunter2@fra.example.com' }]],
    ['a query', 'ORIGINS[0].url', [{ ...fra, url: 'https://fra.example.com/?key=hunter2' }]],
    ['the second origin', 'ORIGINS[1].url', [fra, { ...fra, name: 'ams', url: 'x' }]],
    ['a name twice', 'ORIGINS[1].name: is listed twice', [fra, fra]],
    ['a bad name', 'ORIGINS[0].name', [{ ...fra, name: 'Frankfurt am Main' }]],
    ['no credential', 'ORIGINS[0].auth', [{ name: 'fra', url: fra.url }]],
    ['an unknown credential', 'ORIGINS[0].auth', [{ ...fra, auth: { type: 'basic', password: 'hunter2' } }]],
    ['a secret for its name', 'ORIGINS[0].auth.key', [{ ...fra, auth: { type: 'hmac', key: 'hunter2hunter2' } }]],
    ['a secret as a field', 'ORIGINS[0].auth', [{ ...fra, auth: { type: 'hmac', key: 'KEY', hunter2: 1 } }]],
    ['our signature for others', 'ORIGINS[0].auth', [{ ...fra, kind: 'oip', models: ['a'] }]],
    ['one coordinate', 'ORIGINS[0].longitude', [{ ...fra, latitude: 1 }]],
    ['a latitude off the globe', 'ORIGINS[0].latitude', [{ ...fra, latitude: 91, longitude: 0 }]],
    ['no weight', 'ORIGINS[0].weight', [{ ...fra, weight: 0 }]],
    ['all models of another server', 'ORIGINS[0].models', [bearer({ models: '*' })]],
    ['no models of another server', 'ORIGINS[0].models', [bearer({})]],
    ['a model name that cannot be', 'ORIGINS[0].models', [bearer({ models: ['No Name'] })]],
    ['an upstream name of two lines', 'ORIGINS[0].models', [bearer({ models: { a: 'x\r\ny' } })]],
    ['too many models', 'ORIGINS[0].models', [bearer({ models: Array.from({ length: 257 }, (_, i) => `m${i}`) })]],
    ['impossible timeouts', 'ORIGINS[0].timeouts.totalMs', [{ ...fra, timeouts: { totalMs: 5_000 } }]],
    ['no timeout', 'ORIGINS[0].timeouts.idleMs', [{ ...fra, timeouts: { idleMs: 0 } }]],
    ['too many', 'ORIGINS: may have at most 32', Array.from({ length: 33 }, (_, i) => ({ ...fra, name: `n${i}` }))],
  ])('names the field and shows no value: %s', (_, field, origins) => {
    const message = messageOf(() => parse(...origins))
    expect(message).toContain(field)
    expect(message).not.toContain('hunter2')
  })

  it('says nothing of a text that is not JSON', () => {
    expect(messageOf(() => parseOrigins('[{"key": hunter2}]', LIMITS))).toBe(
      "The Worker's configuration is invalid. ORIGINS: is not JSON.",
    )
    expect(messageOf(() => parseOrigins('{"fra": {}}', LIMITS))).toContain('ORIGINS: must be a list of origins')
  })
})

function bearer(fields: object): object {
  return {
    name: 'vllm',
    url: 'https://llm.example.com',
    kind: 'openai',
    auth: { type: 'bearer', token: 'T' },
    ...fields,
  }
}
