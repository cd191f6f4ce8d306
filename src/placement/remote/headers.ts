import { declaredLength } from '../../core/header-values.ts'
import { PLACEMENT_HEADER, TIMEOUT_HEADER } from '../../core/headers.ts'
import { JSON_LENGTH_HEADER } from '../../protocols/oip/headers.ts'

/** Set by the name of a header that a request brings with it, and that an origin needs to understand the body. */
const PASSED_ON = ['content-type', 'accept', JSON_LENGTH_HEADER, 'cache-control'] as const

/** What of an origin's answer concerns the caller; `verge-placement` is for the Worker, which writes its own. */
const PASSED_BACK = ['content-type', JSON_LENGTH_HEADER, 'retry-after', 'server-timing', PLACEMENT_HEADER] as const

/** An answer's headers are short; a caller gets no more of another server's words than this. */
const MOST_VALUE = 1_024

/**
 * The headers of a request for an origin: of the body and of what is wanted. Credentials, cookies and what the platform
 * adds (`cf-*`, `host`) stay behind.
 * @param remainingMs what is left of the deadline; the origin gives up then too
 */
export function originHeaders(incoming: Pick<Headers, 'get'>, remainingMs: number | undefined): Headers {
  const headers = picked(incoming, PASSED_ON)
  if (remainingMs !== undefined) headers.set(TIMEOUT_HEADER, String(Math.max(1, Math.floor(remainingMs))))
  return headers
}

/**
 * The headers of an origin's answer for a caller. The length is not among them: it belongs to the body as it came, which
 * may have been encoded, and the platform sets it for bodies of known length.
 */
export function answerHeaders(answer: Pick<Headers, 'get'>): Headers {
  return picked(answer, PASSED_BACK)
}

function picked(from: Pick<Headers, 'get'>, names: readonly string[]): Headers {
  const headers = new Headers()
  for (const name of names) {
    const value = from.get(name)
    if (value !== null && value.length <= MOST_VALUE) headers.set(name, value)
  }
  return headers
}

/** The declared length of a body that is sent as it is; undefined where none is declared. */
export function lengthOf(headers: Pick<Headers, 'get'>): number | undefined {
  const encoding = headers.get('content-encoding')
  if (encoding !== null && encoding.trim().toLowerCase() !== 'identity') return undefined
  return declaredLength(headers.get('content-length'))
}
