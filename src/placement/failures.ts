import { type ErrorCode, VergeError } from '../core/errors.ts'

/** What a failure says about the places where the same request may still succeed. */
type Blame =
  /** The request, the caller or Verge itself: no other place answers differently. */
  | 'request'
  /** The edge could not load the model: an origin may have it. */
  | 'edge-load'
  /** The edge has the model, and this run, or a number in it, is too large for it. */
  | 'edge-run'
  /** The origins. */
  | 'origin'
  /** The place that was asked has no room at present. */
  | 'busy'

const BLAME = {
  invalid_json: 'request',
  invalid_request: 'request',
  invalid_tensor: 'request',
  unsupported_datatype: 'request',
  unknown_input: 'request',
  missing_input: 'request',
  unknown_output: 'request',
  unsupported_output: 'request',
  empty_input: 'request',
  invalid_image: 'request',
  invalid_audio: 'request',
  task_mismatch: 'request',
  unsupported_media_type: 'request',
  unsupported_encoding: 'request',
  upgrade_required: 'request',
  body_too_large: 'request',
  body_too_slow: 'request',
  input_too_large: 'request',
  cost_too_high: 'edge-run',
  run_too_large: 'edge-run',
  integer_too_large: 'edge-run',
  context_length_exceeded: 'request',
  run_rejected: 'request',
  unauthorized: 'request',
  forbidden: 'request',
  not_downloadable: 'request',
  not_found: 'request',
  method_not_allowed: 'request',
  model_not_found: 'request',
  version_not_found: 'request',
  overloaded: 'busy',
  rate_limited: 'request',
  budget_spent: 'request',
  limits_unavailable: 'request',
  cancelled: 'request',
  deadline_exceeded: 'request',
  weights_unavailable: 'edge-load',
  weights_corrupt: 'edge-load',
  manifest_invalid: 'request',
  alias_invalid: 'request',
  signature_invalid: 'request',
  release_outdated: 'request',
  conflict: 'request',
  store_unavailable: 'edge-load',
  model_invalid: 'edge-load',
  model_too_large: 'edge-load',
  engine_full: 'edge-load',
  engine_unsupported: 'edge-load',
  streams_unavailable: 'request',
  tokens_unavailable: 'request',
  not_implemented: 'request',
  origin_unavailable: 'origin',
  origin_failed: 'origin',
  placement_impossible: 'request',
  engine_aborted: 'request',
  session_lost: 'edge-load',
  internal: 'request',
} satisfies Readonly<Record<ErrorCode, Blame>>

/** A failure of the edge itself, and not of what was sent: somewhere else the same request may succeed. */
export function isEdgeFailure(error: unknown): error is VergeError {
  if (!(error instanceof VergeError)) return false
  const blame = BLAME[error.code]
  return blame === 'edge-load' || blame === 'edge-run' || blame === 'busy'
}

/** Whether an edge failure concerns the loading of the model, so that trying it again at once is of no use. */
export function isLoadFailure(error: VergeError): boolean {
  return BLAME[error.code] === 'edge-load'
}

/**
 * A failure of origins, and not of what was sent: the edge may answer instead. Not what ended an origin's engine: it
 * would end the one here, and take every model of the isolate with it.
 */
export function isOriginFailure(error: unknown): error is VergeError {
  if (!(error instanceof VergeError)) return false
  const blame = BLAME[error.code]
  return (blame === 'origin' || blame === 'busy') && error.details?.reason !== 'engine-crash'
}
