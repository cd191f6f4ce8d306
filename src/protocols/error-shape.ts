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

/**
 * 402 for a budget that is spent, as Anthropic, Cohere, Hugging Face and Jina AI have it. Their clients repeat what
 * failed with 429, and not this.
 */
export function paymentRequired({ code }: VergeError): number | undefined {
  return code === 'budget_spent' ? 402 : undefined
}

/** A client that waits for longer than this keeps its user waiting: it had better say so. */
const LONGEST_WAIT_SECONDS = 60

/**
 * The clients of OpenAI and Anthropic repeat what failed with 429 or a status from 500 on, after `Retry-After`, however long
 * that is. They obey this header. Not to be repeated: what does not exist yet, what a budget has no room for, and what a
 * rate has no room for soon.
 */
export function retryHeaders({ code, retryAfter = 0 }: VergeError): Readonly<Record<string, string>> {
  const never =
    code === 'not_implemented' ||
    code === 'budget_spent' ||
    (code === 'rate_limited' && retryAfter > LONGEST_WAIT_SECONDS)
  return never ? { 'x-should-retry': 'false' } : {}
}
