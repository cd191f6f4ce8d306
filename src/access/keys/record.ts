import * as z from 'zod'
import { sha256Hex } from '../../catalog/manifest.ts'
import { constantTimeEqual, toHex } from '../../core/bytes.ts'
import { isVergeError, VergeError } from '../../core/errors.ts'
import { validate } from '../../core/validation.ts'
import { grantSchema } from '../grant.ts'
import { KEY_ID } from './form.ts'

const KEY_RECORD_SCHEMA = 1
/** Where keys' records lie, in R2 and in KV. */
export const KEY_RECORD_PREFIX = 'key/'

/** Secrets of one key that are valid at once, or were: a rotation leaves the last ones as they ended. */
export const MOST_SECRETS = 8
const MOST_SIGNERS = 8

/** To the end of the year 9999. */
const seconds = z.number().int().nonnegative().max(253_402_300_799)

const secretSchema = z.strictObject({
  /** 16 random bytes. */
  salt: z.string().regex(/^[0-9a-f]{32}$/, '32 lower-case hexadecimal digits'),
  /** SHA-256 of the salt's bytes and the secret's characters. */
  hash: sha256Hex,
  createdAt: seconds,
  expiresAt: seconds.optional(),
})

/**
 * A key as it is stored: R2 has the truth, KV a copy. The secret is not in it. What a Worker does not know, it refuses: an
 * unknown field may be a restriction. Times are in seconds since 1970.
 */
export const keyRecordSchema = z.strictObject({
  schema: z.literal(KEY_RECORD_SCHEMA),
  id: z.string().regex(KEY_ID, 'the id of a key'),
  /** For people. */
  name: z.string().min(1).max(64),
  createdAt: seconds,
  /** Oldest first. */
  secrets: z.array(secretSchema).min(1).max(MOST_SECRETS).readonly(),
  grant: grantSchema,
  expiresAt: seconds.optional(),
  /** A revoked key stays on record. */
  revokedAt: seconds.optional(),
  revokedWhy: z.string().max(200).optional(),
  /** Public keys that may sign browser tokens in this key's name. */
  signing: z
    .array(z.strictObject({ publicKey: z.string().min(1).max(256) }))
    .max(MOST_SIGNERS)
    .readonly()
    .optional(),
  /** Rises by one with every write. */
  generation: z.number().int().positive(),
})

export type KeyRecord = z.infer<typeof keyRecordSchema>
export type KeySecret = KeyRecord['secrets'][number]

export function keyRecordKey(id: string): string {
  return KEY_RECORD_PREFIX + id
}

/**
 * Reads a record from its stored bytes.
 * @throws store_unavailable if it is not whole, is another key's or was written by a newer Verge: nobody gets in by it
 */
export function parseKeyRecord(bytes: Uint8Array, id: string): KeyRecord {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes))
    const record = validate(keyRecordSchema, value, 'The record')
    if (record.id === id) return record
    throw new VergeError('invalid_request', 'It is the record of another key.')
  } catch (cause) {
    const why = isVergeError(cause) ? cause.message : 'It is not JSON.'
    throw new VergeError('store_unavailable', `The record of the key cannot be read. ${UNREADABLE}`, {
      cause: new Error(`record of key ${id}: ${why}`, { cause }),
    })
  }
}

const UNREADABLE = 'The operator must correct it, or deploy a newer Worker.'

/** The bytes of a record. */
export function keyRecordBytes(record: KeyRecord): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(z.encode(keyRecordSchema, record)))
}

/**
 * What a record keeps of a secret. Secrets are random, 190 bits each, so nobody can try them all: a slow hash would cost every
 * request time, and protect nothing more.
 * @param salt 16 random bytes
 */
export async function hashedSecret(secret: string, salt: Uint8Array): Promise<Pick<KeySecret, 'salt' | 'hash'>> {
  return { salt: toHex(salt), hash: toHex(await digestOf(secret, salt)) }
}

/** The entry of a secret in its key's record, expired or not; undefined if it is not among them. */
export async function findSecret({ secrets }: KeyRecord, secret: string): Promise<KeySecret | undefined> {
  let found: KeySecret | undefined
  // All of them, so that the time taken does not say which one it was.
  for (const each of secrets) {
    if (constantTimeEqual(await digestOf(secret, fromHex(each.salt)), fromHex(each.hash))) found = each
  }
  return found
}

async function digestOf(secret: string, salt: Uint8Array): Promise<Uint8Array> {
  const text = new TextEncoder().encode(secret)
  const bytes = new Uint8Array(salt.length + text.length)
  bytes.set(salt)
  bytes.set(text, salt.length)
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
}

function fromHex(digits: string): Uint8Array {
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16))
}
