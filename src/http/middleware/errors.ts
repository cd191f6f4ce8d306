import type { Context, ErrorHandler } from 'hono'
import { TIME_HEADER } from '../../access/signature.ts'
import { isVergeError, VergeError } from '../../core/errors.ts'
import { retryAfterHeader } from '../../core/header-values.ts'
import type { Logger } from '../../core/runtime.ts'
import type { AppEnv } from '../app-env.ts'
import { errorBodyFor } from '../error-body.ts'
import { shownTo } from '../shown-error.ts'
import { STATUS } from '../status.ts'

/**
 * Turns whatever a handler threw into an answer. A typed error says to the caller what it says; anything else says
 * nothing but `internal`. The underlying reasons go to the log only.
 */
export function errorHandler(logger: Logger): ErrorHandler<AppEnv> {
  return (thrown, c) => {
    const error = shownTo(c.get('caller'), reportedError(logger, c, thrown))
    const status = STATUS[error.code]
    // An error may come before the request has an id only if making the id itself failed.
    const requestId = c.get('requestId') ?? 'unknown'
    return new Response(JSON.stringify(errorBodyFor(c.req.path, error, requestId)), {
      status,
      headers: headersOf(error),
    })
  }
}

/** Whatever was thrown as what the caller may be told, with the whole of it logged. */
export function reportedError(logger: Logger, c: Context<AppEnv>, thrown: unknown): VergeError {
  const error = isVergeError(thrown)
    ? thrown
    : new VergeError(
        'internal',
        'Something went wrong on our side. Try again; if it stays, report the request id to the operator.',
        { cause: thrown },
      )
  log(logger, c, error, STATUS[error.code])
  return error
}

function headersOf(error: VergeError): Headers {
  const headers = new Headers({ 'content-type': 'application/json' })
  if (error.retryAfter !== undefined) headers.set('retry-after', retryAfterHeader(error.retryAfter))
  if (error.code === 'unauthorized') headers.set('www-authenticate', 'Bearer realm="verge", error="invalid_token"')
  if (error.code === 'upgrade_required') headers.set('upgrade', 'websocket')
  const time = error.details?.time_ms
  if (error.code === 'unauthorized' && typeof time === 'number') headers.set(TIME_HEADER, String(time))
  const allow = error.details?.allow
  if (error.code === 'method_not_allowed' && Array.isArray(allow)) headers.set('allow', allow.join(', '))
  return headers
}

function log(logger: Logger, c: Context<AppEnv>, error: VergeError, status: number): void {
  const fields = {
    requestId: c.get('requestId'),
    method: c.req.method,
    path: c.req.path,
    status,
    code: error.code,
    message: error.message,
  }
  // What the caller is told in our words, the engine said in its own.
  const engine = error.code === 'run_rejected' && error.cause instanceof Error ? { engine: error.cause.message } : {}
  if (status < 500) logger.info('request_refused', { ...fields, ...engine })
  // Expected where origins come and go, and by then each fault of theirs has been logged.
  else if (error.code === 'origin_unavailable') logger.warn('request_failed', { ...fields, ...error.details })
  else logger.error('request_failed', { ...fields, stack: error.stack, cause: describe(error.cause) })
}

/** A chain of causes as text: a logger may drop what is not enumerable, and an Error's fields are not. */
function describe(cause: unknown, depth = 0): string | undefined {
  if (cause === undefined) return undefined
  if (!(cause instanceof Error)) return String(cause)
  const below = depth < 4 ? describe(cause.cause, depth + 1) : undefined
  return below === undefined ? (cause.stack ?? cause.message) : `${cause.stack ?? cause.message}\ncaused by: ${below}`
}
