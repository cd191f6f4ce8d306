import { besideOwnFields, type ErrorShape } from '../error-shape.ts'

/** The names that vLLM has for statuses: those of OpenAI's Python client. */
const TYPES: Readonly<Record<number, string>> = {
  401: 'AuthenticationError',
  403: 'PermissionDeniedError',
  404: 'NotFoundError',
  409: 'ConflictError',
  422: 'UnprocessableEntityError',
  429: 'RateLimitError',
  501: 'NotImplementedError',
}

export interface VllmErrorBody {
  readonly error: {
    readonly message: string
    readonly type: string
    readonly param: string | null
    /** The HTTP status, unlike OpenAI's. */
    readonly code: number
    readonly [fact: string]: unknown
  }
}

/** OpenAI's fields, with the status as `code`. Verge's own code stands in `reason`. */
export const vllmErrors: ErrorShape = {
  // Of every field that it cannot take, texts that are too long among them.
  status: ({ code }) => (code === 'input_too_large' ? 400 : undefined),
  body(error, requestId, status): VllmErrorBody {
    const field = error.details?.field
    return {
      error: {
        ...besideOwnFields(error, requestId),
        reason: error.code,
        message: error.message,
        type: TYPES[status] ?? (status < 500 ? 'BadRequestError' : 'InternalServerError'),
        param: typeof field === 'string' ? field : null,
        code: status,
      },
    }
  },
}
