import { PLACEMENT_HEADER } from '../core/headers.ts'
import type { RunResult } from '../serving/serving.ts'

export type Placed = Pick<RunResult, 'artifact' | 'start' | 'place' | 'origin' | 'reason' | 'degraded'> &
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
export function setPlacement(headers: Headers, placed: Placed): void {
  headers.set(PLACEMENT_HEADER, placementOf(placed))
  if (placed.timings === undefined) return
  const { timings } = placed
  const parts = [
    ['load', timings.loadMs],
    ['queue', timings.queueMs],
    ['run', timings.runMs],
  ] as const
  const measured = parts.filter(([, ms]) => ms > 0).map(([name, ms]) => `${name};dur=${Math.round(ms * 100) / 100}`)
  if (measured.length > 0) headers.set('server-timing', measured.join(', '))
}

/** Marks an answer with where it was computed, if anything was run for it. */
export function marked(response: Response, { placed }: { readonly placed: Placed | undefined }): Response {
  if (placed !== undefined) setPlacement(response.headers, placed)
  return response
}

function placementOf({ artifact, degraded, origin, place, reason, start }: Placed): string {
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
