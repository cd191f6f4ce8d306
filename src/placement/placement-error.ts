import { VergeError } from '../core/errors.ts'
import type { ResolvedModel } from '../serving/serving.ts'
import type { PlacementRefusal } from './policy.ts'

/** A refusal of the policy as an error for the caller. */
export function placementError(
  { code, message, retryAfter }: PlacementRefusal,
  { manifest }: ResolvedModel,
): VergeError {
  return new VergeError(code, message, {
    details: { model: manifest.model },
    ...(retryAfter !== undefined && { retryAfter }),
  })
}
