import { VergeError } from '../core/errors.ts'
import type { OriginFault, OriginFaultKind } from './fault.ts'

/** What to say where an origin answered and what it said cannot be used: asking again soon will not change that. */
const UNUSABLE: Readonly<Partial<Record<OriginFaultKind, string>>> = {
  garbage: 'The origin gave an answer that cannot be used. Try again; if it stays so, its operator has to look.',
  unable: 'The origin cannot run this model for this request. Its operator has to look.',
  'engine-crash': 'This request ended the engine of the origin that ran it. Do not repeat it; send other inputs.',
}

/**
 * What a caller is told when no origin answered. Origins are named, because an operator asks for that first.
 * @param faults of the tries, in order; empty where none was allowed
 * @param waitMs until the first of the origins may be asked again
 */
export function noOriginError(faults: readonly OriginFault[], waitMs: number): VergeError {
  const last = faults.at(-1)
  const origins = [...new Set(faults.map(({ origin }) => origin))]
  const details = { origins, reason: last?.kind ?? 'breaker-open' }
  const unusable = last && UNUSABLE[last.kind]
  if (unusable !== undefined) return new VergeError('origin_failed', unusable, { details, cause: last })
  if (last !== undefined && faults.every(({ kind }) => kind === 'overloaded')) {
    const waits = faults.map(({ retryAfterMs }) => retryAfterMs ?? OVERLOADED_MS)
    return new VergeError('overloaded', 'Every origin of this model is full. Try again in a moment.', {
      details,
      cause: last,
      retryAfter: seconds(Math.min(...waits)),
    })
  }
  return new VergeError('origin_unavailable', 'No origin could answer. Try again in a moment.', {
    details,
    cause: last,
    retryAfter: seconds(waitMs),
  })
}

/** How long to leave origins alone that are full and do not say for how long. */
const OVERLOADED_MS = 1_000
/** Longer is no advice: by then anything may have changed. */
const MOST_SECONDS = 60

function seconds(ms: number): number {
  return Math.min(MOST_SECONDS, Math.max(1, Math.ceil(ms / 1000)))
}
