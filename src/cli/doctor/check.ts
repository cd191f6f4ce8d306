import { counted } from '../terminal/format.ts'

/** `skip`: could not be looked at, and says why. Only `fail` makes the whole fail. */
export type Status = 'ok' | 'warn' | 'fail' | 'skip'

/** One thing that was looked at. */
export interface Check {
  readonly area: string
  readonly status: Status
  /** The finding. Never contains a key. */
  readonly finding: string
  /** The fix, if one is needed. */
  readonly fix?: string
}

export function ok(area: string, finding: string): Check {
  return { area, status: 'ok', finding }
}

export function skip(area: string, finding: string): Check {
  return { area, status: 'skip', finding }
}

export function warn(area: string, finding: string, fix: string): Check {
  return { area, status: 'warn', finding, fix }
}

export function fail(area: string, finding: string, fix: string): Check {
  return { area, status: 'fail', finding, fix }
}

/** A line a check, what to do below it, and a count at the end. */
export function describeChecks(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(({ area }) => area.length), 0)
  const lines = checks.flatMap(({ area, status, finding, fix }) => [
    `${status.padEnd(4)}  ${area.padEnd(width)}  ${finding}`,
    ...(fix === undefined ? [] : [`${' '.repeat(width + 8)}-> ${fix}`]),
  ])
  const count = (status: Status): number => checks.filter((check) => check.status === status).length
  const total = `${count('ok')} ok, ${counted(count('warn'), 'warning')}, ${count('fail')} failed, ${count('skip')} skipped`
  return [...lines, '', total].join('\n')
}

export function hasFailed(checks: readonly Check[]): boolean {
  return checks.some(({ status }) => status === 'fail')
}
