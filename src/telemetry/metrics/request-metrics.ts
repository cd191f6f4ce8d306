import { STATUS } from '../../protocols/status.ts'
import type { RequestObservation } from '../observation.ts'
import type { Traffic } from './block.ts'
import type { Meter } from './meter.ts'

/** From here on a status says that the failure is not its caller's. */
const FIRST_FAULT = 500
const MS = 1000

/** Counts what one inference did. A message of a stream is no request of its own, unless it fails. */
export function countRequest(meter: Meter, seen: RequestObservation): void {
  const { cache, code, inputTokens, model, origin, outputTokens, place, units, version } = seen
  const isRequest = seen.continued !== true || code !== 'ok'
  if (isRequest) meter.count('verge_requests_total', { model, version, place, code })
  if (seen.totalMs !== undefined) {
    meter.observe('verge_request_seconds', { model, version, place }, seen.totalMs / MS)
  }
  const steps = [
    ['load', seen.start === 'cold' ? seen.loadMs : undefined],
    ['queue', seen.queueMs],
    ['run', seen.runMs],
    ['origin', origin === undefined ? undefined : seen.originMs],
  ] as const
  for (const [step, ms] of steps) {
    if (ms !== undefined) meter.observe('verge_step_seconds', { model, step }, ms / MS)
  }
  if (units > 0) meter.count('verge_cost_units_total', { model, version, place }, units)
  if (inputTokens > 0) meter.count('verge_tokens_total', { model, version, direction: 'input' }, inputTokens)
  if (outputTokens > 0) meter.count('verge_tokens_total', { model, version, direction: 'output' }, outputTokens)
  if (cache !== undefined) meter.count('verge_result_cache_total', { model, outcome: cache })
}

/** The same, for the table of minutes. */
export function trafficOf({
  code,
  continued = false,
  inputTokens,
  model,
  outputTokens,
  place,
  units,
  version,
}: RequestObservation): Traffic {
  return {
    model,
    version,
    place,
    requests: continued && code === 'ok' ? 0 : 1,
    errors: code !== 'ok' && STATUS[code] >= FIRST_FAULT ? 1 : 0,
    units,
    tokens: inputTokens + outputTokens,
  }
}
