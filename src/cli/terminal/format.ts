/** Text for a terminal. It may contain untrusted names, so control characters are replaced. */

import { printable } from '../../core/printable.ts'
import { isoTime } from '../../core/time.ts'

export { printable }

const KiB = 1024
const UNITS = ['KiB', 'MiB', 'GiB'] as const

/** Bytes for a person: `812 B`, `15.9 KiB`, `22.65 MiB`. */
export function binarySize(count: number): string {
  if (count < KiB) return `${Math.round(count)} B`
  let value = count / KiB
  let unit = 0
  while (value >= KiB && unit < UNITS.length - 1) {
    value /= KiB
    unit++
  }
  return `${value.toFixed(unit === 0 ? 1 : 2)} ${UNITS[unit]}`
}

/** A length of time for a person: `0.4 s`, `12 s`, `3 min 05 s`. */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`
}

/** A time in UTC to the minute: `2026-11-30 20:09`. @param at milliseconds since 1970 */
export function minuteOf(at: number): string {
  return isoTime(at).slice(0, 'yyyy-mm-ddThh:mm'.length).replace('T', ' ')
}

/** One of a thing or several: `1 chunk`, `3 chunks`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

/**
 * Columns side by side, as wide as their widest cell; a column whose cells below the first row are all numbers, empty or a
 * dash is set to the right. The first row is the head.
 */
export function table(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(printable))
  const columns = Math.max(0, ...cells.map((row) => row.length))
  const numeric = (column: number): boolean =>
    cells.length > 1 && cells.slice(1).every((row) => /^(-?[\d.,]|–|$)/.test(row[column] ?? ''))
  const layout = Array.from({ length: columns }, (_, column) => ({
    width: Math.max(...cells.map((row) => (row[column] ?? '').length)),
    right: numeric(column),
  }))
  return cells
    .map((row) =>
      layout
        .map(({ width, right }, column) => {
          const cell = row[column] ?? ''
          return right ? cell.padStart(width) : cell.padEnd(width)
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** The same for text of several lines. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

/** Text as one word of a shell's line. */
export function shellWord(text: string): string {
  return /^[\w./@:=+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
