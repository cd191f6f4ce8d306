import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../../../src/cli/files/project.ts'
import { descriptionSchema, readDescription } from '../../../src/cli/pack/description.ts'
import { pack } from '../../../src/cli/pack/packer.ts'
import { parseConfig } from '../../../src/config/config.ts'
import { LIMITS } from '../../../src/core/limits.ts'

const FOLDER = join(ROOT, 'models/digits')

describe("a model's word on the result cache", () => {
  it.each([[false], [{ ttlSeconds: 60 }], [undefined]])('%j is carried into its manifest', async (cache) => {
    const description = await readDescription(FOLDER)
    const { manifest } = await pack(descriptionSchema.parse({ ...description, cache }), FOLDER)
    expect(manifest.cache).toEqual(cache)
  })

  it.each([[true], [{}], [{ ttlSeconds: 0 }], [{ ttlSeconds: 1e9 }], [{ ttlSeconds: 5, more: 1 }], ['no']])(
    '%j is refused',
    async (cache) => {
      const description = await readDescription(FOLDER)
      const { success, error } = descriptionSchema.safeParse({ ...description, cache })
      expect(success).toBe(false)
      expect(error?.issues.map(({ path }) => path[0])).toEqual(['cache'])
    },
  )
})

describe('variables', () => {
  it('set the limit of cost, the time of results, and who is let in', async () => {
    const { limits, rpcCallers } = await parseConfig({
      REQUEST_COST_LIMIT: '700',
      RESULT_CACHE_TTL_SECONDS: '0',
      RPC_CALLERS: 'shop, search,',
    })
    expect(limits).toMatchObject({ requestCost: 700, resultTtlSeconds: 0 })
    expect([...rpcCallers]).toEqual(['shop', 'search'])
  })

  it('are origins as browsers send them', async () => {
    const written = 'https://a.example.com/, HTTPS://B.example.com:443, http://localhost:3000, null, *'
    const { corsOrigins } = await parseConfig({ CORS_ALLOW: written })
    expect(corsOrigins).toEqual([
      'https://a.example.com',
      'https://b.example.com',
      'http://localhost:3000',
      'null',
      '*',
    ])
  })

  it.each([{}, { RESULT_CACHE_TTL_SECONDS: '', REQUEST_COST_LIMIT: '', ADMITTED_REQUESTS: '', RPC_CALLERS: '' }])(
    'are what limits.ts says where they are absent or empty, and let nobody in',
    async (env) => {
      const { limits, rpcCallers } = await parseConfig(env)
      expect(limits).toEqual(LIMITS)
      expect(rpcCallers.size).toBe(0)
    },
  )

  it.each([
    ['REQUEST_COST_LIMIT', '0'],
    ['REQUEST_COST_LIMIT', 'many'],
    ['RESULT_CACHE_TTL_SECONDS', '-1'],
    ['RESULT_CACHE_TTL_SECONDS', '99999999'],
    ['CORS_ALLOW', 'example.com'],
    ['RPC_CALLERS', 'shop, *'],
    ['VERGE_API_KEY', 'schlüssel-des-betreibers'],
    ['VERGE_API_KEY', 'a key with spaces in it'],
  ])('refuse %s = %s by name', async (name, value) => {
    await expect(parseConfig({ [name]: value })).rejects.toThrow(name)
  })
})
