import { LIMITS } from '../../core/limits.ts'
import { chatRequestSchema as chat, completionRequestSchema as completion } from '../../protocols/openai/generation.ts'

/** Built once: building a schema takes longer than checking a request with it. */
export const chatRequestSchema = chat(LIMITS)
export const completionRequestSchema = completion(LIMITS)
