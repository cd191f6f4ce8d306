import { type ClientErrorCode, VergeError } from '../../client/error.ts'
import { isWithin } from './age.ts'
import type { BrowserLimits } from './limits.ts'

/** What a failure says of the next request. */
type Kind =
  /** A request has it wherever it runs: it is the caller's to know. */
  | 'of-caller'
  /** Too large for this device, or not for its engine: other requests may fit. The edge says whether it was the request. */
  | 'of-request'
  /** Another attempt soon would end in the same way. */
  | 'lasting'
  | 'passing'

/** All codes, so that a new one does not compile without a line. */
const KINDS: Readonly<Record<ClientErrorCode, Kind>> = {
  invalid_json: 'of-caller',
  invalid_request: 'of-caller',
  invalid_tensor: 'of-caller',
  unsupported_datatype: 'of-caller',
  unknown_input: 'of-caller',
  missing_input: 'of-caller',
  unknown_output: 'of-caller',
  unsupported_output: 'of-caller',
  empty_input: 'of-caller',
  invalid_image: 'of-caller',
  invalid_audio: 'of-caller',
  task_mismatch: 'of-request',
  unsupported_media_type: 'of-caller',
  unsupported_encoding: 'of-caller',
  upgrade_required: 'passing',
  body_too_large: 'of-caller',
  body_too_slow: 'passing',
  input_too_large: 'of-caller',
  cost_too_high: 'of-request',
  run_too_large: 'of-request',
  integer_too_large: 'of-request',
  context_length_exceeded: 'of-caller',
  run_rejected: 'of-request',
  unauthorized: 'of-caller',
  forbidden: 'lasting',
  not_downloadable: 'lasting',
  not_found: 'lasting',
  method_not_allowed: 'passing',
  model_not_found: 'of-caller',
  version_not_found: 'of-caller',
  overloaded: 'of-request',
  rate_limited: 'passing',
  budget_spent: 'lasting',
  limits_unavailable: 'passing',
  cancelled: 'of-caller',
  deadline_exceeded: 'passing',
  weights_unavailable: 'passing',
  weights_corrupt: 'lasting',
  manifest_invalid: 'lasting',
  alias_invalid: 'passing',
  signature_invalid: 'lasting',
  release_outdated: 'passing',
  conflict: 'passing',
  store_unavailable: 'passing',
  model_invalid: 'lasting',
  model_too_large: 'lasting',
  engine_full: 'passing',
  engine_unsupported: 'lasting',
  streams_unavailable: 'passing',
  tokens_unavailable: 'passing',
  not_implemented: 'passing',
  origin_unavailable: 'passing',
  origin_failed: 'passing',
  placement_impossible: 'passing',
  engine_aborted: 'passing',
  session_lost: 'passing',
  internal: 'passing',
  network_error: 'passing',
  unexpected_answer: 'passing',
  token_unavailable: 'of-caller',
}

function kindOf(error: unknown): Kind {
  // A server of a newer release may have other codes.
  return error instanceof VergeError && Object.hasOwn(KINDS, error.code) ? KINDS[error.code] : 'passing'
}

/** Whether the same request may succeed at the edge. */
export function isOfDevice(error: unknown): boolean {
  return kindOf(error) !== 'of-caller'
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
    const kind = kindOf(error)
    if (kind === 'of-caller' || kind === 'of-request') return
    const { failureMs, lastingFailureMs, longestFailureMs } = this.#limits
    const count = (this.#known.get(model)?.count ?? 0) + 1
    const restMs = Math.min(longestFailureMs, (kind === 'lasting' ? lastingFailureMs : failureMs) * 2 ** (count - 1))
    this.#known.set(model, { code, count, at: this.#now(), restMs })
  }

  /** The model works. */
  forget(model: string): void {
    this.#known.delete(model)
  }
}
