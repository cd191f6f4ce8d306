import type { KeyRecord } from './record.ts'

/** Why a key that is what it claims to be is not accepted. */
export interface KeyFault {
  readonly reason: 'expired' | 'revoked' | 'replaced'
  /** For whoever holds the key: what is wrong, and what to do. */
  readonly why: string
}

/**
 * What is wrong with a key, whoever asks holding its secret; undefined if nothing is.
 * @param secretEnds when the secret ends, in seconds since 1970; left out: with the key
 * @param now in milliseconds since 1970
 */
export function keyFault(
  { expiresAt, name, revokedAt }: KeyRecord,
  secretEnds: number | undefined,
  now: number,
): KeyFault | undefined {
  if (revokedAt !== undefined) {
    // why it was is for the operator
    return {
      reason: 'revoked',
      why: `The key "${name}" was revoked on ${day(revokedAt)}. Ask the operator for a new key.`,
    }
  }
  if (hasEnded(expiresAt, now)) {
    return { reason: 'expired', why: `The key "${name}" expired on ${day(expiresAt)}. Ask the operator for a new key.` }
  }
  if (hasEnded(secretEnds, now)) {
    return {
      reason: 'replaced',
      why: `The key "${name}" has a new secret, and the one that was sent ended on ${day(secretEnds)}. Send the new one.`,
    }
  }
  return undefined
}

/** @param at in seconds since 1970 */
function hasEnded(at: number | undefined, now: number): at is number {
  return at !== undefined && now >= at * 1000
}

/** The day in UTC. */
function day(at: number): string {
  return new Date(at * 1000).toISOString().slice(0, 10)
}
