import { describe, expect, it } from 'vitest'
import { isSeveralCells, pastedCells, readCsv, withPasted } from '../../../page/media/table-text.ts'

const columns = [
  { name: 'age', kind: 'number' },
  { name: 'sex', kind: 'text' },
] as const
const limits = { rows: 3, columns: 10, cells: 100, cellLength: 50, steps: 1e9 }

describe('readCsv', () => {
  it.each([
    ['commas', 'age,sex\n1,a\n2,b\n'],
    ['semicolons and another order', 'sex;age\r\na;1\r\nb;2'],
    ['tabs, a byte order mark and quotes', '\ufeffage\t"sex"\n1\t"a"\n2\tb\n'],
  ])('reads %s', (_, text) => {
    expect(readCsv(text, columns, limits)).toEqual({
      ok: [
        ['1', 'a'],
        ['2', 'b'],
      ],
    })
  })

  it.each([
    ['age\n1\n', 'The first line has no column "sex". It must name these columns: age, sex.'],
    ['age,sex,fare\n1,a,2\n', 'The model takes no column "fare". It takes: age, sex.'],
    ['age,sex\n', 'The file has a header, but no rows. Add rows, and choose it again.'],
    ['age,sex\n1,"a\n', 'The CSV cannot be read, line 2: a quote is not closed.'],
    ['age,sex\n1,a\n1,a\n1,a\n1,a\n', 'A table may have at most 3 rows. Send it in parts.'],
    ['', 'The CSV is empty. Send a header line and rows.'],
  ])('says what is wrong with %j', (text, problem) => {
    expect(readCsv(text, columns, limits)).toEqual({ problem })
  })
})

describe('pastedCells', () => {
  it.each([
    [
      '1\ta\n2\tb\n',
      [
        ['1', 'a'],
        ['2', 'b'],
      ],
    ],
    [
      '1\ta\r\n2\t\r\n',
      [
        ['1', 'a'],
        ['2', ''],
      ],
    ],
    ['"two\nlines"\t"a ""word"""\n', [['two\nlines', 'a "word"']]],
    ['5" pipe\t6\n', [['5" pipe', '6']]],
    ['"not closed\t6', [['"not closed', '6']]],
    ['\t\n', [['', '']]],
    ['a\n\nb', [['a'], [''], ['b']]],
  ])('%j', (text, cells) => {
    expect(pastedCells(text)).toEqual(cells)
  })

  it('reads a long text in a time that grows with it', () => {
    expect(pastedCells('"'.repeat(200_000))).toHaveLength(1)
    expect(pastedCells('""\t'.repeat(50_000))[0]).toHaveLength(50_001)
  })

  it('tells several cells from one', () => {
    expect(['a', 'a\n', 'a\r\n', 'a\tb', 'a\nb'].map(isSeveralCells)).toEqual([false, false, false, true, true])
  })
})

describe('withPasted', () => {
  const rows = [
    ['1', 'a'],
    ['2', 'b'],
  ]
  const at = (row: number, column: number) => ({ row, column })

  it('puts cells where the caret is, and adds rows below', () => {
    expect(withPasted(rows, [['x'], ['y']], at(1, 1), columns, 5)).toEqual({
      ok: {
        header: false,
        rows: [
          ['1', 'a'],
          ['2', 'x'],
          ['', 'y'],
        ],
      },
    })
  })

  it('takes a row of names for a header, in any order', () => {
    const pasted = [
      ['sex', ' age'],
      ['c', '3'],
    ]
    expect(withPasted(rows, pasted, at(1, 1), columns, 5)).toEqual({ ok: { header: true, rows: [['3', 'c']] } })
  })

  it.each([
    [[['1', '2']], at(0, 1), 'The pasted cells have 2 columns, but there is 1 from here on. Paste them further left.'],
    [[['1'], ['2'], ['3']], at(1, 0), 'The table would have 4 rows; it may have at most 3. Paste fewer.'],
    [[['age'], ['1']], at(0, 0), 'The pasted table has no column "sex". Copy all columns, or cells without the names.'],
  ])('says what is wrong with %j', (pasted, place, problem) => {
    expect(withPasted(rows, pasted, place, columns, 3)).toEqual({ problem })
  })
})
