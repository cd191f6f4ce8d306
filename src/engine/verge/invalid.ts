import { VergeError } from '../../core/errors.ts'

/** An artifact whose header, plan or image is not what the format says. */
export function invalid(reason: string): VergeError {
  return new VergeError(
    'model_invalid',
    `The model could not be loaded: ${reason}. Pack it again with the version of Verge that serves it.`,
  )
}
