import { VergeError } from '../../core/errors.ts'
import { type StepMeter, tooManySteps, type Work } from '../../core/work.ts'

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
  readonly separator: Separator
}

/** Spreadsheets separate cells by semicolons where the comma is in numbers, and by tabs when text is copied. */
const SEPARATORS = [',', ';', '\t'] as const
export type Separator = (typeof SEPARATORS)[number]

export const SEPARATOR_NAMES: Readonly<Record<Separator, string>> = { ',': 'commas', ';': 'semicolons', '\t': 'tabs' }

export interface CsvOptions {
  /** Instead of what the header looks like. */
  readonly separator?: Separator
  /** Columns that are expected: a header that has them all tells the separator. */
  readonly names?: readonly string[]
}

/** Steps (docs/limits.md) of a character, of a doubled quote, and of a cell. */
const CHARACTER = 10
const DOUBLED = 55
const CELL = 60
const STEPS_PER_PIECE = 1_000_000

const refusal = tooManySteps('This CSV', 'Send it in parts')

/** About what a text of so many bytes takes to read. */
export function csvSteps(bytes: number): number {
  return bytes * CHARACTER
}

/**
 * Reads comma-separated values by RFC 4180: quoted cells may hold commas, line ends and doubled quotes; lines end with CRLF
 * or LF. The first line is the header. A byte order mark is skipped, and so are empty lines. Semicolons or tabs may take
 * the commas' place, and a first line `sep=;` may say so.
 * @throws invalid_request naming the line, input_too_large
 */
export function* parsingCsv(text: string, limits: CsvLimits, options: CsvOptions, meter: StepMeter): Work<Csv> {
  const start = text.charCodeAt(0) === BYTE_ORDER_MARK ? 1 : 0
  const declared = /^sep=([,;\t])\r?\n/i.exec(text.slice(start, start + 8))
  const separator =
    options.separator ?? (declared?.[1] as Separator | undefined) ?? separatorOf(text, start, limits, options, meter)
  const begin = start + (declared?.[0].length ?? 0)
  const lines = new CsvLines(text, begin, separator, limits.maxCellLength, declared === null ? 1 : 2)
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
  let unreported = 0
  for (;;) {
    const row = lines.next(header.length)
    const steps = lines.steps()
    meter.spend(steps, refusal)
    unreported += steps
    if (unreported > STEPS_PER_PIECE) {
      unreported = 0
      yield meter.piece()
    }
    if (row === undefined) return { header, columns, rows, separator }
    rows += 1
    checkRow(row, header.length, rows, limits)
    columns.forEach((column, i) => {
      column.push(row.cells[i] ?? null)
    })
  }
}

function checkRow(row: Line, columns: number, rows: number, { maxRows, maxCells }: CsvLimits): void {
  if (row.cells.length !== columns) {
    throw malformed(
      row.line,
      `there are ${row.cells.length} cells${row.cut ? ' or more' : ''}, but the header has ${columns}`,
    )
  }
  if (rows > maxRows) {
    throw new VergeError('input_too_large', `A table may have at most ${maxRows} rows. Send it in parts.`, {
      details: { limit_rows: maxRows },
    })
  }
  if (rows * columns > maxCells) {
    throw new VergeError('input_too_large', `A table may have at most ${maxCells} cells. Send it in parts.`, {
      details: { limit_cells: maxCells },
    })
  }
}

/**
 * UTF-16 units in which a separator is looked for. A manifest of 256 KiB names no longer header, and each separator is
 * tried by itself.
 */
const HEADER_UNITS = 512 * 1024

/** The one that makes the header what is expected; else the first of them that the header holds outside of quotes. */
function separatorOf(
  text: string,
  start: number,
  { maxColumns, maxCellLength }: CsvLimits,
  { names }: CsvOptions,
  meter: StepMeter,
): Separator {
  const beginning = text.slice(start, start + HEADER_UNITS)
  const found = SEPARATORS.map((separator) => {
    const lines = new CsvLines(beginning, 0, separator, maxCellLength, 1)
    try {
      return lines.next(maxColumns)?.cells ?? []
    } catch {
      return []
    } finally {
      meter.spend(lines.steps(), refusal)
    }
  })
  const wanted = new Set(names)
  const right = found.findIndex(
    (cells) => wanted.size > 0 && wanted.size === cells.length && cells.every((cell) => wanted.has(cell ?? '')),
  )
  const several = found.findIndex((cells) => cells.length > 1)
  return SEPARATORS[right >= 0 ? right : Math.max(0, several)] ?? ','
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
  readonly #separator: Separator
  readonly #maxCellLength: number
  #at: number
  #line: number
  #reported: number
  /** Of what was read since `steps` was asked, beside its characters. */
  #more = 0

  constructor(text: string, at: number, separator: Separator, maxCellLength: number, line: number) {
    this.#text = text
    this.#at = at
    this.#reported = at
    this.#separator = separator
    this.#maxCellLength = maxCellLength
    this.#line = line
  }

  /** Steps since this was asked last. */
  steps(): number {
    const steps = (this.#at - this.#reported) * CHARACTER + this.#more
    this.#reported = this.#at
    this.#more = 0
    return steps
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
      this.#more += CELL
      if (this.#at >= this.#text.length || this.#skipLineEnd()) return { line, cells, cut: false }
      if (cells.length > most) return { line, cells, cut: true }
      // A separator: what else ends a cell was refused or skipped.
      this.#at += 1
    }
  }

  #plain(): string | null {
    const start = this.#at
    const separator = this.#separator
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at]
      if (character === separator || character === '\n') break
      if (character === '\r' && this.#text[this.#at + 1] === '\n') break
      if (character === '\r')
        throw malformed(this.#line, 'a carriage return has no line feed; lines end with CRLF or LF')
      if (character === QUOTE) {
        throw malformed(this.#line, 'a quote is inside a cell; quote the whole cell and double the quotes in it')
      }
      this.#at += 1
      if (this.#at - start > this.#maxCellLength) throw this.#tooLong()
    }
    return start === this.#at ? null : this.#text.slice(start, this.#at)
  }

  #quoted(): string {
    const line = this.#line
    const start = this.#at + 1
    let doubled = 0
    for (let from = start; ; from = this.#at + 1) {
      const quote = this.#text.indexOf(QUOTE, from)
      if (quote === -1) throw malformed(line, 'a quote is not closed')
      this.#at = quote + 1
      // Before anything is made of it: a list of its parts takes many times the memory.
      if (quote - start - doubled > this.#maxCellLength) throw this.#tooLong()
      if (this.#text[this.#at] !== QUOTE) break
      doubled += 1
      this.#more += DOUBLED
    }
    const raw = this.#text.slice(start, this.#at - 1)
    // In half the time and memory that `replaceAll` takes.
    const cell = doubled > 0 ? raw.split('""').join(QUOTE) : raw
    for (let at = raw.indexOf('\n'); at !== -1; at = raw.indexOf('\n', at + 1)) this.#line += 1
    const after = this.#text[this.#at]
    const ends = after === undefined || after === this.#separator || after === '\n'
    if (!ends && !(after === '\r' && this.#text[this.#at + 1] === '\n')) {
      throw malformed(this.#line, 'there are characters between a closing quote and the end of its cell')
    }
    return cell
  }

  #tooLong(): VergeError {
    return new VergeError(
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
