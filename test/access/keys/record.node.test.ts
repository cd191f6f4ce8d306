import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { findSecret, hashedSecret, keyRecordBytes, parseKeyRecord } from '../../../src/access/keys/record.ts'
import { isVergeError } from '../../../src/core/errors.ts'
import { issueKey, randomBytes } from '../../fixtures/keys.ts'

const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))

function failure(bytes: Uint8Array, id: string): string {
  try {
    parseKeyRecord(bytes, id)
    return 'none'
  } catch (error) {
    return isVergeError(error) ? error.code : String(error)
  }
}

describe('parseKeyRecord', () => {
  it('reads what was written, rates as texts included', async () => {
    const limits = { rate: '60/1m', budgets: { day: { tokens: 5 } } }
    const { record } = await issueKey({ models: ['a', 'b-*'], limits, plan: 'basic' }, { expiresAt: 99 })
    const bytes = keyRecordBytes(record)
    expect(parseKeyRecord(bytes, record.id)).toEqual(record)
    expect(JSON.parse(new TextDecoder().decode(bytes))).toMatchObject({ grant: { limits: { rate: '60/1m' } } })
    expect(record.grant.limits?.rate).toEqual({ requests: 60, seconds: 60 })
  })

  it('refuses a record that was cut off anywhere', async () => {
    const { record } = await issueKey()
    const bytes = keyRecordBytes(record)
    for (let length = 0; length < bytes.length; length++) {
      expect(failure(bytes.subarray(0, length), record.id)).toBe('store_unavailable')
    }
  })

  it('refuses what it does not know, because it may be a restriction', async () => {
    const { record } = await issueKey()
    const wrong = [
      { ...record, generation: 0 },
      { ...record, schema: 2 },
      { ...record, allowedOn: 'Mondays' },
      { ...record, secrets: [] },
      { ...record, secrets: [{ ...record.secrets[0], uses: 1 }] },
      { ...record, grant: { ...record.grant, until: 5 } },
      { ...record, revokedAt: 'yesterday' },
      { ...record, expiresAt: -1 },
      null,
      [],
      'key',
    ]
    for (const value of wrong) expect(failure(text(value), record.id), JSON.stringify(value)).toBe('store_unavailable')
    expect(failure(text(record), record.id)).toBe('none')
  })

  it("refuses another key's record", async () => {
    const [mine, other] = [await issueKey(), await issueKey()]
    expect(failure(keyRecordBytes(other.record), mine.record.id)).toBe('store_unavailable')
  })

  it('says nothing of the record to the caller', async () => {
    const { record } = await issueKey()
    try {
      parseKeyRecord(text({ ...record, generation: 0 }), record.id)
      expect.unreachable()
    } catch (error) {
      expect(String(error)).not.toContain(record.id)
      expect(String(error)).not.toContain('generation')
    }
  })
})

describe('a secret', () => {
  it('is kept as the SHA-256 of its salt and itself', async () => {
    const salt = randomBytes(16)
    const { hash, salt: kept } = await hashedSecret('abc', salt)
    expect(kept).toBe(Buffer.from(salt).toString('hex'))
    expect(hash).toBe(createHash('sha256').update(salt).update('abc').digest('hex'))
  })

  it('is found among those of a rotation, whether it has ended or not', async () => {
    const { record, secret } = await issueKey()
    const next = { ...(await hashedSecret('next', randomBytes(16))), createdAt: 5 }
    const rotated = { ...record, secrets: [...record.secrets, next] }
    expect(await findSecret(rotated, secret)).toEqual(record.secrets[0])
    expect(await findSecret(rotated, 'next')).toEqual(next)
    for (const other of ['', 'nex', 'next ', secret.toLowerCase(), secret.slice(1)]) {
      expect(await findSecret(rotated, other)).toBeUndefined()
    }
  })
})
