import type { VergeError } from '../core/errors.ts'
import type { LimitState } from '../serving/ledger.ts'

/** Millionths, because the standard has whole numbers alone. */
const MICROS = 1_000_000

/**
 * What is left of a caller's rates and budgets, by the IETF's draft of `RateLimit` and `RateLimit-Policy`
 * (draft-ietf-httpapi-ratelimit-headers): each a list of quoted names with parameters.
 */
export function setLimitHeaders(headers: Headers, states: readonly LimitState[]): void {
  if (states.length === 0) return
  const policies: string[] = []
  const left: string[] = []
  for (const { name, quota, remaining, reset, seconds, unit } of states) {
    const factor = unit === 'usd' ? MICROS : 1
    const counted = unit === 'requests' ? '' : `;qu="${unit === 'usd' ? 'micro-usd' : unit}"`
    policies.push(`"${name}";q=${whole(quota * factor)}${counted};w=${whole(seconds)}`)
    left.push(`"${name}";r=${whole(Math.max(0, remaining) * factor)};t=${Math.max(0, Math.ceil(reset))}`)
  }
  headers.set('ratelimit-policy', policies.join(', '))
  headers.set('ratelimit', left.join(', '))
}

/** The same of a rate that is used up, from its refusal: a request that was not admitted has nothing else to say. */
export function spentRate({ details, retryAfter }: VergeError): Readonly<Record<string, string>> {
  const { limit, requests, seconds } = details ?? {}
  if (limit !== 'rate' || typeof requests !== 'number' || typeof seconds !== 'number') return {}
  const headers = new Headers()
  const window = {
    name: 'rate',
    quota: requests,
    unit: 'requests',
    seconds,
    remaining: 0,
    reset: retryAfter ?? seconds,
  }
  setLimitHeaders(headers, [window])
  return Object.fromEntries(headers)
}

/** Integers of RFC 9651 have at most 15 digits. */
function whole(value: number): number {
  return Math.min(999_999_999_999_999, Math.floor(value))
}
