import type { ErrorCode } from '../../core/errors.ts'

/**
 * What a failure says of the version that failed. `version`: it may be the version's, and counts against it. `request`: the
 * caller's, who would have met it with the other version, too. `neither`: load, time and stores, which meet each version.
 */
type Blame = 'version' | 'request' | 'neither'

const BLAME: Readonly<Record<ErrorCode, Blame>> = {
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
  cost_too_high: 'request',
  run_too_large: 'request',
  integer_too_large: 'request',
  context_length_exceeded: 'request',
  run_rejected: 'request',
  unauthorized: 'request',
  forbidden: 'request',
  not_downloadable: 'request',
  not_found: 'request',
  method_not_allowed: 'request',
  model_not_found: 'request',
  version_not_found: 'request',
  overloaded: 'neither',
  rate_limited: 'neither',
  budget_spent: 'neither',
  limits_unavailable: 'neither',
  cancelled: 'neither',
  deadline_exceeded: 'version',
  weights_unavailable: 'version',
  weights_corrupt: 'version',
  manifest_invalid: 'version',
  alias_invalid: 'neither',
  signature_invalid: 'neither',
  release_outdated: 'neither',
  conflict: 'neither',
  store_unavailable: 'neither',
  model_invalid: 'version',
  model_too_large: 'version',
  engine_full: 'version',
  engine_unsupported: 'version',
  streams_unavailable: 'neither',
  tokens_unavailable: 'neither',
  not_implemented: 'neither',
  origin_unavailable: 'neither',
  origin_failed: 'version',
  placement_impossible: 'request',
  engine_aborted: 'version',
  session_lost: 'version',
  internal: 'version',
}

/** Whether a request counts against its version; undefined where it does not count at all. */
export function countsAgainst(code: 'ok' | ErrorCode): boolean | undefined {
  if (code === 'ok') return false
  return BLAME[code] === 'version' ? true : undefined
}

/**
 * Whether a run for a comparison failed by its version, which was given what the other version has answered. There the
 * request is not to blame. Time and memory are: a comparison is given less of both than a request.
 */
export function comparisonFailed(code: ErrorCode): boolean {
  return BLAME[code] !== 'neither' && code !== 'engine_full' && code !== 'deadline_exceeded'
}
