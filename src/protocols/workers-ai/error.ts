import type { VergeError } from '../../core/errors.ts'
import { besideOwnFields, type ErrorShape } from '../error-shape.ts'

/** Numbers of https://developers.cloudflare.com/workers-ai/platform/errors/ and of Cloudflare's API, by status. */
const NUMBERS: Readonly<Record<number, number>> = {
  401: 10000,
  403: 5018,
  404: 7003,
  408: 3007,
  413: 3006,
  429: 3040,
  499: 3008,
}
/** "No such model" is 400 there. */
const NO_SUCH_MODEL = 5007
/** "Account limited": what an account may use in a day is used up. */
const ACCOUNT_LIMITED = 3036
/** "AiError: Bad input". */
const BAD_INPUT = 5006
/** "AiError: Internal server error". */
const INTERNAL = 3043

export interface WorkersAiErrorBody {
  readonly result: null
  readonly success: false
  readonly errors: readonly { readonly code: number; readonly message: string }[]
  readonly messages: readonly never[]
  readonly [fact: string]: unknown
}

function numberOf({ code }: VergeError, status: number): number {
  if (code === 'model_not_found') return NO_SUCH_MODEL
  if (code === 'budget_spent') return ACCOUNT_LIMITED
  return NUMBERS[status] ?? (status < 500 ? BAD_INPUT : INTERNAL)
}

/** The envelope of Cloudflare's API. Verge's own code stands beside it, in `code`. */
export const workersAiErrors: ErrorShape = {
  body(error, requestId, status): WorkersAiErrorBody {
    return {
      ...besideOwnFields(error, requestId),
      result: null,
      success: false,
      errors: [{ code: numberOf(error, status), message: error.message }],
      messages: [],
    }
  },
  status: ({ code }) => {
    if (code === 'model_not_found') return 400
    return code === 'deadline_exceeded' ? 408 : undefined
  },
}
