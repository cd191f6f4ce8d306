import type { VergeError } from '../core/errors.ts'
import { retryAfterHeader } from '../core/headers.ts'
import { type ErrorShape, retryHeaders } from '../protocols/error-shape.ts'
import { STATUS } from '../protocols/status.ts'
import { protocolAt } from './address-of.ts'
import type { AddressDefaults } from './addresses.ts'
import { ERROR_SHAPES } from './error-shapes.ts'

/** How failures at a path are written: in the shape of the protocol that it is addressed to. */
export function errorShapeAt(path: string, defaults?: AddressDefaults): ErrorShape {
  return ERROR_SHAPES[protocolAt(path, defaults).errors]
}

/** The status of a failure, in a protocol. */
export function statusOf(shape: ErrorShape, error: VergeError): number {
  return shape.status?.(error) ?? STATUS[error.code]
}

/** A failure as an answer. @param headers besides those of every failure */
export function errorResponse(
  shape: ErrorShape,
  error: VergeError,
  requestId: string,
  headers: Readonly<Record<string, string>>,
): Response {
  const status = statusOf(shape, error)
  return new Response(JSON.stringify(shape.body(error, requestId, status)), {
    status,
    headers: {
      'content-type': 'application/json',
      ...(error.retryAfter !== undefined && { 'retry-after': retryAfterHeader(error.retryAfter) }),
      ...retryHeaders(error),
      ...shape.headers?.(error, requestId),
      ...headers,
    },
  })
}
