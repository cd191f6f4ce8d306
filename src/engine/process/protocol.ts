import { type ErrorCode, type ErrorDetails, isVergeError, VergeError } from '../../core/errors.ts'
import type { LogFields } from '../../core/runtime.ts'
import type { Signature, Tensors } from '../../core/tensors.ts'
import type { ArtifactInfo, EngineHealth } from '../engine.ts'
import type { NativeEngineOptions } from '../native/engine.ts'
import type { Provider } from '../native/support.ts'

/**
 * Messages between a `ProcessEngine` and its child, over Node's channel with structured clones: Maps and typed arrays
 * are copied once on each side. The child answers requests in order of arrival.
 */

/** How the child's engine is made: what of its options can be sent. */
export type ChildOptions = Omit<NativeEngineOptions, 'clock' | 'logger' | 'onTrial'>

/** Requests that are answered. */
export type Request =
  | { readonly kind: 'start'; readonly options: ChildOptions }
  | { readonly kind: 'health' }
  /** Loads a session from a file, or from the bytes that were sent before. */
  | { readonly kind: 'open'; readonly session: number; readonly artifact: ArtifactInfo; readonly file?: string }
  | { readonly kind: 'run'; readonly session: number; readonly inputs: Tensors; readonly outputs: readonly string[] }
  /** Adds tokens to a sequence, which begins with its first feed. */
  | {
      readonly kind: 'feed'
      readonly session: number
      readonly sequence: number
      readonly tokens: readonly number[]
    }

/** What need not be answered. */
export type Notice =
  | {
      readonly kind: 'bytes'
      readonly session: number
      readonly total: number
      readonly offset: number
      readonly data: Uint8Array
    }
  | { readonly kind: 'end'; readonly sequence: number }
  /** Ends a session, or drops the bytes of a session that was not opened. */
  | { readonly kind: 'close'; readonly session: number }

export type ToChild = (Request & { readonly id: number }) | Notice

/** The value that answers each kind of request. */
export interface Answers {
  readonly start: EngineHealth
  readonly health: EngineHealth
  readonly open: { readonly signature: Signature; readonly bytes: number }
  readonly run: Tensors
  /** Logits of the last token. */
  readonly feed: Float32Array
}

export type FromChild =
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown; readonly residentBytes: number }
  | { readonly kind: 'failure'; readonly id: number; readonly error: SentError; readonly residentBytes: number }
  /** Which provider is being tried; null when the trial is over. */
  | { readonly kind: 'trial'; readonly provider: Provider | null }
  | {
      readonly kind: 'log'
      readonly level: 'info' | 'warn' | 'error'
      readonly event: string
      readonly fields: LogFields
    }

export interface SentError {
  readonly code: ErrorCode
  readonly message: string
  readonly details?: ErrorDetails
  readonly retryAfter?: number
  /** What lies underneath, for logs. */
  readonly cause?: string
}

export function sendError(error: unknown): SentError {
  if (!isVergeError(error)) {
    return { code: 'internal', message: 'The engine failed.', cause: describe(error) }
  }
  const { code, message, details, retryAfter, cause } = error
  return {
    code,
    message,
    ...(details !== undefined && { details }),
    ...(retryAfter !== undefined && { retryAfter }),
    ...(cause !== undefined && { cause: describe(cause) }),
  }
}

export function receiveError({ code, message, details, retryAfter, cause }: SentError): VergeError {
  return new VergeError(code, message, {
    ...(details !== undefined && { details }),
    ...(retryAfter !== undefined && { retryAfter }),
    ...(cause !== undefined && { cause }),
  })
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
