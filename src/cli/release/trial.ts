import type { Alias } from '../../catalog/alias.ts'
import { minuteOf, printable } from '../terminal/format.ts'

/** `canary 2 against 1, ...`, or that one was taken out; undefined where no version is or was on trial in this generation. */
export function describeTrial({
  canary,
  live,
  stopped,
}: Pick<Alias, 'canary' | 'live' | 'stopped'>): string | undefined {
  if (canary !== undefined) {
    const answers = live.some(({ version }) => version === canary.version)
    return [
      `canary ${canary.version} against ${canary.against}`,
      ...(answers ? [] : ['answers no caller']),
      ...(canary.shadow ? [`outputs of ${Number((canary.shadow * 100).toPrecision(3))} % of requests compared`] : []),
      canary.guarded ? 'taken out by itself if it is worse' : 'not taken out by itself',
    ].join(', ')
  }
  if (stopped === undefined) return undefined
  return `canary ${stopped.version} was taken out ${minuteOf(stopped.at * 1000)} UTC: ${printable(stopped.reason)}`
}
