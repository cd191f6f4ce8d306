import { isObject } from '../core/objects.ts'

export type ErrorFields = Readonly<Record<string, unknown>>

/**
 * The fields of a failure's JSON in any of the shapes that servers have: `{"error": {...}}` (Verge, OpenAI, vLLM),
 * `{"error": "..."}` with fields beside it (Open Inference Protocol, Triton, text-embeddings-inference),
 * `{"message": "...", ...}` (older vLLM; text-embeddings-inference on OpenAI's paths), `{"detail": ...}` (FastAPI).
 * Undefined for anything else.
 */
export function failureFields(value: unknown): ErrorFields | undefined {
  if (!isObject(value)) return undefined
  if (isObject(value.error)) return value.error
  if (typeof value.error === 'string' || typeof value.message === 'string' || 'detail' in value) return value
  return undefined
}
