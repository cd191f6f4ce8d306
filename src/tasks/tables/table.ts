import * as z from 'zod'
import { MOST_COLUMNS } from '../../catalog/settings/tabular.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { isObject } from '../../core/objects.ts'
import { validate } from '../../core/validation.ts'
import { StepMeter, type Work } from '../../core/work.ts'
import { type Csv, csvSteps, parsingCsv, SEPARATOR_NAMES } from '../../media/csv/parse.ts'
import { performed, type TaskBody, type TaskModel } from '../task.ts'

/** Rows as a person sent them: each column has a cell for each row, of whatever type it came. */
export interface Table {
  readonly rows: number
  readonly columns: ReadonlyMap<string, readonly unknown[]>
  /** Where a cell stands in the request, for errors. `row` counts from 0. */
  readonly field: (row: number, column: string) => string
}

/** Raw bodies that are read as CSV. An undeclared body comes as the last of them. */
export const TABLE_MEDIA_TYPES: readonly string[] = [
  'text/csv',
  'text/tab-separated-values',
  'application/octet-stream',
]

/** What browsers and systems call a CSV file in a form. */
const CSV_TYPES = [...TABLE_MEDIA_TYPES, 'application/vnd.ms-excel', 'text/plain']

/**
 * Reads a table with exactly the columns named: `{"inputs": {"data": {"age": [29, 35]}}}` as the Hugging Face inference API
 * has it, `{"inputs": [{"age": 29}, {"age": 35}]}`, or CSV with a header.
 * @throws invalid_request, unsupported_media_type, empty_input, input_too_large
 */
export async function readTable<P>(
  body: TaskBody,
  names: readonly string[],
  parametersSchema: z.ZodType<P>,
  limits: Limits,
  model: Pick<TaskModel, 'perform'>,
): Promise<{ readonly table: Table; readonly parameters: P | undefined }> {
  const given =
    body.kind === 'json'
      ? body.value
      : await performed(model, csvRequest(body, names, limits), csvSteps(body.bytes.length))
  const envelope = z.strictObject({ inputs: z.unknown().optional(), parameters: parametersSchema.optional() })
  const { inputs, parameters } = validate(envelope, given, 'The request')
  const table = inputs instanceof ParsedCsv ? inputs.table : tableOf(inputs, names, limits)
  if (table.rows === 0) throw new VergeError('empty_input', 'The table has no rows. Send at least one.')
  return { table, parameters }
}

class ParsedCsv {
  readonly table: Table

  constructor(table: Table) {
    this.table = table
  }
}

function* csvRequest(body: TaskBody & { kind: 'bytes' }, names: readonly string[], limits: Limits): Work<unknown> {
  if (!CSV_TYPES.includes(body.mediaType)) {
    throw new VergeError(
      'unsupported_media_type',
      'This model takes a table. Send text/csv, or application/json with {"inputs": {"data": {"column": [...]}}}.',
    )
  }
  const text = csvText(body)
  const bounds = {
    maxColumns: MOST_COLUMNS,
    maxRows: limits.tableRows,
    maxCells: limits.tableCells,
    maxCellLength: limits.stringBytes,
  }
  const tabs = body.mediaType === 'text/tab-separated-values'
  const csv = yield* parsingCsv(
    text,
    bounds,
    { names, ...(tabs && { separator: '\t' }) },
    new StepMeter(limits.decodeSteps),
  )
  checkNames(csv.header, names, 'The header', separatorNote(csv))
  const columns = new Map(csv.header.map((name, i) => [name, csv.columns[i] ?? []] as const))
  const table: Table = { rows: csv.rows, columns, field: (row, column) => `${column}[${row}]` }
  return { inputs: new ParsedCsv(table), ...(body.parameters !== undefined && { parameters: body.parameters }) }
}

/** How the lines were cut up, for whoever wonders why columns are missing. */
function separatorNote({ separator }: Pick<Csv, 'separator'>): string {
  return `Cells are separated by ${SEPARATOR_NAMES[separator]}. `
}

