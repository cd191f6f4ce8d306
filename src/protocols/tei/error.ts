import type { VergeError } from '../../core/errors.ts'
import { besideOwnFields, type ErrorShape } from '../error-shape.ts'

export interface TeiErrorBody {
  readonly error: string
  readonly error_type: 'Unhealthy' | 'Backend' | 'Overloaded' | 'Validation' | 'Tokenizer' | 'Empty'
  readonly [fact: string]: unknown
}

/**
 * What it has a status of its own for: 422 for what it cannot read and for a text with too many tokens, 424 where the
 * model fails or is none of its kind. Too many texts are 413, as everything that is too large.
 */
function statusOf({ code, details }: VergeError): number | undefined {
  switch (code) {
    case 'invalid_json':
    case 'invalid_request':
      return 422
    case 'context_length_exceeded':
      return 413
    case 'input_too_large':
      return details?.limit_tokens === undefined ? undefined : 422
    case 'task_mismatch':
    case 'run_rejected':
    case 'engine_aborted':
    case 'model_invalid':
    case 'weights_corrupt':
      return 424
    default:
      return undefined
  }
}

function typeOf({ code }: VergeError, status: number): TeiErrorBody['error_type'] {
  if (code === 'empty_input') return 'Empty'
  if (status === 424) return 'Backend'
  if (status === 429) return 'Overloaded'
  return status < 500 ? 'Validation' : 'Unhealthy'
}

/** https://huggingface.github.io/text-embeddings-inference: `{"error": "...", "error_type": "..."}`. */
export const teiErrors: ErrorShape = {
  status: statusOf,
  body(error, requestId, status): TeiErrorBody {
    return { ...besideOwnFields(error, requestId), error: error.message, error_type: typeOf(error, status) }
  },
}
