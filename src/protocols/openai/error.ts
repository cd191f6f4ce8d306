import * as z from 'zod'
import type { ErrorCode } from '../../core/errors.ts'
import { errorDetail } from '../error-detail.ts'
import { besideOwnFields, type ErrorShape } from '../error-shape.ts'

export const openAiErrorBodySchema = z
  .object({
    error: z
      .object({
        message: z.string(),
        type: z.string(),
        param: z.string().nullable(),
        code: z.string(),
        request_id: z.string(),
      })
      .catchall(errorDetail),
  })
  .meta({ id: 'OpenAIError' })
export type OpenAiErrorBody = z.infer<typeof openAiErrorBodySchema>

/** What OpenAI calls a rate and a budget: clients tell the two apart by these words. */
const OWN_WORDS: Readonly<Partial<Record<ErrorCode, { readonly type: string; readonly code: string }>>> = {
  rate_limited: { type: 'requests', code: 'rate_limit_exceeded' },
  budget_spent: { type: 'insufficient_quota', code: 'insufficient_quota' },
}

/** OpenAI's clients read `message`, `type`, `param` and `code`. Where `code` is OpenAI's, Verge's own stands in `reason`. */
export const openAiErrors = {
  body(error, requestId, status): OpenAiErrorBody {
    const type = status < 500 ? 'invalid_request_error' : 'server_error'
    const own = OWN_WORDS[error.code]
    return {
      error: {
        ...besideOwnFields(error, requestId),
        message: error.message,
        type,
        param: fieldOf(error.details),
        ...(own && { ...own, reason: error.code }),
      },
    }
  },
} satisfies ErrorShape

function fieldOf(details: Readonly<Record<string, unknown>> | undefined): string | null {
  return typeof details?.field === 'string' ? details.field : null
}

/** A failure that shows itself within a stream: the server's, and without an id of its own. */
export function openAiFailure(
  message: string,
  code: string,
): { readonly error: Omit<OpenAiErrorBody['error'], 'request_id'> } {
  return { error: { message, type: 'server_error', param: null, code } }
}
