import { unitHash } from '../core/hash.ts'
import { addressKey } from './address.ts'
import { type Caller, callerName } from './authorize.ts'

/** What tells callers apart who bring nothing of their own. */
export interface StickyFacts {
  readonly address?: string | undefined
  readonly userAgent?: string | undefined
  /** What the request itself asks to be told apart by: a user of the caller's, for example. */
  readonly asked?: string | undefined
}

/** More of a text that a caller wrote freely is not looked at. */
const MOST_LETTERS = 256

/**
 * Whose requests are answered by one version while several are live. Undefined: each request is given a version by itself.
 * The operator's and other Workers' requests are, because they stand for many, unless they say otherwise. A page renews its
 * browser token every few minutes, so its visitors are told apart as those are who bring nothing: by address and browser, of
 * which only a hash is kept.
 */
export function stickyOf(caller: Caller, { address, asked, userAgent }: StickyFacts): string | undefined {
  const name = callerName(caller)
  if (asked !== undefined && asked !== '') return hashed(name, asked)
  const visitor = caller.kind === 'anonymous' || (caller.kind === 'granted' && caller.by === 'token')
  if (!visitor) return caller.kind === 'granted' ? name : undefined
  return address === undefined ? name || undefined : hashed(addressKey(address), userAgent ?? '')
}

function hashed(...texts: readonly string[]): string {
  return unitHash(...texts.map((text) => text.slice(0, MOST_LETTERS))).toString(36)
}
