import * as z from 'zod'
import { errorDetail } from '../error-detail.ts'
import { besideOwnFields, type ErrorShape, neverRetried } from '../error-shape.ts'

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

/** OpenAI's clients read `message`, `type`, `param` and `code`. */
export const openAiErrors = {
  body(error, requestId, status): OpenAiErrorBody {
    const type = status < 500 ? 'invalid_request_error' : 'server_error'
    return {
      error: { ...besideOwnFields(error, requestId), message: error.message, type, param: fieldOf(error.details) },
    }
  },
  headers: neverRetried,
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