/** In the encoding that is declared, or that a byte order mark says, or else UTF-8. @throws invalid_request */
function csvText({ bytes, charset }: TaskBody & { kind: 'bytes' }): string {
  const marked =
    bytes[0] === 0xff && bytes[1] === 0xfe
      ? 'utf-16le'
      : bytes[0] === 0xfe && bytes[1] === 0xff
        ? 'utf-16be'
        : undefined
  const encoding = charset ?? marked ?? 'utf-8'
  let decoder: TextDecoder
  try {
    decoder = new TextDecoder(encoding, { fatal: true, ignoreBOM: false })
  } catch (cause) {
    throw new VergeError('invalid_request', `The charset "${encoding}" is not supported. Save the CSV as UTF-8.`, {
      cause,
    })
  }
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    const advice =
      charset === undefined
        ? 'Save it as UTF-8, or declare its encoding: "Content-Type: text/csv; charset=windows-1252"'
        : 'Save it as UTF-8'
    throw new VergeError('invalid_request', `The CSV is not valid ${encoding.toUpperCase()}. ${advice}.`, { cause })
  }
}

function tableOf(inputs: unknown, names: readonly string[], limits: Limits): Table {
  if (Array.isArray(inputs)) return fromRecords(inputs, names, limits)
  if (isObject(inputs) && Object.hasOwn(inputs, 'data') && Object.keys(inputs).length === 1) {
    const { data } = inputs
    if (isObject(data)) return fromColumns(data, names, limits)
  }
  throw wrong('"inputs" must be {"data": {"column": [...]}} or a list of rows [{"column": ...}].', 'inputs')
}

function fromColumns(data: Readonly<Record<string, unknown>>, names: readonly string[], limits: Limits): Table {
  checkNames(Object.keys(data), names, '"inputs.data"')
  const columns = new Map<string, readonly unknown[]>()
  let rows: number | undefined
  for (const name of names) {
    const cells = data[name]
    const field = `inputs.data.${shown(name)}`
    if (!Array.isArray(cells)) throw wrong(`Column "${shown(name)}" must be a list with a cell per row.`, field)
    rows ??= cells.length
    if (cells.length !== rows) {
      throw wrong(
        `Column "${shown(name)}" has ${cells.length} cells, but column "${shown(names[0] ?? '')}" has ${rows}.`,
        field,
      )
    }
    columns.set(name, cells)
  }
  checkSize(rows ?? 0, names.length, limits)
  return { rows: rows ?? 0, columns, field: (row, column) => `inputs.data.${column}[${row}]` }
}

function fromRecords(records: readonly unknown[], names: readonly string[], limits: Limits): Table {
  checkSize(records.length, names.length, limits)
  const columns = new Map(names.map((name) => [name, new Array<unknown>(records.length)] as const))
  for (const [row, record] of records.entries()) {
    if (!isObject(record)) throw wrong(`Row ${row + 1} is not an object with a field per column.`, `inputs[${row}]`)
    const keys = Object.keys(record)
    if (keys.length !== names.length || keys.some((key) => !columns.has(key))) {
      checkNames(keys, names, `Row ${row + 1}`)
    }
    for (const [name, cells] of columns) cells[row] = record[name]
  }
  return { rows: records.length, columns, field: (row, column) => `inputs[${row}].${column}` }
}

function checkSize(rows: number, columns: number, limits: Limits): void {
  if (rows > limits.tableRows) {
    throw new VergeError('input_too_large', `A table may have at most ${limits.tableRows} rows. Send it in parts.`, {
      details: { limit_rows: limits.tableRows, field: 'inputs' },
    })
  }
  if (rows * columns > limits.tableCells) {
    throw new VergeError('input_too_large', `A table may have at most ${limits.tableCells} cells. Send it in parts.`, {
      details: { limit_cells: limits.tableCells, field: 'inputs' },
    })
  }
}

/** @throws invalid_request naming the first column that is missing or unknown */
function checkNames(given: readonly string[], names: readonly string[], where: string, note = ''): void {
  const present = new Set(given)
  const missing = names.find((name) => !present.has(name))
  if (missing !== undefined) {
    throw new VergeError(
      'invalid_request',
      `${where} has no column "${shown(missing)}". ${note}The model needs: ${listed(names)}.`,
      { details: { column: shown(missing) } },
    )
  }
  const known = new Set(names)
  const unknown = given.find((name) => !known.has(name))
  if (unknown !== undefined) {
    throw new VergeError(
      'invalid_request',
      `${where} has a column "${shown(unknown)}" that the model does not take. It takes: ${listed(names)}.`,
      { details: { column: shown(unknown) } },
    )
  }
}

function listed(names: readonly string[]): string {
  const first = names.slice(0, 20).map(shown).join(', ')
  return names.length > 20 ? `${first} and ${names.length - 20} more` : first
}

function shown(name: string): string {
  return name.slice(0, 100)
}

function wrong(message: string, field: string): VergeError {
  return new VergeError('invalid_request', message, { details: { field } })
}
