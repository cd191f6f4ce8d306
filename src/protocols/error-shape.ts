import type { VergeError } from '../core/errors.ts'

/** How a protocol writes a failure. */
export interface ErrorShape {
  /** @param status the answer's */
  body(error: VergeError, requestId: string, status: number): unknown
  /** The protocol's own status, where it is not the one of `STATUS`. */
  status?(error: VergeError): number | undefined
  /** Headers that its clients read, besides those of every failure. */
  headers?(error: VergeError, requestId: string): Readonly<Record<string, string>>
}

/** Facts that stand beside a protocol's own fields, which its clients leave alone: origins and people read them. */
export function besideOwnFields({ code, details }: VergeError, requestId: string) {
  return { ...details, code, request_id: requestId }
}

/** Protocols whose `error` is the message itself: the Open Inference Protocol, Hugging Face, Ollama. */
export const errorAsText: ErrorShape = {
  body: (error, requestId) => ({ ...besideOwnFields(error, requestId), error: error.message }),
}

/** The clients of OpenAI and Anthropic repeat what failed with a status from 500 on; what does not exist yet will fail again. */
export function neverRetried({ code }: VergeError): Readonly<Record<string, string>> {
  return code === 'not_implemented' ? { 'x-should-retry': 'false' } : {}
}
