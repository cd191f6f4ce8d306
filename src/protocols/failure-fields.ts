import type { ErrorCode } from '../core/errors.ts'
import { isObject } from '../core/objects.ts'
import { STATUS } from './status.ts'

export type ErrorFields = Readonly<Record<string, unknown>>

/** Verge's code for a failure: its own where `code` is the protocol's, as OpenAI's and vLLM's may be. */
export function ownCode({ code, reason }: ErrorFields): ErrorCode | undefined {
  return [code, reason].find(isErrorCode)
}

function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(STATUS, value)
}

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
