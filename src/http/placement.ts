import type { RunResult } from '../serving/serving.ts'

/**
 * Says where an answer was computed and how long its parts took.
 *
 * `verge-placement` is an RFC 9651 item: the place, with the artifact, whether its weights were in memory, and why this
 * place.
 *
 * `Server-Timing` is as honest as the clock: in production the isolate's clock stands still during pure computation and
 * advances at I/O only, so a run measures 0 ms there. A part that measured nothing is left out rather than reported as
 * free; what a run really cost is in the Worker's CPU time, outside.
 */
export function setPlacement(headers: Headers, { artifact, start, timings }: RunResult): void {
  // The edge is the only place there is so far.
  const reason = start === 'cached' ? 'result-cache' : 'only-place'
  headers.set('verge-placement', `edge;artifact=${sfString(artifact.id)};start=${start};reason=${reason}`)
  const parts = [
    ['load', timings.loadMs],
    ['queue', timings.queueMs],
    ['run', timings.runMs],
  ] as const
  const measured = parts.filter(([, ms]) => ms > 0).map(([name, ms]) => `${name};dur=${Math.round(ms * 100) / 100}`)
  if (measured.length > 0) headers.set('server-timing', measured.join(', '))
}

/** A structured-field string holds printable ASCII only. */
function sfString(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`
}
