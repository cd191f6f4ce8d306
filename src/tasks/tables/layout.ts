import type { Manifest } from '../../catalog/manifest.ts'
import type { TabularSettings } from '../../catalog/settings/tabular.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Datatype, Tensor, Tensors } from '../../core/tensors.ts'
import { refuseMaps } from './answers.ts'
import { fillFor, filling, isEmpty } from './cells.ts'
import type { Table } from './table.ts'

type Column = NonNullable<TabularSettings['columns']>[number]

interface TableInput {
  readonly name: string
  readonly datatype: Datatype
  /** Rows that its signature fixes. */
  readonly rows: number | undefined
  /** A row is a single element without a dimension of its own. */
  readonly flat: boolean
  readonly columns: readonly Column[]
}

/** Which columns a model takes, and which of its inputs takes each. */
export interface TableLayout {
  readonly names: readonly string[]
  readonly inputs: readonly TableInput[]
}

/** Refuses a model that could not answer for a table: for whoever publishes it. @throws manifest_invalid */
export function checkTable(manifest: Manifest): void {
  refuseMaps(manifest)
  const layout = tableLayout(manifest)
  for (const { columns, datatype } of layout.inputs) {
    for (const { name, missing } of columns) fillFor(missing, { datatype, column: name, model: manifest.model })
  }
}

/** @throws manifest_invalid where settings and signature do not agree */
export function tableLayout(manifest: Manifest): TableLayout {
  const columns: readonly Column[] = manifest.tabular?.columns ?? manifest.inputs.map(({ name }) => ({ name }))
  if (manifest.inputs.length === 0) throw wrongLayout(manifest, 'it has no inputs')
  const byInput = new Map<string, Column[]>(manifest.inputs.map(({ name }) => [name, []]))
  for (const column of columns) {
    const input = column.input ?? (byInput.has(column.name) ? column.name : onlyInput(manifest, column.name))
    const taken = byInput.get(input)
    if (taken === undefined) throw wrongLayout(manifest, `column "${column.name}" is for an input "${input}"`)
    taken.push(column)
  }
  const inputs = manifest.inputs.map((spec): TableInput => {
    const taken = byInput.get(spec.name) ?? []
    const [rows, width] = spec.shape
    if (spec.datatype === null || (spec.shape.length !== 1 && spec.shape.length !== 2)) {
      throw wrongLayout(manifest, `input "${spec.name}" is neither a column nor a matrix`)
    }
    const fixed = typeof width === 'number' && width >= 0 ? width : undefined
    const wanted = spec.shape.length === 1 ? 1 : (fixed ?? taken.length)
    if (taken.length !== wanted || taken.length === 0) {
      throw wrongLayout(manifest, `input "${spec.name}" needs ${wanted} columns but has ${taken.length}`)
    }
    return {
      name: spec.name,
      datatype: spec.datatype,
      rows: typeof rows === 'number' && rows >= 0 ? rows : undefined,
      flat: spec.shape.length === 1,
      columns: taken,
    }
  })
  return { names: columns.map(({ name }) => name), inputs }
}

/**
 * The model's inputs, each cell checked against its column's type.
 * @throws invalid_request naming row and column, manifest_invalid
 */
export function tableTensors(table: Table, layout: TableLayout, manifest: Manifest, limits: Limits): Tensors {
  const tensors = new Map<string, Tensor>()
  for (const input of layout.inputs) {
    if (input.rows !== undefined && input.rows !== table.rows) {
      throw new VergeError(
        'invalid_request',
        `This model takes exactly ${input.rows} ${input.rows === 1 ? 'row' : 'rows'} at a time, but there are ${table.rows}.`,
        { details: { field: 'inputs' } },
      )
    }
    tensors.set(input.name, inputTensor(input, table, manifest, limits))
  }
  return tensors
}

function inputTensor(input: TableInput, table: Table, manifest: Manifest, limits: Limits): Tensor {
  const { datatype, columns } = input
  const width = columns.length
  const { put, putNaN, finish } = filling(datatype, input.flat ? [table.rows] : [table.rows, width], limits.stringBytes)
  for (const [offset, column] of columns.entries()) {
    const cells = table.columns.get(column.name) ?? []
    const fill = fillFor(column.missing, { datatype, column: column.name, model: manifest.model })
    for (let row = 0; row < table.rows; row++) {
      const index = row * width + offset
      const empty = isEmpty(cells[row], datatype)
      if (empty && fill?.nan) {
        putNaN?.(index)
        continue
      }
      const problem =
        empty && fill === undefined
          ? 'empty, and the model has no value for empty cells'
          : put(index, empty ? fill?.cell : cells[row])
      if (problem !== undefined) throw wrongCell(table, row, column.name, problem)
    }
  }
  return finish()
}

function wrongCell(table: Table, row: number, column: string, problem: string): VergeError {
  const name = column.slice(0, 100)
  return new VergeError('invalid_request', `Row ${row + 1}, column "${name}": it is ${problem}.`, {
    details: { row: row + 1, column: name, field: table.field(row, name) },
  })
}

/** The manifest's example, or, where it has none, two rows of nothing in particular that have the right types. */
export function tableExample(manifest: Manifest, layout: TableLayout): unknown {
  const { example } = manifest.tabular ?? {}
  if (example !== undefined) return { inputs: { data: example } }
  const sample = (datatype: Datatype): unknown => {
    if (datatype === 'BYTES') return 'a'
    return datatype === 'BOOL' ? true : 1
  }
  return {
    inputs: {
      data: Object.fromEntries(
        layout.inputs.flatMap(({ columns, datatype, rows }) =>
          columns.map(({ name }) => [name, new Array<unknown>(rows ?? 2).fill(sample(datatype))]),
        ),
      ),
    },
  }
}

function onlyInput(manifest: Manifest, column: string): string {
  const [input, other] = manifest.inputs
  if (input !== undefined && other === undefined) return input.name
  throw wrongLayout(manifest, `no input takes column "${column}"`)
}

function wrongLayout(manifest: Manifest, problem: string): VergeError {
  return new VergeError(
    'manifest_invalid',
    `The columns of model "${manifest.model}" version "${manifest.version}" do not match its inputs: ${problem}. Correct "tabular.columns" and push it again.`,
  )
}
