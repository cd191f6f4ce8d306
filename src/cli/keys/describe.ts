import * as z from 'zod'
import { GRANTED_PLACES, type Grant, grantSchema } from '../../access/grant.ts'
import type { KeyRecord } from '../../access/keys/record.ts'
import { keyFault } from '../../access/keys/state.ts'
import { binarySize, minuteOf, printable } from '../terminal/format.ts'

/** What is known of a key beside its record. */
export interface KeyFacts {
  /** In milliseconds since 1970. */
  readonly lastUsedAt?: number | undefined
  /** Whether the copies are what the truth is. */
  readonly copied?: boolean
}

/** A day and a time in UTC; only the day at midnight. @param at in seconds since 1970 */
export function timeText(at: number): string {
  const text = minuteOf(at * 1000)
  return at % 86_400 === 0 ? text.slice(0, 'yyyy-mm-dd'.length) : `${text} UTC`
}

export type KeyState = 'valid' | 'expired' | 'revoked' | 'no secret'

/** @param now in milliseconds since 1970 */
export function stateOf(record: KeyRecord, now: number): KeyState {
  const fault = keyFault(record, undefined, now)
  if (fault !== undefined) return fault.reason === 'revoked' ? 'revoked' : 'expired'
  return validSecrets(record, now) > 0 ? 'valid' : 'no secret'
}

function validSecrets({ secrets }: KeyRecord, now: number): number {
  return secrets.filter(({ expiresAt }) => expiresAt === undefined || expiresAt * 1000 > now).length
}

/** All of a key but its secrets, in lines. */
export function describeKey(record: KeyRecord, facts: KeyFacts, now: number): string {
  const { id, name, grant, createdAt, expiresAt, revokedAt, revokedWhy, secrets, signing } = record
  const ends = expiresAt === undefined ? 'never' : timeText(expiresAt)
  const rows: [string, string][] = [
    ['models', grant.models.join(', ') || 'none'],
    ['actions', grant.actions.join(', ') || 'none'],
    ['places', placesText(grant)],
    ['origins', grant.origins?.join(', ') ?? 'any'],
    ['limits', limitsText(grant) || 'none of its own'],
    ['created', timeText(createdAt)],
    ['expires', ends],
    ...secrets.map((secret, at): [string, string] => {
      const end =
        secret.expiresAt === undefined
          ? ''
          : `, ${secret.expiresAt * 1000 > now ? 'ends' : 'ended'} ${timeText(secret.expiresAt)}`
      return [at === 0 ? 'secrets' : '', `of ${timeText(secret.createdAt)}${end}`]
    }),
    ...(signing ?? []).map(({ publicKey }, at): [string, string] => [at === 0 ? 'signing' : '', printable(publicKey)]),
  ]
  if (revokedAt !== undefined)
    rows.push(['revoked', `${timeText(revokedAt)}${revokedWhy === undefined ? '' : `: ${printable(revokedWhy)}`}`])
  if (facts.lastUsedAt !== undefined) rows.push(['last used', timeText(Math.floor(facts.lastUsedAt / 1000))])
  const width = Math.max(...rows.map(([label]) => label.length)) + 2
  const lines = rows.map(([label, value]) => `  ${label.padEnd(width)}${value}`)
  if (facts.copied === false) lines.push('  The copy in KV differs. "npx verge keys list" writes it again.')
  return [`Key ${id}, "${printable(name)}": ${stateOf(record, now)}`, ...lines].join('\n')
}

function placesText({ places }: Grant): string {
  return places.length === GRANTED_PLACES.length ? 'all' : places.join(', ') || 'none'
}

/** As the options of `verge keys create` have them; empty where there are no limits. */
export function limitsText({ plan, limits }: Grant): string {
  const { rate } = limits === undefined ? {} : (z.encode(grantSchema.shape.limits, limits) ?? {})
  const budgets = Object.entries(limits?.budgets ?? {}).flatMap(([period, amounts]) =>
    Object.entries(amounts ?? {}).map(([kind, amount]) => `budget ${amount}${kind}/${period}`),
  )
  const parts = [
    ...(plan === undefined ? [] : [`plan ${plan}`]),
    ...(rate === undefined ? [] : [`rate ${String(rate)}`]),
    ...budgets,
    ...(limits?.concurrency === undefined ? [] : [`concurrency ${limits.concurrency}`]),
    ...(limits?.bodyBytes === undefined ? [] : [`body ${binarySize(limits.bodyBytes)}`]),
    ...(limits?.batch === undefined ? [] : [`batch ${limits.batch}`]),
    ...(limits?.maxTokens === undefined ? [] : [`max-tokens ${limits.maxTokens}`]),
  ]
  return parts.join(', ')
}

/** A key for `--json`: its record without salts and hashes. */
export function keyJson(record: KeyRecord, facts: KeyFacts, now: number): Record<string, unknown> {
  const { grant, secrets, createdAt, expiresAt, revokedAt, schema: _, ...rest } = record
  const time = (at: number): string => new Date(at * 1000).toISOString()
  return {
    ...rest,
    state: stateOf(record, now),
    createdAt: time(createdAt),
    ...(expiresAt !== undefined && { expiresAt: time(expiresAt) }),
    ...(revokedAt !== undefined && { revokedAt: time(revokedAt) }),
    grant: z.encode(grantSchema, grant),
    secrets: secrets.map((secret) => ({
      createdAt: time(secret.createdAt),
      ...(secret.expiresAt !== undefined && { expiresAt: time(secret.expiresAt) }),
    })),
    ...(facts.lastUsedAt !== undefined && { lastUsedAt: new Date(facts.lastUsedAt).toISOString() }),
    ...(facts.copied !== undefined && { copied: facts.copied }),
  }
}
