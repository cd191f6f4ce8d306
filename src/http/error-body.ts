import type { VergeError } from '../core/errors.ts'
import type { OipErrorBody } from '../protocols/oip/wire.ts'
import type { OpenAiErrorBody } from '../protocols/openai/error.ts'
import { STATUS } from '../protocols/status.ts'
import type { ErrorBody } from './wire.ts'

/** Verge's own shape. */
function errorBody(error: VergeError, requestId: string): ErrorBody {
  return { error: { ...error.details, code: error.code, message: error.message, request_id: requestId } }
}

/** The Open Inference Protocol says that `error` is a string; the rest stands beside it. */
function oipErrorBody(error: VergeError, requestId: string): OipErrorBody {
  return { error: error.message, ...error.details, code: error.code, request_id: requestId }
}

/** OpenAI's clients read `message`, `type`, `param` and `code`. */
export function openAiErrorBody(error: VergeError, requestId: string): OpenAiErrorBody {
  const { code, message } = error
  const type = STATUS[code] < 500 ? 'invalid_request_error' : 'server_error'
  const field = error.details?.field
  const param = typeof field === 'string' ? field : null
  return { error: { ...error.details, message, type, param, code, request_id: requestId } }
}

/** Paths of the Hugging Face inference API, where too `error` is a string. */
const HUGGING_FACE = /^\/(models|hf-inference|pipeline)\//

/** Their paths for chats and texts, which speak OpenAI's protocol. */
const SPEAKS_OPENAI = /^\/(hf-inference\/)?models\/[^/]+\/v1\//

/** The body in the shape of the protocol that a path belongs to. */
export function errorBodyFor(path: string, error: VergeError, requestId: string): unknown {
  if (path === '/v2' || path.startsWith('/v2/')) return oipErrorBody(error, requestId)
  if (path.startsWith('/v1/') || SPEAKS_OPENAI.test(path)) return openAiErrorBody(error, requestId)
  if (HUGGING_FACE.test(path)) return oipErrorBody(error, requestId)
  return errorBody(error, requestId)
}
