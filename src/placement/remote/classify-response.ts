import { TIME_HEADER } from '../../access/signature.ts'
import { mediaTypeOf } from '../../core/body.ts'
import type { ErrorCode } from '../../core/errors.ts'
import { retryAfterMs } from '../../core/headers.ts'
import { decodeUtf8 } from '../../core/json.ts'
import { type ErrorFields, failureFields } from '../../protocols/failure-fields.ts'
import { OriginFault, type OriginFaultKind, type OriginKind } from '../origin.ts'

/** What an answer's status and body come to. */
export type ResponseClass =
  /** For the caller: an answer, or what is wrong with its request. */
  | { readonly pass: true }
  | { readonly pass: false; readonly fault: OriginFault }
  /** The origin does not accept the time of the signature, and says what it takes it to be. */
  | { readonly pass: false; readonly fault: OriginFault; readonly originTimeMs: number }

export interface OriginResponse {
  readonly origin: string
  readonly kind: OriginKind
  readonly status: number
  readonly headers: Pick<Headers, 'get'>
  /** The whole body of an answer that is not a success. */
  readonly body: Uint8Array
  /** Milliseconds since 1970. */
  readonly now: number
}

/**
 * Statuses by which Cloudflare itself says that it got no connection, or none with TLS: 521 refused, 522 not accepted in
 * time, 523 no route, 525 and 526 TLS, 530 no address.
 */
const NOT_CONNECTED: ReadonlySet<number> = new Set([521, 522, 523, 525, 526, 530])

/** What is wrong with the request, if the body says so in words of the protocol. */
const CALLERS_FAULT: ReadonlySet<number> = new Set([400, 409, 411, 413, 415, 422])

/** What each of Verge's own codes says over the status that it comes with; `status` where it says nothing more. */
const BY_CODE = {
  invalid_json: 'status',
  invalid_request: 'status',
  invalid_tensor: 'status',
  unsupported_datatype: 'status',
  unknown_input: 'status',
  missing_input: 'status',
  unknown_output: 'status',
  unsupported_output: 'status',
  empty_input: 'status',
  invalid_image: 'status',
  invalid_audio: 'status',
  task_mismatch: 'status',
  unsupported_media_type: 'status',
  unsupported_encoding: 'status',
  upgrade_required: 'status',
  body_too_large: 'status',
  // The caller's own pace: for what is passed on as it comes, the origin waits.
  body_too_slow: 'pass',
  input_too_large: 'status',
  cost_too_high: 'status',
  run_too_large: 'status',
  integer_too_large: 'status',
  context_length_exceeded: 'status',
  run_rejected: 'status',
  unauthorized: 'status',
  forbidden: 'status',
  not_downloadable: 'status',
  not_found: 'status',
  method_not_allowed: 'status',
  model_not_found: 'unable',
  version_not_found: 'unable',
  overloaded: 'status',
  rate_limited: 'status',
  budget_spent: 'status',
  limits_unavailable: 'status',
  cancelled: 'pass',
  // The caller's own deadline, which the origin was told of.
  deadline_exceeded: 'pass',
  weights_unavailable: 'unable',
  weights_corrupt: 'unable',
  manifest_invalid: 'unable',
  alias_invalid: 'unable',
  signature_invalid: 'unable',
  release_outdated: 'unable',
  conflict: 'status',
  store_unavailable: 'unable',
  model_invalid: 'unable',
  model_too_large: 'unable',
  engine_full: 'status',
  engine_unsupported: 'unable',
  streams_unavailable: 'status',
  tokens_unavailable: 'status',
  not_implemented: 'status',
  // It is ending: for whoever asks, it is gone already.
  origin_unavailable: 'refused',
  origin_failed: 'status',
  placement_impossible: 'status',
  engine_aborted: 'engine-crash',
  session_lost: 'status',
  internal: 'status',
} satisfies Readonly<Record<ErrorCode, OriginFaultKind | 'pass' | 'status'>>

