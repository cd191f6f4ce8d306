import * as z from 'zod'
import { errorDetail } from '../error-detail.ts'
import type { ErrorShape } from '../error-shape.ts'

export const errorBodySchema = z
  .object({
    error: z
      .object({
        code: z.string().meta({ description: 'One of a small, stable vocabulary' }),
        message: z.string().meta({ description: 'What is wrong and what to do next' }),
        request_id: z.string(),
      })
      .catchall(errorDetail),
  })
  .meta({ id: 'Error' })
export type ErrorBody = z.infer<typeof errorBodySchema>

/** Verge's own. */
export const vergeErrors: ErrorShape = {
  body({ code, details, message }, requestId): ErrorBody {
    return { error: { ...details, code, message, request_id: requestId } }
  },
}
