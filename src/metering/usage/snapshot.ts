import { isObject } from '../../core/objects.ts'
import { type Counts, countsFrom } from './counts.ts'
import type { UsageByDay } from './usage-by-day.ts'

/** A month of a principal's usage, as R2 has it for those who read it without asking the ledger. */
export interface UsageSnapshot {
  readonly principal: string
  /** `2026-11` */
  readonly month: string
  /** When it was written, in milliseconds. */
  readonly at: number
  /** When the principal called last, in milliseconds. */
  readonly lastUsedAt: number
  readonly days: UsageByDay
}

const FOLDER = 'usage/'
const SCHEMA = 1
const DAY = /^\d{4}-\d{2}-\d{2}$/
const KEY = /^usage\/(.+)\/(\d{4}-\d{2})\.json$/

/** What the keys of a principal's snapshots begin with; of all principals, if none is given. */
export function snapshotsOf(principal?: string): string {
  return principal === undefined ? FOLDER : `${FOLDER}${principal}/`
}

export function snapshotKey(principal: string, month: string): string {
  return `${snapshotsOf(principal)}${month}.json`
}

/** What a key is of; undefined for one that is no snapshot's. */
export function snapshotNamed(key: string): { readonly principal: string; readonly month: string } | undefined {
  const [, principal, month] = KEY.exec(key) ?? []
  return principal === undefined || month === undefined ? undefined : { principal, month }
}

export function writeSnapshot({ at, days, lastUsedAt, ...named }: UsageSnapshot): Uint8Array {
  const byDay = Object.fromEntries([...days].map(([day, models]) => [day, Object.fromEntries(models)]))
  const times = { at: new Date(at).toISOString(), lastUsedAt: new Date(lastUsedAt).toISOString() }
  return new TextEncoder().encode(JSON.stringify({ schema: SCHEMA, ...named, ...times, days: byDay }))
}

/** A snapshot that this version of Verge or a newer one has written; undefined for anything else. */
export function readSnapshot(bytes: Uint8Array): UsageSnapshot | undefined {
  const value = jsonOf(bytes)
  if (!isObject(value) || typeof value.schema !== 'number') return undefined
  const { days, month, principal } = value
  const at = timeOf(value.at)
  const lastUsedAt = timeOf(value.lastUsedAt)
  if (typeof principal !== 'string' || typeof month !== 'string' || at === undefined || lastUsedAt === undefined)
    return undefined
  if (!isObject(days)) return undefined
  const byDay = Object.entries(days).flatMap(([day, models]) =>
    DAY.test(day) && isObject(models) ? [[day, modelsOf(models)] as const] : [],
  )
  return { principal, month, at, lastUsedAt, days: new Map(byDay) }
}

function modelsOf(models: Readonly<Record<string, unknown>>): Map<string, Counts> {
  return new Map(
    Object.entries(models).flatMap(([model, counts]) => (isObject(counts) ? [[model, countsFrom(counts)]] : [])),
  )
}

function timeOf(value: unknown): number | undefined {
  const at = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(at) ? undefined : at
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return undefined
  }
}
