import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { cellProblem, cellValue, columnsOf, fixedRows, rowsOf, tableInput } from '../../../page/media/table-cells.ts'
import type { Manifest } from '../../../src/catalog/manifest.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { tableExample, tableLayout, tableTensors } from '../../../src/tasks/tables/layout.ts'
import { readTable } from '../../../src/tasks/tables/table.ts'

const inputs = [
  { name: 'age', datatype: 'FP32', shape: [-1, 1] },
  { name: 'sex', datatype: 'BYTES', shape: [-1, 1] },
  { name: 'class', datatype: 'INT64', shape: [-1, 1] },
  { name: 'paid', datatype: 'BOOL', shape: [-1, 1] },
]
const example = { data: { age: [29, 35.5], sex: ['female', 'male'], class: [1, 3], paid: [true, false] } }
const columns = columnsOf(example, inputs) ?? []

describe('columnsOf', () => {
  it('takes the types from the inputs of the same names', () => {
    expect(columns).toEqual([
      { name: 'age', kind: 'number' },
      { name: 'sex', kind: 'text' },
      { name: 'class', kind: 'integer' },
      { name: 'paid', kind: 'boolean' },
    ])
  })

  it('has them in the order of the inputs, as far as they have the same names', () => {
    const data = Object.fromEntries(Object.entries(example.data).reverse())
    expect(columnsOf({ data }, inputs)).toEqual(columns)
    expect(columnsOf({ data: { b: [1], a: [2] } }, inputs)?.map(({ name }) => name)).toEqual(['b', 'a'])
  })

  it('takes them from the only input otherwise, or from the example', () => {
    const matrix = [{ name: 'X', datatype: 'INT32', shape: [-1, 2] }]
    expect(columnsOf({ data: { a: [1], b: [2] } }, matrix)?.map(({ kind }) => kind)).toEqual(['integer', 'integer'])
    const two = [...matrix, { name: 'Y', datatype: 'FP32', shape: [-1, 1] }]
    expect(columnsOf({ data: { a: [1.5], b: ['x'], c: [true] } }, two)?.map(({ kind }) => kind)).toEqual([
      'number',
      'text',
      'boolean',
    ])
  })

  it.each([undefined, null, 'a', {}, { data: [] }, { data: { a: 5 } }])('is undefined for %o', (value) => {
    expect(columnsOf(value, inputs)).toBeUndefined()
  })

  it('knows a fixed number of rows', () => {
    expect(fixedRows([{ name: 'a', datatype: 'FP32', shape: [2, 1] }])).toBe(2)
    expect(fixedRows(inputs)).toBeUndefined()
    expect(fixedRows([])).toBeUndefined()
  })
})

describe('a table', () => {
  it('comes out of the editor as it was put in', () => {
    expect(tableInput(rowsOf(example, columns), columns)).toEqual(example)
  })

  it.each([
    ['number', '1.5', undefined, 1.5],
    ['number', ' -2e3 ', undefined, -2000],
    ['number', '', undefined, null],
    ['number', '1,5', 'Write numbers with a decimal point.', Number.NaN],
    ['number', 'old', 'Write a number, or leave the cell empty.', Number.NaN],
    ['number', '1e999', 'Write a number, or leave the cell empty.', Number.POSITIVE_INFINITY],
    ['integer', '3', undefined, 3],
    ['integer', '3.0', undefined, 3],
    ['integer', '3.5', 'Write a whole number.', '3.5'],
    ['integer', '9007199254740993', undefined, '9007199254740993'],
    ['boolean', 'True', undefined, true],
    ['boolean', '0', undefined, false],
    ['boolean', 'yes', 'Write true or false.', 'yes'],
    ['text', ' a ', undefined, ' a '],
    ['text', '', undefined, null],
  ] as const)('%s "%s"', (kind, text, problem, value) => {
    const column = { name: 'c', kind }
    expect([cellProblem(text, column), cellValue(text, column)]).toEqual([problem, value])
  })

  it('is what the server reads, cell by cell', async () => {
    const manifest = { model: 'm', version: '1', inputs, outputs: [] } as unknown as Manifest
    const layout = tableLayout(manifest)
    const typed = [['29', 'female', '9007199254740993', 'TRUE']]
    const body = { kind: 'json', value: { inputs: tableInput(typed, columns) } } as const
    const { table } = await readTable(body, layout.names, z.unknown(), LIMITS, {})
    const tensors = tableTensors(table, layout, manifest, LIMITS)
    expect(['age', 'sex', 'class', 'paid'].map((name) => tensors.get(name)?.data[0])).toEqual([
      29,
      'female',
      9_007_199_254_740_993n,
      1,
    ])
  })

  it('begins with the example that the server has for every model', () => {
    const manifest = { model: 'm', version: '1', inputs, outputs: [] } as unknown as Manifest
    const made = tableExample(manifest, tableLayout(manifest)) as { readonly inputs: unknown }
    const found = columnsOf(made.inputs, inputs) ?? []
    expect(found.map(({ name }) => name)).toEqual(['age', 'sex', 'class', 'paid'])
    expect(rowsOf(made.inputs, found)).toHaveLength(2)
  })
})
