import type { Context, ErrorHandler } from 'hono'
import { type Caller, callerInLog } from '../../access/authorize.ts'
import { TIME_HEADER } from '../../access/signature.ts'
import { errorFields, isVergeError, VergeError } from '../../core/errors.ts'
import type { Logger } from '../../core/runtime.ts'
import { shownTo } from '../../inference/access.ts'
import type { ErrorShape } from '../../protocols/error-shape.ts'
import { vergeErrors } from '../../protocols/verge/error.ts'
import type { AddressDefaults } from '../addresses.ts'
import type { AppEnv } from '../app-env.ts'
import { errorResponse, errorShapeAt, statusOf } from '../error-response.ts'
import { spentRate } from '../limit-headers.ts'

/**
 * Turns whatever a handler threw into an answer. A typed error says to the caller what it says; anything else says
 * nothing but `internal`. The underlying reasons go to the log only.
 */
export function errorHandler(logger: Logger, defaults: AddressDefaults): ErrorHandler<AppEnv> {
  return (thrown, c) => {
    const shape = errorShapeAt(c.req.path, defaults)
    const error = shownTo(c.get('caller'), reportedError(logger, c, thrown, shape))
    // An error may come before the request has an id only if making the id itself failed.
    const requestId = c.get('requestId') ?? 'unknown'
    return errorResponse(shape, error, requestId, headersOf(error))
  }
}

/** Whatever was thrown as what the caller may be told, with the whole of it logged. */
export function reportedError(
  logger: Logger,
  c: Context<AppEnv>,
  thrown: unknown,
  shape: ErrorShape = vergeErrors,
): VergeError {
  const error = isVergeError(thrown)
    ? thrown
    : new VergeError(
        'internal',
        'Internal error. Try again. If the error persists, report the request id to the operator.',
        { cause: thrown },
      )
  const status = statusOf(shape, error)
  c.set('failure', { code: error.code, status })
  log(logger, c, error, status)
  return error
}

function headersOf(error: VergeError): Readonly<Record<string, string>> {
  const { code, details } = error
  switch (code) {
    case 'rate_limited':
      return spentRate(error)
    case 'unauthorized':
      return {
        'www-authenticate': `Bearer realm="verge", error="invalid_token"${described(details?.reason)}`,
        ...(typeof details?.time_ms === 'number' && { [TIME_HEADER]: String(details.time_ms) }),
      }
    case 'upgrade_required':
      return { upgrade: 'websocket' }
    case 'method_not_allowed':
      return Array.isArray(details?.allow) ? { allow: details.allow.join(', ') } : {}
    default:
      return {}
  }
}

/** RFC 6750's description of what is wrong with a credential: why, in a word. */
function described(reason: unknown): string {
  return typeof reason === 'string' && /^[a-z_]{1,40}$/.test(reason) ? `, error_description="${reason}"` : ''
}

function log(logger: Logger, c: Context<AppEnv>, error: VergeError, status: number): void {
  const caller = c.get('caller') as Caller | undefined
  const fields = {
    requestId: c.get('requestId'),
    traceId: c.get('traceId'),
    method: c.req.method,
    path: c.req.path,
    status,
    code: error.code,
    message: error.message,
    // Unknown where the request was refused before.
    caller: caller && callerInLog(caller),
  }
  // What the caller is told in our words, the engine said in its own.
  const engine = error.code === 'run_rejected' && error.cause instanceof Error ? { engine: error.cause.message } : {}
  if (status < 500) logger.info('request_refused', { ...fields, ...engine })
  // Expected where origins come and go, and by then each fault of theirs has been logged.
  else if (error.code === 'origin_unavailable') logger.warn('request_failed', { ...fields, ...error.details })
  else logger.error('request_failed', { ...fields, stack: error.stack, cause: errorFields(error.cause) })
}
