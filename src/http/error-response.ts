import type { VergeError } from '../core/errors.ts'
import { retryAfterHeader } from '../core/headers.ts'
import { STATUS } from '../protocols/status.ts'
import { errorBodyFor } from './error-body.ts'

/** A failure as an answer, in the shape of the protocol that the path belongs to. @param headers besides those of every failure */
export function errorResponse(
  path: string,
  error: VergeError,
  requestId: string,
  headers: Readonly<Record<string, string>>,
): Response {
  return new Response(JSON.stringify(errorBodyFor(path, error, requestId)), {
    status: STATUS[error.code],
    headers: {
      'content-type': 'application/json',
      ...(error.retryAfter !== undefined && { 'retry-after': retryAfterHeader(error.retryAfter) }),
      ...headers,
    },
  })
}
