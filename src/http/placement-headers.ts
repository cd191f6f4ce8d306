import { PLACEMENT_HEADER } from '../core/headers.ts'
import type { RunResult } from '../serving/serving.ts'

export type RunPlacement = Pick<RunResult, 'artifact' | 'start' | 'place' | 'origin' | 'reason' | 'degraded'> &
  Partial<Pick<RunResult, 'timings'>>

/**
 * Says where an answer was computed and how long its parts took.
 *
 * `verge-placement` has the place, with the origin's name where it is one, the artifact, whether its weights were in
 * memory, why this place, and `degraded` where the answer is a lesser one than the model's own.
 *
 * `Server-Timing` is as honest as the clock: in production the isolate's clock stands still during pure computation and
 * advances at I/O only, so a run measures 0 ms there. A part that measured nothing is left out rather than reported as
 * free; what a run really cost is in the Worker's CPU time, outside.
 */
export function setPlacementHeaders(headers: Headers, run: RunPlacement): void {
  headers.set(PLACEMENT_HEADER, placementHeader(run))
  if (run.timings === undefined) return
  const { timings } = run
  const parts = [
    ['load', timings.loadMs],
    ['queue', timings.queueMs],
    ['run', timings.runMs],
  ] as const
  const measured = parts.filter(([, ms]) => ms > 0).map(([name, ms]) => `${name};dur=${Math.round(ms * 100) / 100}`)
  if (measured.length > 0) headers.set('server-timing', measured.join(', '))
}

/** Marks an answer with where it was computed, if anything was run for it. */
export function withPlacementHeaders(
  response: Response,
  { lastRun }: { readonly lastRun: RunPlacement | undefined },
): Response {
  if (lastRun !== undefined) setPlacementHeaders(response.headers, lastRun)
  return response
}

function placementHeader({ artifact, degraded, origin, place, reason, start }: RunPlacement): string {
  return [
    place ?? 'edge',
    ...(origin === undefined ? [] : [`origin=${sfString(origin)}`]),
    ...(artifact === undefined ? [] : [`artifact=${sfString(artifact.id)}`]),
    `start=${start}`,
    `reason=${start === 'cached' ? 'result-cache' : (reason ?? 'only-place')}`,
    ...(degraded === true ? ['degraded'] : []),
  ].join(';')
}

/** A structured-field string holds printable ASCII only. */
function sfString(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`
}
