import * as z from 'zod'
import { canonicalBytes } from '../catalog/canonical-json.ts'
import type { Sha256Factory } from '../core/runtime.ts'
import { sha256Hex } from '../core/sha256.ts'

export const AUDIT_SCHEMA = 1

export const AUDIT_PREFIX = 'audit/'

/** Where the newest entry is noted. It may lag behind: entries are written first. */
export const HEAD_KEY = 'audit-head'

/** `previous` of the first entry. */
export const NO_HASH = '0'.repeat(64)

/** Zeros in front keep the keys in the order of the entries. */
const SEQ_DIGITS = 12
const MOST_ENTRIES = 10 ** SEQ_DIGITS - 1

const hash = z.string().regex(/^[0-9a-f]{64}$/)
const seq = z.number().int().positive().max(MOST_ENTRIES)

const state = z.looseObject({ sha256: hash, value: z.unknown().optional() }).nullable()

/** An operator's name as entries have it: printable, and short enough for a table. */
export const OPERATOR_NAME = /^[^\p{C}\p{Zl}\p{Zp}]{1,64}$/u

/**
 * One administrative change. Unknown fields are part of the hash, so that this Verge can verify entries that a newer one
 * has written.
 */
export const entrySchema = z.looseObject({
  schema: z.number().int().positive(),
  /** Counts from 1 without a gap. */
  seq,
  /** When the entry was written, in UTC: `2026-11-30T18:00:00.000Z`. */
  at: z.iso.datetime(),
  /** Who made the change, as they called themselves. */
  by: z.string().regex(OPERATOR_NAME),
  /** `publish`, `release`, ...; `withdrawn` if an earlier entry's change was not made. */
  action: z.string().regex(/^[a-z][a-z-]{0,39}$/),
  /** The key of the changed record. */
  subject: z.string().min(1).max(512),
  before: state,
  after: state,
  /** Of the entry that a `withdrawn` entry is for. */
  withdraws: seq.optional(),
  /** Hash of the entry before. */
  previous: hash,
  /** SHA-256 of the canonical JSON of all other fields. */
  hash,
})

export type AuditEntry = z.infer<typeof entrySchema>

export const headSchema = z.object({ schema: z.number().int().positive(), seq, hash })

export function auditKey(at: number): string {
  return AUDIT_PREFIX + String(at).padStart(SEQ_DIGITS, '0')
}

/** The number of an entry by its key; undefined if no entry has that key. */
export function seqOf(key: string): number | undefined {
  const digits = key.slice(AUDIT_PREFIX.length)
  const number = Number(digits)
  return /^\d{12}$/.test(digits) && number > 0 ? number : undefined
}

/** The hash that an entry must have by its other fields. */
export function hashOf(entry: Readonly<Record<string, unknown>>, sha256: Sha256Factory): Promise<string> {
  const { hash: _, ...content } = entry
  return sha256Hex(sha256, canonicalBytes(content))
}

/** What an entry states, or why it cannot be read. */
export type ParsedEntry =
  | {
      readonly entry: AuditEntry
      /** As it is stored, for its hash. */
      readonly content: Readonly<Record<string, unknown>>
      readonly fault?: undefined
    }
  | { readonly entry?: undefined; readonly fault: string }

/** @param bytes null if they are longer than any entry */
export function parseEntry(bytes: Uint8Array | null): ParsedEntry {
  if (bytes === null) return { fault: 'is longer than an entry can be' }
  let content: unknown
  try {
    content = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch {
    return { fault: 'is not JSON' }
  }
  const parsed = entrySchema.safeParse(content)
  if (parsed.success) return { entry: parsed.data, content: content as Record<string, unknown> }
  return { fault: `is invalid at "${parsed.error.issues[0]?.path.map(String).join('.') || 'the whole'}"` }
}
