import { printable } from '../terminal/format.ts'

/** Text of a terminal by its width: what the answer names may be in any script. */

/** Letters that take two columns: those of East Asia, and pictures. (Unicode Standard Annex 11, wide and fullwidth) */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u
/** Letters that take none. */
const JOINED = /\p{M}/u

function widthOf(letter: string): number {
  if (JOINED.test(letter)) return 0
  return WIDE.test(letter) ? 2 : 1
}

/** Columns that a text takes. */
export function width(text: string): number {
  return [...text].reduce((sum, letter) => sum + widthOf(letter), 0)
}

/** A text in at most so many columns: one that is longer ends in an ellipsis. Control characters are replaced. */
export function clip(text: string, columns: number): string {
  const plain = printable(text)
  if (width(plain) <= columns) return plain
  if (columns < 1) return ''
  let cut = ''
  let used = 0
  for (const letter of plain) {
    used += widthOf(letter)
    if (used > columns - 1) break
    cut += letter
  }
  return `${cut}…`
}

/** A text in exactly so many columns. */
export function cell(text: string, columns: number, align: 'left' | 'right' = 'left'): string {
  const fitted = clip(text, columns)
  const padding = ' '.repeat(columns - width(fitted))
  return align === 'left' ? fitted + padding : padding + fitted
}

/** A number in at most five letters: `<.01`, `7`, `0.04`, `12.3`, `1234`, `56k`, `1.2M`. */
export function short(value: number): string {
  if (Number.isInteger(value) && value < 10_000) return String(value)
  if (value < 0.005) return '<.01'
  if (value < 10) return value.toFixed(2)
  if (value < 100) return value.toFixed(1)
  if (value < 10_000) return value.toFixed(0)
  if (value < 1e6) return `${(value / 1e3).toFixed(0)}k`
  return value < 1e7 ? `${(value / 1e6).toFixed(1)}M` : `${(value / 1e6).toFixed(0)}M`
}

/** Dollars, in at most eight letters up to a hundred thousand. */
export function dollars(usd: number): string {
  if (usd === 0) return '$0'
  if (usd < 0.0001) return '<$0.0001'
  return `$${usd.toFixed(usd < 0.1 ? 4 : 2)}`
}

const BARS = '▁▂▃▄▅▆▇█'

/** Numbers as bars of one column each; the highest fills its column. Nothing is a space. */
export function bars(values: readonly number[]): string {
  const most = Math.max(0, ...values)
  return values
    .map((value) => (value === 0 ? ' ' : (BARS[Math.ceil((value / most) * BARS.length) - 1] ?? ' ')))
    .join('')
}
