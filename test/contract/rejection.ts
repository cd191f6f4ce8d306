import { expect } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'

/** The typed error that a promise is rejected with. */
export function rejection(promise: Promise<unknown>): Promise<VergeError> {
  return promise.then(
    () => {
      throw new Error('it should have been rejected')
    },
    (error: unknown) => {
      expect(error).toBeInstanceOf(VergeError)
      return error as VergeError
    },
  )
}
