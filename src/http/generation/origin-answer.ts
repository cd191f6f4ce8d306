import { concatBytes } from '../../core/bytes.ts'
import { type ErrorCode, VergeError } from '../../core/errors.ts'
import { decodeUtf8 } from '../../core/json.ts'
import { failureFields } from '../../protocols/failure-fields.ts'
import { STATUS } from '../../protocols/status.ts'

/** Characters of another server's words that a caller is shown. */
const MOST_WORDS = 500

/** Of a refusal: what is longer is no message. */
const REFUSAL_BYTES = 64 * 1024

/** An origin's answer, whole; undefined for what is no JSON. @throws origin_failed for more than `maxBytes` */
export async function jsonOf(response: Response, maxBytes: number): Promise<unknown> {
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = response.body?.getReader()
  const pieces: Uint8Array[] = []
  let bytes = 0
  for (;;) {
    const piece = await reader?.read()
    if (piece?.value === undefined) return parsed(decodeUtf8(concatBytes(pieces)) ?? '')
    bytes += piece.value.length
    pieces.push(piece.value)
    if (bytes <= maxBytes) continue
    await reader?.cancel().catch(() => {})
    throw new VergeError('origin_failed', 'The answer of the origin is too long. Send fewer inputs in one request.')
  }
}

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export function unusableAnswer(): VergeError {
  return new VergeError('origin_failed', 'The answer of the origin is incomplete or invalid. Send the request again.')
}

/**
 * What an origin found wrong with a request: in its words, and by its code where it is one of ours.
 * @throws always
 */
export async function refusedByOrigin(response: Response): Promise<never> {
  throw originFailure(await jsonOf(response, REFUSAL_BYTES), codeFor(response.status))
}

function codeFor(status: number): ErrorCode {
  return status === STATUS.input_too_large ? 'input_too_large' : 'invalid_request'
}

/** @param otherwise the code of a failure that has none of ours */
export function originFailure(json: unknown, otherwise: ErrorCode): VergeError {
  const { code, message } = failureFields(json) ?? {}
  return new VergeError(
    isErrorCode(code) ? code : otherwise,
    typeof message === 'string' && message !== ''
      ? message.slice(0, MOST_WORDS)
      : 'The origin refused the request and did not say why. Its operator must check the log.',
  )
}

function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(STATUS, code)
}
