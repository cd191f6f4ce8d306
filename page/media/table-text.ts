/** Tables from elsewhere: cells pasted from a spreadsheet, and CSV files. Pure. */
import { VergeError } from '../../src/core/errors.ts'
import { finish, StepMeter } from '../../src/core/work.ts'
import { type Csv, parsingCsv } from '../../src/media/csv/parse.ts'
import type { Column, Row } from './table-cells.ts'

export interface TableLimits {
  readonly rows: number
  readonly columns: number
  readonly cells: number
  /** Characters of a cell. */
  readonly cellLength: number
  /** Steps (docs/limits.md) of reading a file. */
  readonly steps: number
}

/** A table that was read, or why it was not: what is wrong, then what to do. */
export type Read<T> = { readonly ok: T } | { readonly problem: string }

/**
 * The rows of a CSV file, by the reader that the server uses, with the cells in the order of the columns.
 * @param text with a header; its columns may have any order
 */
export function readCsv(text: string, columns: readonly Column[], limits: TableLimits): Read<readonly Row[]> {
  const names = columns.map(({ name }) => name)
  let csv: Csv
  try {
    const bounds = {
      maxColumns: limits.columns,
      maxRows: limits.rows,
      maxCells: limits.cells,
      maxCellLength: limits.cellLength,
    }
    csv = finish(parsingCsv(text, bounds, { names }, new StepMeter(limits.steps)))
  } catch (error) {
    if (error instanceof VergeError) return { problem: error.message }
    throw error
  }
  const missing = names.find((name) => !csv.header.includes(name))
  if (missing !== undefined) {
    return { problem: `The first line has no column "${missing}". It must name these columns: ${names.join(', ')}.` }
  }
  const unknown = csv.header.find((name) => !names.includes(name))
  if (unknown !== undefined) {
    return { problem: `The model takes no column "${unknown}". It takes: ${names.join(', ')}.` }
  }
  if (csv.rows === 0) return { problem: 'The file has a header, but no rows. Add rows, and choose it again.' }
  const places = names.map((name) => csv.header.indexOf(name))
  return {
    ok: Array.from({ length: csv.rows }, (_, row) => places.map((place) => csv.columns[place]?.[row] ?? '')),
  }
}

/** Whether a pasted text is more than one cell. */
export function isSeveralCells(text: string): boolean {
  return /[\t\n]/.test(text.replace(/\r?\n$/, ''))
}

/**
 * Cells as spreadsheets put them on the clipboard: separated by tabs, lines by line ends; a cell with one of these in it is
 * quoted, and its quotes doubled.
 */
export function pastedCells(text: string): readonly Row[] {
  const rows: string[][] = []
  let row: string[] = []
  const cell = /"((?:[^"]|"")*)"(?=[\t\r\n]|$)|([^\t\r\n]*)/y
  for (let at = 0; at <= text.length; ) {
    cell.lastIndex = at
    const [whole = '', quoted, plain = ''] = cell.exec(text) ?? []
    row.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'))
    at += whole.length
    if (text[at] === '\t') at += 1
    else {
      rows.push(row)
      row = []
      at += text.startsWith('\r\n', at) ? 2 : 1
    }
  }
  // A line end behind the last row begins no other one.
  const [last] = rows.slice(-1)
  return last?.length === 1 && last[0] === '' && rows.length > 1 ? rows.slice(0, -1) : rows
}

/**
 * The table with cells put into it from a place on, as spreadsheets do it; new rows are added below. A first row of column
 * names is taken for a header: the rows below it replace the table.
 * @param most rows that the table may have
 */
export function withPasted(
  rows: readonly Row[],
  pasted: readonly Row[],
  at: { readonly row: number; readonly column: number },
  columns: readonly Column[],
  most: number,
): Read<{ readonly rows: readonly Row[]; readonly header: boolean }> {
  const [first = [], ...below] = pasted
  const header = first.length > 0 && first.every((name) => columns.some((column) => column.name === name.trim()))
  if (header && below.length > 0) {
    const places = columns.map(({ name }) => first.findIndex((one) => one.trim() === name))
    const missing = places.indexOf(-1)
    if (missing >= 0) {
      return {
        problem: `The pasted table has no column "${columns[missing]?.name ?? ''}". Copy all columns, or cells without the names.`,
      }
    }
    if (below.length > most) return tooMany(below.length, most)
    return { ok: { header, rows: below.map((row) => places.map((place) => row[place] ?? '')) } }
  }
  const widest = Math.max(...pasted.map((row) => row.length))
  if (at.column + widest > columns.length) {
    const room = columns.length - at.column
    return {
      problem: `The pasted cells have ${widest} columns, but there ${room === 1 ? 'is 1' : `are ${room}`} from here on. Paste them further left.`,
    }
  }
  const count = Math.max(rows.length, at.row + pasted.length)
  if (count > most) return tooMany(count, most)
  const filled = Array.from({ length: count }, (_, i): Row => {
    const row = rows[i] ?? columns.map(() => '')
    const cells = pasted[i - at.row]
    return cells === undefined || i < at.row ? row : row.map((old, j) => cells[j - at.column] ?? old)
  })
  return { ok: { header: false, rows: filled } }
}

function tooMany(rows: number, most: number): { readonly problem: string } {
  return { problem: `The table would have ${rows} rows; it may have at most ${most}. Paste fewer.` }
}