/** Judges every answer that is not 2xx. */
export function classifyResponse(answer: OriginResponse): ResponseClass {
  const { status } = answer
  const fields = errorFields(answer)
  const code = answer.kind === 'verge' ? fields?.code : undefined
  const known = isErrorCode(code) ? BY_CODE[code] : 'status'
  if (known === 'pass') return { pass: true }
  if (known !== 'status') return refused(answer, known)

  if (status === 401 || status === 403) {
    const fault = refused(answer, 'unauthorized', reasonOf(fields))
    const time = Number(answer.headers.get(TIME_HEADER) ?? Number.NaN)
    return fields?.reason === 'clock_skew' && Number.isSafeInteger(time) ? { ...fault, originTimeMs: time } : fault
  }
  // Triton and KServe answer so to inputs that their backend rejects: one caller's would open the breaker for all.
  if (answer.kind === 'oip' && status === 500 && fields !== undefined) return refused(answer, 'unable')
  if (status === 429 || status === 503) return refused(answer, 'overloaded')
  // The protocol's words for a model that is not there; in other words, it is some other server that answers.
  if (status === 404) return refused(answer, fields === undefined || isRouteMissing(fields) ? 'garbage' : 'unable')
  if (CALLERS_FAULT.has(status)) {
    // Triton has no status of its own for a model that it lacks.
    if (typeof fields?.error === 'string' && UNKNOWN_MODEL.test(fields.error)) return refused(answer, 'unable')
    if (fields !== undefined || isPlainWords(answer)) return { pass: true }
    // A proxy's own limit on bodies: another origin's may be wider.
    return refused(answer, status === 413 ? 'unable' : 'garbage')
  }
  // text-embeddings-inference: its backend failed.
  if (status === 408 || status === 424) return refused(answer, 'error-status')
  if (NOT_CONNECTED.has(status)) return refused(answer, 'refused')
  return refused(answer, status >= 500 ? 'error-status' : 'garbage')
}

function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(BY_CODE, code)
}

function refused(
  answer: OriginResponse,
  kind: OriginFaultKind,
  reason?: string,
): { readonly pass: false; readonly fault: OriginFault } {
  const askedMs = retryAfterMs(answer.headers.get('retry-after'), answer.now)
  const why = reason === undefined ? '' : ` (${reason})`
  return {
    pass: false,
    fault: new OriginFault(kind, `Origin "${answer.origin}" answered with status ${answer.status}${why}.`, {
      origin: answer.origin,
      status: answer.status,
      ...(askedMs !== undefined && { retryAfterMs: askedMs }),
    }),
  }
}

/** Why an origin refuses a signature, for the log: `missing` and `unsupported_version` tell that versions differ. */
function reasonOf(fields: ErrorFields | undefined): string | undefined {
  const reason = fields?.reason
  return typeof reason === 'string' && /^[a-z_]{1,40}$/.test(reason) ? reason : undefined
}

const UNKNOWN_MODEL = /^Request for unknown model\b/

/** text-embeddings-inference says of a body that it cannot read what is wrong in plain text. */
function isPlainWords({ kind, headers, body }: OriginResponse): boolean {
  return kind === 'openai' && body.length > 0 && mediaTypeOf(headers.get('content-type')) === 'text/plain'
}

/** The fields of a failure that is JSON. Not every server says of its errors that they are. */
function errorFields({ headers, body }: OriginResponse): ErrorFields | undefined {
  if (mediaTypeOf(headers.get('content-type')) === 'text/html') return undefined
  const text = decodeUtf8(body)
  if (text === undefined) return undefined
  try {
    return failureFields(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** FastAPI's and Verge's words for a path that they do not have. */
function isRouteMissing(fields: ErrorFields): boolean {
  return fields.detail === 'Not Found' || fields.code === 'not_found'
}
