import type { Caller } from '../access/authorize.ts'
import { type ErrorCode, VergeError, type VergeErrorOptions } from '../core/errors.ts'
import { REQUEST_ID_HEADER, STICKY_HEADER, TIMEOUT_HEADER } from '../core/headers.ts'
import type { Limits } from '../core/limits.ts'
import { failureFields, ownCode } from '../protocols/failure-fields.ts'
import { measureInput } from './measure.ts'
import type { RpcCall } from './service.ts'

/** Calls the HTTP routes for a known caller. */
export type Ask = (request: Request, caller: Caller, call: RpcCall) => Promise<Response>

export type WritingPath = '/v1/chat/completions' | '/v1/completions'

interface WritingOptions {
  readonly requestId: string
  readonly version?: string | undefined
  readonly timeoutMs?: number | undefined
  readonly sticky?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * A call as the request that HTTP would have.
 * @param body of OpenAI's protocol, without the model
 * @throws invalid_request, body_too_large, input_too_large
 */
export function rpcGenerationRequest(
  path: WritingPath,
  model: string,
  body: unknown,
  { requestId, signal, sticky, timeoutMs, version }: WritingOptions,
  { jsonContainers, textBodyBytes }: Pick<Limits, 'jsonContainers' | 'textBodyBytes'>,
): Request {
  measureInput(body, { maxBytes: textBodyBytes, maxContainers: jsonContainers, views: false })
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new VergeError(
      'invalid_request',
      'The second argument must be an object in the format of OpenAI: {messages: [...]}.',
    )
  }
  const query = version === undefined ? '' : `?version=${encodeURIComponent(version)}`
  return new Request(`https://binding.invalid${path}${query}`, {
    method: 'POST',
    body: JSON.stringify({ ...body, model }),
    headers: {
      'content-type': 'application/json',
      [REQUEST_ID_HEADER]: requestId,
      ...(timeoutMs !== undefined && { [TIMEOUT_HEADER]: String(timeoutMs) }),
      ...(sticky !== undefined && { [STICKY_HEADER]: sticky }),
    },
    ...(signal && { signal }),
  })
}

/** An error that the HTTP routes returned and logged. */
export class AnsweredError extends VergeError {
  constructor(code: ErrorCode, message: string, options: VergeErrorOptions) {
    super(code, message, options)
  }
}

/**
 * The answer: JSON as it is, or a stream of events as bytes.
 * @throws AnsweredError where the answer is a failure
 */
export async function written(response: Response): Promise<unknown> {
  if (!response.ok) throw failure(await response.json(), response.headers)
  const streams = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false
  return streams ? response.body : response.json()
}

/** Fields of OpenAI's failures that are no details of ours. */
const SHAPE: ReadonlySet<string> = new Set(['code', 'message', 'param', 'request_id', 'type'])

function failure(answer: unknown, headers: Headers): VergeError {
  const fields = failureFields(answer) ?? {}
  const { message, reason } = fields
  const code = ownCode(fields)
  const details = Object.fromEntries(
    Object.entries(fields).filter(([name]) => !SHAPE.has(name) && (name !== 'reason' || reason !== code)),
  )
  const retryAfter = headers.get('retry-after')
  return new AnsweredError(code ?? 'internal', String(message), {
    ...(Object.keys(details).length > 0 && { details: details as NonNullable<VergeErrorOptions['details']> }),
    ...(retryAfter !== null && { retryAfter: Number(retryAfter) }),
  })
}
