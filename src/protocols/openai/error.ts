import * as z from 'zod'
import { errorDetail } from '../error-detail.ts'

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

/** A failure that shows itself within a stream: the server's, and without an id of its own. */
export function openAiFailure(
  message: string,
  code: string,
): { readonly error: Omit<OpenAiErrorBody['error'], 'request_id'> } {
  return { error: { message, type: 'server_error', param: null, code } }
}
