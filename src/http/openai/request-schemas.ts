import type { Limits } from '../../core/limits.ts'
import { chatRequestSchema, completionRequestSchema } from '../../protocols/openai/generation.ts'
import { responsesRequestSchema } from '../../protocols/openai/responses.ts'

interface RequestSchemas {
  readonly chat: ReturnType<typeof chatRequestSchema>
  readonly completion: ReturnType<typeof completionRequestSchema>
  readonly responses: ReturnType<typeof responsesRequestSchema>
}

const made = new WeakMap<Limits, RequestSchemas>()

/** Built once for an application's limits: building a schema takes longer than checking a request with it. */
export function requestSchemas(limits: Limits): RequestSchemas {
  const known = made.get(limits)
  if (known !== undefined) return known
  const schemas = {
    chat: chatRequestSchema(limits),
    completion: completionRequestSchema(limits),
    responses: responsesRequestSchema(limits),
  }
  made.set(limits, schemas)
  return schemas
}
