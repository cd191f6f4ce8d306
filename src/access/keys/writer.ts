import * as z from 'zod'
import type { ChangeLog } from '../../catalog/change-log.ts'
import { changeRecord, readStored, type StoredRecord } from '../../catalog/change-record.ts'
import { refreshCopies } from '../../catalog/copies.ts'
import { isVergeError, VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { type Clock, type Logger, type Sha256Factory, silentLogger } from '../../core/runtime.ts'
import type { Store } from '../../weights/store.ts'
import { NO_RIGHTS } from '../grant.ts'
import { makeKey, type RandomBytes } from './form.ts'
import {
  hashedSecret,
  type KeyRecord,
  keyRecordBytes,
  keyRecordKey,
  keyRecordSchema,
  MOST_SECRETS,
  parseKeyRecord,
} from './record.ts'

export interface KeyWriterOptions {
  readonly sha256: Sha256Factory
  /** Counts from 1970. */
  readonly clock: Clock
  readonly random: RandomBytes
  readonly logger?: Logger
  readonly limits: Pick<Limits, 'keyRecordBytes' | 'aliasWriteAttempts' | 'kvWritePauseMs'>
  /** Has every change before it is made. */
  readonly audit?: ChangeLog | undefined
}

/** What an operator decides about a key. */
export type KeyDecisions = Pick<KeyRecord, 'name' | 'grant' | 'expiresAt' | 'signing'>

export interface KeyUpdate {
  readonly record: KeyRecord
  /** False if the key was already as wanted. */
  readonly changed: boolean
  /** The truth has the change, and a copy may not. The next command about this key writes it again. */
  readonly outdated?: VergeError
}

/** A key with the text for whoever is to have it, which nothing keeps. */
export interface NewSecret extends KeyUpdate {
  readonly text: string
}

interface Read extends StoredRecord {
  readonly record: KeyRecord
}

const SALT_BYTES = 16

/**
 * Writes callers' keys: by a conditional write to the source of truth, then to the copies. A key that was not copied works
 * all the same, because readers ask the truth for what the copies lack; a revocation that was not copied works late.
 */
export class KeyWriter {
  readonly #truth: Store
  readonly #copies: readonly Store[]
  readonly #options: KeyWriterOptions

  constructor(truth: Store, copies: readonly Store[], options: KeyWriterOptions) {
    this.#truth = truth
    this.#copies = copies
    this.#options = options
  }

  /** @throws invalid_request, store_unavailable, conflict if other commands keep writing the audit log */
  async create(decisions: KeyDecisions): Promise<NewSecret> {
    for (let attempt = 0; attempt < this.#options.limits.aliasWriteAttempts; attempt++) {
      const { id, secret, text } = makeKey(this.#options.random)
      const createdAt = this.#now()
      const secrets = [await this.#secretOf(secret, createdAt)]
      const record = { schema: 1 as const, id, ...decisions, createdAt, secrets, generation: 1 }
      // the id may be taken
      if (await this.#write('key-create', null, record)) {
        return { record, text, changed: true, ...(await this.#copied(id, false)) }
      }
    }
    throw keepsChanging('(new)')
  }

  /**
   * Adds a secret, and lets the ones before end.
   * @param overlap seconds for which those are still accepted
   * @throws not_found, conflict if the key has ended, or has too many secrets
   */
  async rotate(id: string, overlap: number): Promise<NewSecret> {
    const { secret, text } = makeKey(this.#options.random, id)
    const update = await this.#update(id, 'key-rotate', async (record) => {
      const now = this.#now()
      assertUsable(record, now)
      const end = now + overlap
      const ending = record.secrets.map((each) => ({ ...each, expiresAt: Math.min(each.expiresAt ?? end, end) }))
      const kept = ending.slice(-(MOST_SECRETS - 1))
      if (ending.slice(0, -(MOST_SECRETS - 1)).some(({ expiresAt }) => expiresAt > now)) {
        throw new VergeError(
          'conflict',
          `Key ${id} has ${MOST_SECRETS} secrets that are valid. Wait until the oldest ends, or rotate with an overlap of 0.`,
        )
      }
      return { ...record, secrets: [...kept, await this.#secretOf(secret, now)] }
    })
    return { ...update, text }
  }

  /** @throws not_found, conflict if the key was revoked, invalid_request */
  update(id: string, decide: (record: KeyRecord) => KeyDecisions): Promise<KeyUpdate> {
    return this.#update(id, 'key-update', async (record) => {
      assertNotRevoked(record)
      const { name: _n, grant: _g, expiresAt: _e, signing: _s, ...rest } = record
      return { ...rest, ...decide(record) }
    })
  }

  /**
   * Revokes a key for good. A record that cannot be read is replaced: until then, copies of it may still be accepted.
   * @throws not_found
   */
  async revoke(id: string, why?: string): Promise<KeyUpdate> {
    const revoked = { revokedAt: this.#now(), ...(why !== undefined && { revokedWhy: why }) }
    const change = async (record: KeyRecord): Promise<KeyRecord> =>
      record.revokedAt === undefined ? { ...record, ...revoked } : record
    try {
      return await this.#update(id, 'key-revoke', change)
    } catch (error) {
      if (!isVergeError(error, 'invalid_request')) throw error
      return this.#replace(id, revoked)
    }
  }

  /** The record as the truth has it. @throws not_found, invalid_request if it cannot be read, store_unavailable */
  async read(id: string): Promise<KeyRecord> {
    return (await this.#read(id)).record
  }

  /** Writes the copies of a key again where they differ from the truth. @returns whether any did */
  async refreshCopies(id: string): Promise<boolean> {
    return (await this.#refresh(id, true)) > 0
  }

  async #update(id: string, action: string, change: (record: KeyRecord) => Promise<KeyRecord>): Promise<KeyUpdate> {
    for (let attempt = 0; attempt < this.#options.limits.aliasWriteAttempts; attempt++) {
      const old = await this.#read(id)
      const next = { ...(await change(old.record)), generation: old.record.generation + 1 }
      if (isSame(old.record, next)) {
        return { record: old.record, changed: false, ...(await this.#copied(id, true)) }
      }
      if (await this.#write(action, old, next)) {
        return { record: next, changed: true, ...(await this.#copied(id, false)) }
      }
    }
    throw keepsChanging(id)
  }

  /** A revoked record in the place of one that cannot be read. */
  async #replace(id: string, revoked: Pick<KeyRecord, 'revokedAt' | 'revokedWhy'>): Promise<KeyUpdate> {
    const now = this.#now()
    const { secret } = makeKey(this.#options.random, id)
    const record: KeyRecord = {
      schema: 1,
      id,
      name: 'unreadable',
      createdAt: now,
      secrets: [await this.#secretOf(secret, now)],
      grant: NO_RIGHTS,
      ...revoked,
      // higher than any that was counted, so that readers take it for newer than what they have
      generation: now,
    }
    const stored = await readStored(this.#truth, keyRecordKey(id), this.#options.limits.keyRecordBytes)
    if (!(await this.#write('key-revoke', stored, record))) throw keepsChanging(id)
    return { record, changed: true, ...(await this.#copied(id, false)) }
  }

  async #read(id: string): Promise<Read> {
    const stored = await readStored(this.#truth, keyRecordKey(id), this.#options.limits.keyRecordBytes)
    if (stored === null) throw new VergeError('not_found', `There is no key ${id}.`, { details: { id } })
    return { ...stored, record: readableRecord(stored.bytes, id) }
  }

  /** @throws invalid_request if the record is not one that a Worker would read */
  async #write(action: string, before: StoredRecord | null, record: KeyRecord): Promise<boolean> {
    const { limits, sha256, audit } = this.#options
    const after = checkedBytes(record)
    if (after.length > limits.keyRecordBytes) {
      throw new VergeError(
        'invalid_request',
        `The record of the key would have ${after.length} bytes; the limit is ${limits.keyRecordBytes}. Name fewer models ` +
          'or pages.',
      )
    }
    const change = { key: keyRecordKey(record.id), maxBytes: limits.keyRecordBytes, action, before, after }
    return changeRecord(this.#truth, change, { sha256, audit, shown: withoutHashes })
  }

  async #copied(id: string, compare: boolean): Promise<Pick<KeyUpdate, 'outdated'>> {
    try {
      await this.#refresh(id, compare)
      return {}
    } catch (error) {
      if (!isVergeError(error, 'store_unavailable')) throw error
      return { outdated: error }
    }
  }

  #refresh(id: string, compare: boolean): Promise<number> {
    const { clock, logger = silentLogger, limits } = this.#options
    const record = { key: keyRecordKey(id), name: `record of key ${id}`, maxBytes: limits.keyRecordBytes }
    return refreshCopies(this.#truth, this.#copies, record, { clock, logger, limits, compare })
  }

  async #secretOf(secret: string, createdAt: number): Promise<KeyRecord['secrets'][number]> {
    return { ...(await hashedSecret(secret, this.#options.random(SALT_BYTES))), createdAt }
  }

  /** In seconds. */
  #now(): number {
    return Math.floor(this.#options.clock.now() / 1000)
  }
}

/** @throws invalid_request with the reason, for the operator */
export function readableRecord(bytes: Uint8Array | null, id: string): KeyRecord {
  try {
    return parseKeyRecord(bytes ?? new Uint8Array(0), id)
  } catch (error) {
    const { cause } = error as Error
    throw new VergeError(
      'invalid_request',
      `The ${cause instanceof Error ? cause.message : 'record cannot be read'} Correct ${keyRecordKey(id)} in the bucket, or ` +
        'revoke the key.',
      { cause: error, details: { id } },
    )
  }
}

function assertUsable(record: KeyRecord, now: number): void {
  assertNotRevoked(record)
  if (record.expiresAt === undefined || record.expiresAt > now) return
  throw new VergeError('conflict', `Key ${record.id} has expired. Give it a later end first.`)
}

function assertNotRevoked({ id, revokedAt }: KeyRecord): void {
  if (revokedAt === undefined) return
  throw new VergeError('conflict', `Key ${id} was revoked, and stays revoked. Create another key.`)
}

function isSame(old: KeyRecord, next: KeyRecord): boolean {
  const text = (record: KeyRecord): string => new TextDecoder().decode(keyRecordBytes({ ...record, generation: 1 }))
  return text(old) === text(next)
}

/** @throws invalid_request if a Worker would not read the record */
function checkedBytes(record: KeyRecord): Uint8Array {
  const { error } = z.safeEncode(keyRecordSchema, record)
  if (error === undefined) return keyRecordBytes(record)
  const [issue] = error.issues
  throw new VergeError(
    'invalid_request',
    `The key's "${issue?.path.map(String).join('.')}" is not valid: ${issue?.message}.`,
  )
}

/** A stored record as the audit log has it. */
function withoutHashes(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('secrets' in value) || !Array.isArray(value.secrets)) return {}
  const secrets = value.secrets.map((secret: unknown) => {
    if (typeof secret !== 'object' || secret === null) return {}
    const { salt: _salt, hash: _hash, ...rest } = secret as Record<string, unknown>
    return rest
  })
  return { ...value, secrets }
}

function keepsChanging(id: string): VergeError {
  return new VergeError(
    'conflict',
    `Other commands keep changing key ${id} at the same time. Nothing was changed. Try again.`,
    {
      retryAfter: 1,
    },
  )
}
