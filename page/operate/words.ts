/** Figures in words. Pure. */

import type { OperationsOrigin } from '../../src/protocols/verge/operations.ts'

/** `1,234`; from ten thousand on `12.3k`, `4.5M`. */
export function count(value: number): string {
  if (value < 10_000) return Math.round(value).toLocaleString('en')
  const [size, unit] = value < 1e6 ? [1e3, 'k'] : value < 1e9 ? [1e6, 'M'] : [1e9, 'G']
  const shown = value / size
  return `${shown.toFixed(shown < 100 ? 1 : 0)}${unit}`
}

/** `$12.30`; below a dollar with four digits, because runs at the edge cost fractions of a cent. */
export function usd(value: number): string {
  if (value > 0 && value < 0.0001) return 'below $0.0001'
  return `$${value.toFixed(value > 0 && value < 1 ? 4 : 2)}`
}

/** `2.5 %`; a dash where nothing happened. */
export function share(part: number, whole: number): string {
  if (whole === 0) return '–'
  const percent = (100 * part) / whole
  if (percent > 0 && percent < 0.1) return 'below 0.1 %'
  return `${Number(percent.toFixed(percent < 10 ? 1 : 0))} %`
}

/** `12 ms`, `1.3 s` */
export function time(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`
  return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`
}

/** `20 seconds`, `3 minutes`, `2 hours`, `5 days` */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  const [value, unit] =
    seconds < 60
      ? [seconds, 'second']
      : seconds < 3600
        ? [Math.floor(seconds / 60), 'minute']
        : seconds < 86_400
          ? [Math.floor(seconds / 3600), 'hour']
          : [Math.floor(seconds / 86_400), 'day']
  return `${value} ${unit}${value === 1 ? '' : 's'}`
}

/** Weights of live versions: `1 (95 %), 2 (5 %)`; a single one without its share. */
export function versions(live: readonly { readonly version: string; readonly weight: number }[]): string {
  const [only] = live
  if (only === undefined) return 'none live'
  if (live.length === 1) return only.version
  const total = live.reduce((sum, { weight }) => sum + weight, 0)
  return live.map(({ version, weight }) => `${version} (${share(weight, total)})`).join(', ')
}

/** `1 request`, `2 requests` */
export function counted(value: number, one: string): string {
  return `${count(value)} ${one}${value === 1 ? '' : 's'}`
}

/** By the last probe, and by what the isolate that answered found itself, where that differs. */
export function originState({ answered, here, up }: Pick<OperationsOrigin, 'answered' | 'here' | 'up'>): string {
  const found = { up: 'in use', 'half-open': 'on trial after failures', down: 'avoided after failures' }[here]
  if (up === null) {
    if (here === 'up') return answered === undefined ? 'not probed' : answered ? 'answers requests' : 'not asked yet'
    return `${found}, for one isolate`
  }
  const probed = up ? 'up' : 'down'
  return here === probed ? probed : `${probed}; ${found}, for one isolate`
}
