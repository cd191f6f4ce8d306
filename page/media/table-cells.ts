/** Cells of a table editor: texts as somebody types them, and the typed values that a model gets. Pure. */

export type ColumnKind = 'integer' | 'number' | 'boolean' | 'text'

export interface Column {
  readonly name: string
  readonly kind: ColumnKind
}

/** A row of texts, one for each column. */
export type Row = readonly string[]

/** In the words of a person who fills in a table. */
export const KIND_NAMES: Readonly<Record<ColumnKind, string>> = {
  integer: 'whole number',
  number: 'number',
  boolean: 'true or false',
  text: 'text',
}

/** An input of a model, as far as it tells the types of columns. */
export interface TableInputInfo {
  readonly name: string
  readonly datatype: string
  readonly shape: readonly number[]
}

/**
 * The columns of a model, from its example: the input of a column's name takes it, or else the only input. In the order of
 * the inputs, where there is one for each: that of the example may have been lost on the way.
 * @param example `{data: {column: [cell, ...]}}`; undefined is returned if it is something else
 */
export function columnsOf(example: unknown, inputs: readonly TableInputInfo[]): readonly Column[] | undefined {
  const data = dataOf(example)
  if (data === undefined) return undefined
  const [only, ...others] = inputs
  const place = (name: string): number => inputs.findIndex((one) => one.name === name)
  const columns = Object.entries(data).map(([name, cells]) => {
    const input = inputs[place(name)] ?? (others.length === 0 ? only : undefined)
    return { name, kind: input === undefined ? kindOfValue(cells[0]) : kindOfDatatype(input.datatype) }
  })
  return columns.sort((left, right) => place(left.name) - place(right.name))
}

/** The rows of an example, as texts. */
export function rowsOf(example: unknown, columns: readonly Column[]): readonly Row[] {
  const data = dataOf(example) ?? {}
  const count = Math.max(0, ...Object.values(data).map((cells) => cells.length))
  return Array.from({ length: count }, (_, row) => columns.map(({ name }) => textOf(data[name]?.[row])))
}

/** Rows that a model takes at a time; undefined where any number will do. */
export function fixedRows(inputs: readonly TableInputInfo[]): number | undefined {
  const rows = inputs[0]?.shape[0]
  return rows !== undefined && rows > 0 ? rows : undefined
}

/** Why a cell cannot be sent; undefined if it can. An empty cell can: the model may have a value for it. */
export function cellProblem(text: string, { kind }: Column): string | undefined {
  const trimmed = text.trim()
  if (kind === 'text' || trimmed === '') return undefined
  if (kind === 'boolean') return BOOLEANS.has(trimmed.toLowerCase()) ? undefined : 'Write true or false.'
  if (/^[+-]?\d+,\d+$/.test(trimmed)) return 'Write numbers with a decimal point.'
  if (!DECIMAL.test(trimmed) || !Number.isFinite(Number(trimmed))) {
    return `Write a ${KIND_NAMES[kind]}, or leave the cell empty.`
  }
  return kind === 'integer' && !Number.isInteger(Number(trimmed)) ? 'Write a whole number.' : undefined
}

/** What a cell is in the request. Digits beyond 2^53 stay a text, which models read exactly. */
export function cellValue(text: string, { kind }: Column): string | number | boolean | null {
  const trimmed = text.trim()
  if (kind === 'text') return text === '' ? null : text
  if (trimmed === '') return null
  if (kind === 'boolean') return BOOLEANS.get(trimmed.toLowerCase()) ?? trimmed
  const value = Number(trimmed)
  return kind === 'integer' && !Number.isSafeInteger(value) ? trimmed : value
}

/** A table as the task takes it: `{data: {column: [cell, ...]}}`. */
export function tableInput(
  rows: readonly Row[],
  columns: readonly Column[],
): { readonly data: Readonly<Record<string, readonly (string | number | boolean | null)[]>> } {
  return {
    data: Object.fromEntries(
      columns.map((column, i) => [column.name, rows.map((row) => cellValue(row[i] ?? '', column))]),
    ),
  }
}

/** No digit can be read in two ways, so that a long text takes no longer than its length. */
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['false', false],
  ['1', true],
  ['0', false],
])

function kindOfDatatype(datatype: string): ColumnKind {
  if (datatype === 'BYTES') return 'text'
  if (datatype === 'BOOL') return 'boolean'
  return datatype.startsWith('FP') ? 'number' : 'integer'
}

function kindOfValue(value: unknown): ColumnKind {
  if (typeof value === 'boolean') return 'boolean'
  return typeof value === 'number' ? 'number' : 'text'
}

function textOf(cell: unknown): string {
  return typeof cell === 'string' || typeof cell === 'number' || typeof cell === 'boolean' ? `${cell}` : ''
}

function dataOf(example: unknown): Readonly<Record<string, readonly unknown[]>> | undefined {
  if (typeof example !== 'object' || example === null || !('data' in example)) return undefined
  const { data } = example
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return undefined
  const entries = Object.entries(data)
  return entries.every(([, cells]) => Array.isArray(cells)) ? Object.fromEntries(entries) : undefined
}
