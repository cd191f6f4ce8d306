import { VergeError } from '../../core/errors.ts'

export interface CsvLimits {
  readonly maxColumns: number
  readonly maxRows: number
  readonly maxCells: number
  /** UTF-16 units of one cell. */
  readonly maxCellLength: number
}

export interface Csv {
  readonly header: readonly string[]
  /** For each name in the header its cells, top to bottom; null for a cell that is empty and not quoted. */
  readonly columns: readonly (readonly (string | null)[])[]
  readonly rows: number
}

/**
 * Reads comma-separated values by RFC 4180: quoted cells may hold commas, line ends and doubled quotes; lines end with CRLF
 * or LF. The first line is the header. A byte order mark is skipped, and so are empty lines.
 * @throws invalid_request naming the line, input_too_large
 */
export function parseCsv(text: string, limits: CsvLimits): Csv {
  const lines = new CsvLines(text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text, limits.maxCellLength)
  const first = lines.next(limits.maxColumns)
  if (first === undefined) throw new VergeError('empty_input', 'The CSV is empty. Send a header line and rows.')
  if (first.cells.length > limits.maxColumns) {
    throw new VergeError('input_too_large', `A table may have at most ${limits.maxColumns} columns.`, {
      details: { limit_columns: limits.maxColumns },
    })
  }
  const header = headerOf(first)

  const columns = header.map((): (string | null)[] => [])
  let rows = 0
  for (let row = lines.next(header.length); row !== undefined; row = lines.next(header.length)) {
    if (row.cells.length !== header.length) {
      throw malformed(
        row.line,
        `there are ${row.cells.length} cells${row.cut ? ' or more' : ''}, and the header has ${header.length}`,
      )
    }
    rows += 1
    if (rows > limits.maxRows) {
      throw new VergeError('input_too_large', `A table may have at most ${limits.maxRows} rows. Send it in parts.`, {
        details: { limit_rows: limits.maxRows },
      })
    }
    if (rows * header.length > limits.maxCells) {
      throw new VergeError('input_too_large', `A table may have at most ${limits.maxCells} cells. Send it in parts.`, {
        details: { limit_cells: limits.maxCells },
      })
    }
    columns.forEach((column, i) => {
      column.push(row.cells[i] ?? null)
    })
  }
  return { header, columns, rows }
}

const BYTE_ORDER_MARK = 0xfeff
const QUOTE = '"'

interface Line {
  /** Counted from 1, where it begins. */
  readonly line: number
  readonly cells: (string | null)[]
  /** There are more cells than were asked for; they were not read. */
  readonly cut: boolean
}

class CsvLines {
  readonly #text: string
  readonly #maxCellLength: number
  #at = 0
  #line = 1

  constructor(text: string, maxCellLength: number) {
    this.#text = text
    this.#maxCellLength = maxCellLength
  }

  /** The next line that is not empty; undefined at the end. Of a line with more than `most` cells only one more is read. */
  next(most: number): Line | undefined {
    while (this.#at < this.#text.length && this.#skipLineEnd()) {
      // Nothing on this line.
    }
    if (this.#at >= this.#text.length) return undefined
    const line = this.#line
    const cells: (string | null)[] = []
    for (;;) {
      cells.push(this.#text[this.#at] === QUOTE ? this.#quoted() : this.#plain())
      if (this.#at >= this.#text.length || this.#skipLineEnd()) return { line, cells, cut: false }
      if (cells.length > most) return { line, cells, cut: true }
      // A comma: what else ends a cell was refused or skipped.
      this.#at += 1
    }
  }

  #plain(): string | null {
    const start = this.#at
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at]
      if (character === ',' || character === '\n') break
      if (character === '\r' && this.#text[this.#at + 1] === '\n') break
      if (character === '\r') throw malformed(this.#line, 'a carriage return stands alone; lines end with CRLF or LF')
      if (character === QUOTE) {
        throw malformed(this.#line, 'a quote stands inside a cell; quote the whole cell and double the quotes in it')
      }
      this.#at += 1
    }
    return start === this.#at ? null : this.#bounded(this.#text.slice(start, this.#at))
  }

  #quoted(): string {
    const line = this.#line
    const start = this.#at + 1
    let doubled = false
    for (let from = start; ; from = this.#at + 1) {
      const quote = this.#text.indexOf(QUOTE, from)
      if (quote === -1) throw malformed(line, 'a quote is never closed')
      this.#at = quote + 1
      if (this.#text[this.#at] !== QUOTE) break
      doubled = true
    }
    const raw = this.#text.slice(start, this.#at - 1)
    const cell = this.#bounded(doubled ? raw.replaceAll('""', QUOTE) : raw)
    for (let at = raw.indexOf('\n'); at !== -1; at = raw.indexOf('\n', at + 1)) this.#line += 1
    const after = this.#text[this.#at]
    const ends = after === undefined || after === ',' || after === '\n'
    if (!ends && !(after === '\r' && this.#text[this.#at + 1] === '\n')) {
      throw malformed(this.#line, 'something stands between a closing quote and the end of its cell')
    }
    return cell
  }

  #bounded(cell: string): string {
    if (cell.length <= this.#maxCellLength) return cell
    throw new VergeError(
      'input_too_large',
      `Line ${this.#line}: a cell may have at most ${this.#maxCellLength} characters.`,
      { details: { limit_characters: this.#maxCellLength, line: this.#line } },
    )
  }

  #skipLineEnd(): boolean {
    const crlf = this.#text[this.#at] === '\r' && this.#text[this.#at + 1] === '\n'
    if (!crlf && this.#text[this.#at] !== '\n') return false
    this.#at += crlf ? 2 : 1
    this.#line += 1
    return true
  }
}

function headerOf({ cells, line }: Line): string[] {
  const names = new Set<string>()
  for (const [i, cell] of cells.entries()) {
    if (cell === null || cell === '') throw malformed(line, `the header has no name for column ${i + 1}`)
    if (names.has(cell)) throw malformed(line, `the header names column "${cell.slice(0, 100)}" twice`)
    names.add(cell)
  }
  return [...names]
}

function malformed(line: number, problem: string): VergeError {
  return new VergeError('invalid_request', `The CSV cannot be read, line ${line}: ${problem}.`, { details: { line } })
}
