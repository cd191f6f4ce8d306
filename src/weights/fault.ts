import { VergeError } from '../core/errors.ts'
import type { ChunkFault } from './chunk.ts'

/** Why a store's copy of a part of the weights could not be used. */
export type CopyFault = ChunkFault | { readonly kind: 'malformed' }

/** Whether asking the same store again may help. */
export function isTransient({ kind }: CopyFault): boolean {
  return kind === 'unavailable' || kind === 'stalled' || kind === 'short'
}

/**
 * What callers are told where no store has an intact copy: weights_unavailable or weights_corrupt.
 * @param which the part, as the subject of a sentence
 */
export function faultError(
  fault: CopyFault,
  which: string,
  details: Readonly<Record<string, string | number>>,
): VergeError {
  switch (fault.kind) {
    case 'missing':
      return new VergeError(
        'weights_unavailable',
        `${which} is missing in every store. Push this version again, or roll back to another.`,
        { details },
      )
    case 'unavailable':
    case 'stalled':
      return new VergeError('weights_unavailable', `${which} could not be read in time. Try again in a moment.`, {
        details,
        retryAfter: 1,
        ...(fault.kind === 'unavailable' && { cause: fault.cause }),
      })
    case 'short':
    case 'long':
    case 'corrupt':
    case 'malformed':
      return new VergeError(
        'weights_corrupt',
        `${which} is damaged in every store. Push this version again, or roll back to another.`,
        { details, cause: fault },
      )
  }
}
