import { VergeError } from '../core/errors.ts'

/** What a store that takes no writes answers them with. */
export function readOnly(): VergeError {
  return new VergeError('store_unavailable', 'An origin does not write models. Use "verge push".')
}
