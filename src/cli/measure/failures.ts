import type { ErrorCode, VergeError } from '../../core/errors.ts'

/**
 * What a failed run says of a model. `size`: an isolate has no room or time for the model or for this input. `model`: the
 * model does not run in an isolate at all. `other`: something else is wrong.
 */
const SAYS = {
  invalid_json: 'other',
  invalid_request: 'other',
  invalid_tensor: 'other',
  unsupported_datatype: 'other',
  unknown_input: 'other',
  missing_input: 'other',
  unknown_output: 'other',
  unsupported_output: 'other',
  empty_input: 'other',
  invalid_image: 'other',
  invalid_audio: 'other',
  task_mismatch: 'other',
  unsupported_media_type: 'other',
  unsupported_encoding: 'other',
  upgrade_required: 'other',
  body_too_large: 'size',
  body_too_slow: 'other',
  input_too_large: 'size',
  cost_too_high: 'other',
  run_too_large: 'size',
  integer_too_large: 'other',
  context_length_exceeded: 'other',
  run_rejected: 'size',
  unauthorized: 'other',
  forbidden: 'other',
  not_downloadable: 'other',
  not_found: 'other',
  method_not_allowed: 'other',
  model_not_found: 'other',
  version_not_found: 'other',
  overloaded: 'other',
  rate_limited: 'other',
  budget_spent: 'other',
  limits_unavailable: 'other',
  cancelled: 'other',
  deadline_exceeded: 'size',
  weights_unavailable: 'other',
  weights_corrupt: 'other',
  manifest_invalid: 'other',
  alias_invalid: 'other',
  signature_invalid: 'other',
  release_outdated: 'other',
  conflict: 'other',
  store_unavailable: 'other',
  model_invalid: 'model',
  model_too_large: 'size',
  engine_full: 'size',
  engine_unsupported: 'model',
  streams_unavailable: 'other',
  tokens_unavailable: 'other',
  not_implemented: 'other',
  origin_unavailable: 'other',
  origin_failed: 'other',
  placement_impossible: 'other',
  engine_aborted: 'model',
  session_lost: 'other',
  internal: 'other',
} satisfies Readonly<Record<ErrorCode, 'size' | 'model' | 'other'>>

/** Whether an isolate has no room or time for a run; a smaller input may still run. */
export function isTooMuch({ code }: VergeError): boolean {
  return SAYS[code] === 'size'
}

/** Whether a failure shows that a model does not run in an isolate. */
export function doesNotRun({ code }: VergeError): boolean {
  return SAYS[code] !== 'other'
}
