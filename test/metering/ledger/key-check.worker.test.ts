import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { keyRecordKey } from '../../../src/access/keys/record.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { systemClock } from '../../../src/core/runtime.ts'
import { keyRefusal } from '../../../src/metering/ledger/key-check.ts'
import { R2Store } from '../../../src/weights/r2.ts'

const { BUCKET } = env as unknown as { readonly BUCKET: R2Bucket }
const options = { truth: new R2Store(BUCKET), clock: systemClock, limits: LIMITS }

const record = (id: string, fields: object = {}): string =>
  JSON.stringify({
    schema: 1,
    id,
    name: 'shop',
    createdAt: 1,
    secrets: [{ salt: '0'.repeat(32), hash: '0'.repeat(64), createdAt: 1 }],
    grant: { models: ['*'], actions: ['infer'], places: ['edge'] },
    generation: 1,
    ...fields,
  })

async function refusalOf(id: string, stored?: string): Promise<string | undefined> {
  if (stored !== undefined) await BUCKET.put(keyRecordKey(id), stored)
  return keyRefusal(`key:${id}`, options)
}

describe('a principal', () => {
  it('whose key is as it was may continue', async () => {
    expect(await refusalOf('0123456789ab', record('0123456789ab'))).toBeUndefined()
  })

  it.each([
    [
      'was revoked',
      record('0123456789ac', { revokedAt: 1_700_000_000 }),
      'The key was revoked. Ask the operator for a new key.',
    ],
    [
      'has expired',
      record('0123456789ac', { expiresAt: 1_700_000_000 }),
      'The key has expired. Ask the operator for a new key.',
    ],
  ])('whose key %s gets nothing', async (_, stored, why) => {
    expect(await refusalOf('0123456789ac', stored)).toBe(why)
  })

  it('whose key is not there gets nothing', async () => {
    expect(await refusalOf('0123456789ad')).toMatch(/does not exist any more/)
  })

  it.each(['half of it {', 'x'.repeat(200_000)])(
    'whose key cannot be read is not known to be allowed: %.12s',
    async (stored) => {
      await expect(refusalOf('0123456789ae', stored)).rejects.toMatchObject({ code: 'store_unavailable' })
    },
  )

  it.each(['user:company:0123456789abcdef', 'token:abc', 'address:192.0.2.1', 'model:m', 'anonymous'])(
    '%s is no key',
    async (principal) => {
      expect(await keyRefusal(principal, options)).toBeUndefined()
    },
  )
})
