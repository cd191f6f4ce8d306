import { besideOwnFields, type ErrorShape, paymentRequired } from '../error-shape.ts'

/** The types that Anthropic's documentation names, by status. */
const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  409: 'conflict_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
}

export interface AnthropicErrorBody {
  readonly type: 'error'
  readonly error: { readonly type: string; readonly message: string; readonly [fact: string]: unknown }
  readonly request_id: string
}

/** https://docs.anthropic.com/en/api/errors. Its client reads the header `request-id`. */
export const anthropicErrors: ErrorShape = {
  body(error, requestId, status): AnthropicErrorBody {
    const type = TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error')
    return {
      type: 'error',
      error: { ...besideOwnFields(error, requestId), type, message: error.message },
      request_id: requestId,
    }
  },
  headers: (_, requestId) => ({ 'request-id': requestId }),
  status: paymentRequired,
}
