import type { ErrorCode } from '../core/errors.ts'

/** The one table from error codes to HTTP statuses; a code that is not in it does not compile. */
export const STATUS: Readonly<Record<ErrorCode, number>> = {
  invalid_json: 400,
  invalid_request: 400,
  invalid_tensor: 400,
  unsupported_datatype: 400,
  unknown_input: 400,
  missing_input: 400,
  unknown_output: 400,
  unsupported_output: 400,
  empty_input: 400,
  invalid_image: 400,
  invalid_audio: 400,
  task_mismatch: 400,
  unsupported_media_type: 415,
  unsupported_encoding: 415,
  upgrade_required: 426,
  body_too_large: 413,
  body_too_slow: 408,
  input_too_large: 413,
  cost_too_high: 413,
  run_too_large: 413,
  integer_too_large: 400,
  context_length_exceeded: 400,
  run_rejected: 400,

  unauthorized: 401,
  forbidden: 403,
  not_downloadable: 403,
  not_found: 404,
  method_not_allowed: 405,
  model_not_found: 404,
  version_not_found: 404,

  overloaded: 429,
  rate_limited: 429,
  budget_spent: 429,
  limits_unavailable: 503,
  // nginx's "client closed request": only logs see it.
  cancelled: 499,
  deadline_exceeded: 504,

  weights_unavailable: 503,
  weights_corrupt: 500,
  manifest_invalid: 500,
  alias_invalid: 500,
  signature_invalid: 500,
  release_outdated: 500,
  conflict: 409,
  store_unavailable: 503,
  model_invalid: 500,
  model_too_large: 501,
  // Other models hold the memory at present.
  engine_full: 503,
  engine_unsupported: 501,
  streams_unavailable: 501,
  tokens_unavailable: 501,
  not_implemented: 501,
  // No origin could be asked, and there is no artifact that the edge could run instead.
  origin_unavailable: 503,
  // An origin answered, and what it answered cannot be used.
  origin_failed: 502,
  // The caller asked for a place that this model does not have.
  placement_impossible: 400,
  // The engine is whole again by the time that the answer is read, but the same input would abort it again.
  engine_aborted: 500,
  // Another request aborted it; this one succeeds when repeated.
  session_lost: 503,
  internal: 500,
}
