import { VergeError } from '../../client/error.ts'
import { isWithin } from './age.ts'
import type { BrowserLimits } from './limits.ts'

/** Codes of failures that a request has wherever it runs: they are the caller's to know. */
const CALLERS: ReadonlySet<string> = new Set([
  'invalid_json',
  'invalid_request',
  'invalid_tensor',
  'unsupported_datatype',
  'unknown_input',
  'missing_input',
  'unknown_output',
  'unsupported_output',
  'empty_input',
  'invalid_image',
  'invalid_audio',
  'unsupported_media_type',
  'unsupported_encoding',
  'body_too_large',
  'input_too_large',
  'context_length_exceeded',
  'model_not_found',
  'version_not_found',
  'unauthorized',
  'cancelled',
])

/** Too large for this device, or not for its engine: other requests may fit. The edge says whether it was the request. */
const OF_ONE_REQUEST: ReadonlySet<string> = new Set([
  'cost_too_high',
  'run_too_large',
  'run_rejected',
  'integer_too_large',
  'overloaded',
  'task_mismatch',
])

const LASTING: ReadonlySet<string> = new Set([
  'not_downloadable',
  'forbidden',
  'not_found',
  'engine_unsupported',
  'manifest_invalid',
  'model_invalid',
  'model_too_large',
  'weights_corrupt',
])

/** Whether the same request may succeed at the edge. */
export function isOfDevice(error: unknown): boolean {
  return !(error instanceof VergeError && CALLERS.has(error.code))
}

/** Failures of the network and the server, which say nothing of the request. */
export function isOfServer(error: unknown): boolean {
  if (!(error instanceof VergeError)) return false
  return error.code === 'network_error' || error.status === 429 || error.status >= 500
}

/** Failures that are remembered for a while, so that a model which fails on a device does not slow down every request. */
export class Failures {
  readonly #limits: Pick<BrowserLimits, 'failureMs' | 'lastingFailureMs' | 'longestFailureMs'>
  readonly #now: () => number
  readonly #known = new Map<string, { code: string; count: number; at: number; restMs: number }>()

  constructor(limits: Pick<BrowserLimits, 'failureMs' | 'lastingFailureMs' | 'longestFailureMs'>, now: () => number) {
    this.#limits = limits
    this.#now = now
  }

  /** The code of a failure of a model that is not to be tried again yet. */
  of(model: string): string | undefined {
    const known = this.#known.get(model)
    return known !== undefined && isWithin(known.restMs, known.at, this.#now()) ? known.code : undefined
  }

  note(model: string, error: unknown): void {
    const code = error instanceof VergeError ? error.code : 'internal'
    if (OF_ONE_REQUEST.has(code) || CALLERS.has(code)) return
    const { failureMs, lastingFailureMs, longestFailureMs } = this.#limits
    const count = (this.#known.get(model)?.count ?? 0) + 1
    const restMs = Math.min(longestFailureMs, (LASTING.has(code) ? lastingFailureMs : failureMs) * 2 ** (count - 1))
    this.#known.set(model, { code, count, at: this.#now(), restMs })
  }

  /** The model works. */
  forget(model: string): void {
    this.#known.delete(model)
  }
}
