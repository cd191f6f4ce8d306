import { VergeError } from '../core/errors.ts'

/** The error of a read-only store for writes. */
export function readOnly(): VergeError {
  return new VergeError('store_unavailable', 'An origin does not write models. Use "verge push".')
}
