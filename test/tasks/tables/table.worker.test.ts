import { describe, expect, it } from 'vitest'
import type { Manifest } from '../../../src/catalog/manifest.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { type Datatype, type Tensor, type Tensors, tensor } from '../../../src/core/tensors.ts'
import { createTasks } from '../../../src/tasks/index.ts'
import { checkTable } from '../../../src/tasks/tables/layout.ts'
import { seededFloats } from '../../../synthetic/onnx.ts'
import { parseCsv } from '../../fixtures/all-at-once.ts'
import { codeOf, testApp, testModel } from '../../fixtures/http.ts'

type Spec = Manifest['inputs'][number]
const column = (name: string, datatype: Datatype): Spec => ({ name, datatype, shape: ['N', 1] })
const output = (name: string, datatype: Datatype | null, ...shape: (number | string)[]): Spec => ({
  name,
  datatype,
  shape,
})

/** Answers with what `compute` makes of the first input's rows. */
function model(name: string, manifest: Partial<Manifest> & { inputs: Spec[] }, compute: (rows: number) => Tensors) {
  const outputs: Spec[] = [output('label', 'INT64', 'N'), output('scores', 'FP32', 'N', 2)]
  return testModel(
    name,
    'public',
    { task: 'tabular-classification', outputs, ...manifest },
    { compute: (inputs) => compute([...inputs.values()][0]?.shape[0] ?? 0) },
  )
}

const twoClasses = (rows: number): Tensors =>
  new Map<string, Tensor>([
    [
      'label',
      tensor(
        'INT64',
        [rows],
        BigInt64Array.from({ length: rows }, (_, row) => BigInt(row % 2)),
      ),
    ],
    [
      'scores',
      tensor(
        'FP32',
        [rows, 2],
        Float32Array.from({ length: rows * 2 }, (_, i) => (i % 2 === Math.floor(i / 2) % 2 ? 0.75 : 0.25)),
      ),
    ],
  ])
const answering = (name: string, value: Tensor) => (): Tensors => new Map([[name, value]])

const mixed = model(
  'mixed',
  { inputs: [column('age', 'FP32'), column('sex', 'BYTES'), column('class', 'INT64'), column('paid', 'BOOL')] },
  twoClasses,
)
const number = (datatype: Datatype) => model(datatype.toLowerCase(), { inputs: [column('n', datatype)] }, twoClasses)
const lenient = model(
  'lenient',
  {
    inputs: [{ name: 'X', datatype: 'FP32', shape: ['N', 3] }, column('port', 'BYTES')],
    tabular: {
      columns: [
        { name: 'a', input: 'X', missing: 'nan' },
        { name: 'port', missing: 'S' },
        { name: 'b', input: 'X', missing: -1 },
        { name: 'c', input: 'X' },
      ],
    },
  },
  twoClasses,
)
const proto = model('proto', { inputs: [column('__proto__', 'FP32')] }, twoClasses)
const single = model('single', { inputs: [{ name: 'n', datatype: 'FP32', shape: [1, 1] }] }, twoClasses)
const flat = model('flat', { inputs: [{ name: 'n', datatype: 'FP64', shape: ['N'] }] }, twoClasses)
const named = model('named', { inputs: [column('n', 'FP32')], labels: ['no', 'yes'] }, twoClasses)
const texts = model(
  'texts',
  { inputs: [column('n', 'FP32')] },
  (rows) =>
    new Map<string, Tensor>([
      ['label', tensor('BYTES', [rows], new Array<string>(rows).fill('böse'))],
      ['scores', tensor('FP32', [rows, 2], new Float32Array(rows * 2))],
    ]),
)
const oneScore = model(
  'one-score',
  { inputs: [column('n', 'FP32')], labels: ['no', 'yes'], activation: 'sigmoid' },
  answering('scores', tensor('FP32', [2, 1], Float32Array.of(-1, 3))),
)
const mapped = model(
  'mapped',
  { inputs: [column('n', 'FP32')], outputs: [output('label', 'INT64', 'N'), output('output_probability', null)] },
  twoClasses,
)
const unfit = model(
  'unfit',
  { inputs: [{ name: 'X', datatype: 'FP32', shape: ['N', 3] }], tabular: { columns: [{ name: 'a' }] } },
  twoClasses,
)
const many = model(
  'many',
  { inputs: [column('n', 'FP32')] },
  (rows) => new Map([['scores', tensor('FP32', [rows, 1000], new Float32Array(rows * 1000))]]),
)
const regression = (name: string, value: Tensor) =>
  model(
    name,
    { task: 'tabular-regression', inputs: [column('n', 'FP32')], outputs: [output('y', value.datatype, 'N', 1)] },
    answering('y', value),
  )
const exemplary = model(
  'exemplary',
  { inputs: [column('n', 'FP32')], tabular: { example: { n: [3, 4, 5] } } },
  twoClasses,
)
const { post, request, serving } = testApp({
  models: [
    mixed,
    ...(['INT8', 'UINT64', 'INT64', 'FP16', 'FP32', 'FP64'] as const).map(number),
    lenient,
    proto,
    single,
    flat,
    named,
    texts,
    oneScore,
    mapped,
    unfit,
    exemplary,
    many,
    regression('price', tensor('FP32', [2, 1], Float32Array.of(1.5, -2))),
    regression('place', tensor('FP64', [2, 2], Float64Array.of(1, 2, 3, 4))),
    regression('count', tensor('INT64', [2], BigInt64Array.of(5n, -6n))),
    regression('broken', tensor('FP32', [2, 1], Float32Array.of(1, Number.NaN))),
  ],
})

const run = (name: string, inputs: unknown, parameters?: unknown): Promise<Response> =>
  post(`/run/${name}`, { inputs, ...(parameters !== undefined && { parameters }) })
const csv = (name: string, body: string | Uint8Array, type = 'text/csv'): Promise<Response> =>
  post(`/run/${name}`, body, { 'content-type': type })
const sent = (name: string): unknown => serving.runs.at(-1)?.inputs.get(name)?.data
const failure = async (response: Response): Promise<Record<string, unknown>> => ({
  ...(await response.json<{ error: Record<string, unknown> }>()).error,
  status: response.status,
})

const latin = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0))
const utf16 = (text: string): Uint8Array => new Uint8Array(Uint16Array.from(text, (c) => c.charCodeAt(0)).buffer)

const table = { age: [29, '35.5'], sex: ['female', 'male'], class: [1, '3'], paid: [true, 'FALSE'] }

describe('a table', () => {
  it.each([
    ['columns', { data: table }],
    [
      'rows',
      [
        { age: 29, sex: 'female', class: 1, paid: 1 },
        { paid: '0', class: '3.0', sex: 'male', age: '3.55e1' },
      ],
    ],
  ])('comes as %s', async (_, inputs) => {
    const response = await run('mixed', inputs)
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual([0, 1])
    expect(sent('age')).toEqual(Float32Array.of(29, 35.5))
    expect(sent('sex')).toEqual(['female', 'male'])
    expect(sent('class')).toEqual(BigInt64Array.of(1n, 3n))
    expect(sent('paid')).toEqual(Uint8Array.of(1, 0))
    expect(serving.runs.at(-1)?.inputs.get('age')?.shape).toEqual([2, 1])
  })

  it.each(['text/csv', 'text/csv; charset=utf-8', 'application/octet-stream', 'application/x-www-form-urlencoded'])(
    'comes as CSV: %s',
    async (type) => {
      const body = '\ufeffsex,age,class,paid\r\n"fem,""ale""\r\nž",29,1,true\r\n\r\nmale,35.5,3,false\r\n'
      const response = await csv('mixed', body, type)
      expect(response.status).toBe(200)
      expect(sent('sex')).toEqual(['fem,"ale"\r\nž', 'male'])
      expect(sent('age')).toEqual(Float32Array.of(29, 35.5))
    },
  )

  it.each<[string, string, string | Uint8Array]>([
    ['semicolons', 'text/csv', 'sex;age;class;paid\nžena;29;1;true\nmale;35.5;3;false\n'],
    ['a line that says so', 'text/csv', 'sep=;\r\nsex;age;class;paid\r\nžena;29;1;true\r\nmale;35.5;3;false\r\n'],
    ['tabs', 'text/csv', 'sex\tage\tclass\tpaid\nžena\t29\t1\ttrue\nmale\t35.5\t3\tfalse\n'],
    ['tabs by type', 'text/tab-separated-values', 'sex\tage\tclass\tpaid\nžena\t29\t1\ttrue\nmale\t35.5\t3\tfalse'],
    // U+017E is 0x9e in windows-1252 and 0xbe in ISO 8859-2.
    [
      'windows-1252',
      'text/csv; charset=windows-1252',
      latin('sex;age;class;paid\n\x9eena;29;1;true\nmale;35.5;3;false'),
    ],
    ['ISO 8859-2', 'text/csv;charset="ISO-8859-2"', latin('sex,age,class,paid\n\xbeena,29,1,true\nmale,35.5,3,false')],
    [
      'UTF-16 by its mark',
      'text/csv',
      utf16('\ufeffsex\tage\tclass\tpaid\r\nžena\t29\t1\ttrue\r\nmale\t35.5\t3\tfalse\r\n'),
    ],
    ['another name of CSV', 'application/csv', 'sex,age,class,paid\nžena,29,1,true\nmale,35.5,3,false'],
  ])('comes as spreadsheets write it: %s', async (_, type, body) => {
    const response = await csv('mixed', body, type)
    expect(response.status).toBe(200)
    expect(sent('sex')).toEqual(['žena', 'male'])
    expect(sent('age')).toEqual(Float32Array.of(29, 35.5))
    expect(sent('paid')).toEqual(Uint8Array.of(1, 0))
  })

  it('says what is wrong with a spreadsheet', async () => {
    const commas = await failure(await csv('fp32', 'n;m\n"1,5";2'))
    expect(commas.message).toContain('a column "m" that the model does not take')
    expect((await failure(await csv('mixed', 'sex;age;paid\nx;1;1'))).message).toContain('separated by semicolons')
    expect((await failure(await csv('fp32', 'n\n"1,5"'))).message).toContain('with a decimal point')
    const unknown = await failure(await csv('fp32', 'n\n1', 'text/csv; charset=klingon'))
    expect(unknown).toMatchObject({ status: 400, code: 'invalid_request' })
    expect(unknown.message).toContain('"klingon" is not supported')
    expect((await failure(await csv('fp32', latin('\xe9'), 'text/csv'))).message).toContain('charset=windows-1252')
  })

  it('fills empty cells as the manifest says', async () => {
    const rows = [
      { a: null, port: null, b: ' ', c: 1 },
      { a: 2, port: '', b: 3, c: 4 },
    ]
    expect((await run('lenient', rows)).status).toBe(200)
    expect(sent('X')).toEqual(Float32Array.of(Number.NaN, -1, 1, 2, 3, 4))
    // An empty text is a text; a cell without one is not.
    expect(sent('port')).toEqual(['S', ''])
    expect((await csv('lenient', 'a,b,c,port\n,,1,\n2,3,4,""\n')).status).toBe(200)
    expect(sent('X')).toEqual(Float32Array.of(Number.NaN, -1, 1, 2, 3, 4))
    expect(sent('port')).toEqual(['S', ''])
    expect(await failure(await run('lenient', [{ a: 1, b: 2, c: null, port: 'Q' }]))).toMatchObject({
      status: 400,
      code: 'invalid_request',
      row: 1,
      column: 'c',
    })
  })

  it('may have a column of any name, and of one dimension', async () => {
    expect((await post('/run/proto', '{"inputs": {"data": {"__proto__": [1, 2]}}}')).status).toBe(200)
    expect(sent('__proto__')).toEqual(Float32Array.of(1, 2))
    expect((await post('/run/proto', '{"inputs": [{"__proto__": 7}]}')).status).toBe(200)
    expect(sent('__proto__')).toEqual(Float32Array.of(7))
    expect((await post('/run/proto', '{"inputs": [{"constructor": 7}]}')).status).toBe(400)
    expect((await run('flat', { data: { n: [1, 2] } })).status).toBe(200)
    expect(serving.runs.at(-1)?.inputs.get('n')?.shape).toEqual([2])
  })

  it.each([
    ['int64', '9223372036854775807', BigInt64Array.of(9223372036854775807n)],
    ['int64', -5, BigInt64Array.of(-5n)],
    ['uint64', '+18446744073709551615', BigUint64Array.of(18446744073709551615n)],
    ['int8', ' -128 ', Int8Array.of(-128)],
    ['fp16', '1', Uint16Array.of(0x3c00)],
    ['fp32', '.5', Float32Array.of(0.5)],
    ['fp64', '1e300', Float64Array.of(1e300)],
  ])('%s takes %j', async (name, cell, expected) => {
    expect((await run(name, { data: { n: [cell] } })).status).toBe(200)
    expect(sent('n')).toEqual(expected)
  })

  it.each([
    ['int64', '9223372036854775808', 'out of the range of INT64'],
    ['int64', 2 ** 53, 'beyond 2^53'],
    ['int64', 1.5, 'integer'],
    ['int8', 128, 'out of the range of INT8'],
    ['uint64', -1, 'out of the range of UINT64'],
    ['fp16', 70000, 'out of the range of FP16'],
    ['fp32', 1e300, 'out of the range of FP32'],
    ['fp64', '1e999', 'out of the range of FP64'],
    ['fp32', 'NaN', 'leave a cell without a value empty'],
    ['fp32', '-Infinity', 'leave a cell without a value empty'],
    ['fp32', '0x10', 'but a number is needed'],
    ['fp32', '1,5', 'but a number is needed'],
    ['fp32', true, 'true, but a number is needed'],
    ['fp32', [1], 'a list, but a number is needed'],
    ['fp32', { n: 1 }, 'an object, but a number is needed'],
    ['fp32', null, 'it is empty'],
    ['fp32', '', 'it is empty'],
  ])('%s does not take %j', async (name, cell, message) => {
    const found = await failure(await run(name, { data: { n: [1, cell] } }))
    expect(found).toMatchObject({
      status: 400,
      code: 'invalid_request',
      row: 2,
      column: 'n',
      field: 'inputs.data.n[1]',
    })
    expect(found.message).toContain('Row 2, column "n"')
    expect(found.message).toContain(message)
  })

  it.each([
    [{ sex: ['a', 7] }, 'sex', 'but a text is needed'],
    [{ sex: ['a', null] }, 'sex', 'it is empty'],
    [{ sex: ['a', 'x\0y'] }, 'sex', 'zero character'],
    [{ sex: ['a', '\ud800'] }, 'sex', 'surrogate'],
    [{ sex: ['a', 'x'.repeat(LIMITS.stringBytes + 1)] }, 'sex', 'a text of more than'],
    [{ paid: [true, 'yes'] }, 'paid', 'true or false'],
    [{ paid: [true, 2] }, 'paid', 'true or false'],
  ])('names row and column of what is wrong: %#', async (wrong, name, message) => {
    const found = await failure(await run('mixed', { data: { ...table, ...wrong } }))
    expect(found).toMatchObject({ status: 400, code: 'invalid_request', row: 2, column: name })
    expect(found.message).toContain(message)
  })

  it.each([
    ['no inputs', { parameters: {} }, 'must be'],
    ['a text', { inputs: 'age' }, 'must be'],
    ['other fields', { inputs: { data: {}, rows: [] } }, 'must be'],
    ['data that is a list', { inputs: { data: [] } }, 'must be'],
    ['no columns', { inputs: { data: {} } }, 'no column "age"'],
    ['a missing column', { inputs: { data: { ...table, paid: undefined } } }, 'no column "paid"'],
    ['an unknown column', { inputs: { data: { ...table, name: ['a', 'b'] } } }, 'a column "name"'],
    ['a column that is no list', { inputs: { data: { ...table, age: 7 } } }, 'a list'],
    ['columns of different lengths', { inputs: { data: { ...table, sex: ['a'] } } }, '1 cells'],
    ['a row that is no object', { inputs: [7] }, 'Row 1'],
    ['a row that lacks a column', { inputs: [{ age: 1, sex: 'a', class: 1 }] }, 'Row 1 has no column "paid"'],
    ['a row with one more', { inputs: [{ age: 1, sex: 'a', class: 1, paid: true, x: 1 }] }, 'Row 1 has a column "x"'],
    ['a misspelt column', { inputs: [{ Age: 1, sex: 'a', class: 1, paid: true }] }, 'no column "age"'],
    ['an unknown parameter', { inputs: { data: table }, parameters: { temperature: 1 } }, 'temperature'],
    ['a parameter of the wrong type', { inputs: { data: table }, parameters: { top_k: 0 } }, 'top_k'],
    ['an unknown field', { inputs: { data: table }, options: {} }, 'options'],
  ])('is refused with %s', async (_, body, message) => {
    const found = await failure(await post('/run/mixed', body))
    expect(found).toMatchObject({ status: 400, code: 'invalid_request' })
    expect(found.message).toContain(message)
  })

  it('is refused when it is empty, or more than the limit', async () => {
    for (const inputs of [[], { data: { n: [] } }]) {
      expect(await failure(await run('fp32', inputs))).toMatchObject({ status: 400, code: 'empty_input' })
    }
    for (const body of ['', 'n', 'n\n', '\n\n']) {
      expect(await failure(await csv('fp32', body))).toMatchObject({ status: 400, code: 'empty_input' })
    }
    const rows = Array.from({ length: 10_000 }, () => 1)
    const tooMany = { status: 413, code: 'input_too_large', limit_rows: LIMITS.tableRows }
    expect(await failure(await run('fp32', { data: { n: rows } }))).toMatchObject(tooMany)
    expect(
      await failure(
        await run(
          'fp32',
          rows.map((n) => ({ n })),
        ),
      ),
    ).toMatchObject(tooMany)
    expect(await failure(await csv('fp32', `n\n${rows.join('\n')}`))).toMatchObject(tooMany)
    const many = rows.slice(0, LIMITS.tableRows)
    expect((await run('fp32', { data: { n: many } })).status).toBe(200)
  })

  it('is refused in other media types, and in other encodings', async () => {
    expect((await csv('fp32', 'n\n1', 'image/png')).status).toBe(415)
    expect(await failure(await csv('fp32', Uint8Array.of(0x6e, 0x0a, 0xe9)))).toMatchObject({ status: 400 })
    const form = new FormData()
    form.set('file', new Blob(['n\n1'], { type: 'image/png' }), 'n.png')
    expect((await request('/run/fp32', { method: 'POST', body: form })).status).toBe(415)
  })

  it('says so where a model takes one row at a time', async () => {
    expect((await run('single', [{ n: 1 }])).status).toBe(200)
    const found = await failure(await run('single', [{ n: 1 }, { n: 2 }]))
    expect(found).toMatchObject({ status: 400, code: 'invalid_request' })
    expect(found.message).toContain('exactly 1 row')
  })
})

describe('CSV', () => {
  const limits = { maxColumns: 4, maxRows: 10, maxCells: 20, maxCellLength: 10 }
  const read = (text: string) => parseCsv(text, limits)

  it.each([
    [
      'LF',
      'a,b\n1,2\n3,4\n',
      [
        ['1', '3'],
        ['2', '4'],
      ],
    ],
    [
      'CRLF and no end',
      'a,b\r\n1,2\r\n3,4',
      [
        ['1', '3'],
        ['2', '4'],
      ],
    ],
    [
      'empty cells',
      'a,b\n,\n"",x\n1,',
      [
        [null, '', '1'],
        [null, 'x', null],
      ],
    ],
    [
      'quotes',
      '"a","b"\n"1,5","say ""hi"""\n"x\ny","\r\n"\n',
      [
        ['1,5', 'x\ny'],
        ['say "hi"', '\r\n'],
      ],
    ],
    ['spaces kept', 'a, b\n 1 , 2', [[' 1 '], [' 2']]],
    ['empty lines', '\n\na,b\n\n1,2\r\n\r\n', [['1'], ['2']]],
    ['one column', 'a\n1\n""\n2', [['1', '', '2']]],
    ['semicolons', 'a;b\n1,5;"2;3"', [['1,5'], ['2;3']]],
    ['commas, where there are semicolons too', 'a,b;c\n1,2', [['1'], ['2']]],
    ['tabs', 'a\tb\n1\t2', [['1'], ['2']]],
    ['a separator inside quotes', '"a;b","c;d"\n1,2', [['1'], ['2']]],
    ['a line that names the separator', 'sep=\t\na\tb\n1\t2', [['1'], ['2']]],
  ])('reads %s', (_, text, columns) => {
    expect(read(text).columns).toEqual(columns)
  })

  it.each([
    ['a quote that is never closed', 'a,b\n1,"2\n3,4', 'line 2: a quote is not closed'],
    ['text after a quoted cell', 'a,b\n"1"x,2', 'line 2: there are characters'],
    ['a quote inside a cell', 'a,b\n1"2,3', 'line 2: a quote is inside'],
    ['a lone carriage return', 'a,b\r1,2', 'line 1: a carriage return'],
    ['too few cells', 'a,b\n1,2\n3', 'line 3: there are 1 cells'],
    ['too many cells', 'a,b\n1,2,3,4,5,6', 'line 2: there are 3 cells or more'],
    ['a name twice', 'a,b,a\n1,2,3', 'names column "a" twice'],
    ['no name', 'a,,b\n1,2,3', 'no name for column 2'],
    ['lines counted inside quotes', 'a,b\n"1\n2\n3",4\n5', 'line 5: there are 1 cells'],
  ])('refuses %s', (_, text, message) => {
    expect(() => read(text)).toThrow(message)
  })

  it('takes the separator with which the header has the columns that are wanted', () => {
    // As commas, this is two columns; the model has one of the name "a,b".
    expect(parseCsv('a,b;c\n1;2', limits, { names: ['a,b', 'c'] })).toMatchObject({
      header: ['a,b', 'c'],
      separator: ';',
    })
    expect(parseCsv('a;b\n1', limits, { names: ['a;b'] })).toMatchObject({ header: ['a;b'], separator: ',' })
  })

  it('reads back what was written, whatever it holds', () => {
    const pieces = ['"', ',', '\n', '\r\n', ' ', 'ž', '🐎', 'x', '7', "'"]
    const random = seededFloats(4000, 11)
    const pick = (i: number, count: number): number => Math.floor(((random[i % 4000] ?? 0) + 1) * 0.5 * count)
    for (let round = 0; round < 100; round++) {
      const cells = Array.from({ length: 12 }, (_, cell) =>
        Array.from({ length: pick(round + cell, 6) }, (_, i) => pieces[pick(round * 37 + cell * 7 + i, 10)]).join(''),
      )
      const line = (from: number): string =>
        cells
          .slice(from, from + 3)
          .map((cell) => `"${cell.replaceAll('"', '""')}"`)
          .join(',')
      const end = round % 2 === 0 ? '\n' : '\r\n'
      const { columns } = parseCsv(['a,b,c', line(0), line(3), line(6), line(9)].join(end), {
        ...limits,
        maxCellLength: 20,
      })
      expect(columns).toEqual([0, 1, 2].map((column) => [0, 3, 6, 9].map((from) => cells[from + column])))
    }
  })

  it('is bounded', () => {
    expect(codeOf(() => read('a,b,c,d,e\n1,2,3,4,5'))).toBe('input_too_large')
    expect(codeOf(() => read(`a\n${'1\n'.repeat(11)}`))).toBe('input_too_large')
    expect(codeOf(() => read(`a,b,c\n${'1,2,3\n'.repeat(7)}`))).toBe('input_too_large')
    expect(codeOf(() => read('a\n12345678901'))).toBe('input_too_large')
    expect(codeOf(() => read('a\n"12345678901"'))).toBe('input_too_large')
    expect(read(`a\n${'1234567890\n'.repeat(10)}`).rows).toBe(10)
  })
})

describe('what is answered', () => {
  const two = { data: { n: [1, 2] } }

  it('is the class of each row, or labels with scores', async () => {
    expect(await (await run('named', two)).json()).toEqual([0, 1])
    const scored = [
      [
        { label: 'no', score: 0.75 },
        { label: 'yes', score: 0.25 },
      ],
      [
        { label: 'yes', score: 0.75 },
        { label: 'no', score: 0.25 },
      ],
    ]
    expect(await (await run('named', two, { return_scores: true })).json()).toEqual(scored)
    expect(await (await run('named', two, { top_k: 1 })).json()).toEqual(scored.map((row) => row.slice(0, 1)))
    expect(await (await run('named', two, { top_k: 1, return_scores: false })).json()).toEqual([0, 1])
    // Nothing names them: they are 0 and 1.
    expect(await (await run('fp32', two, { top_k: 1 })).json()).toEqual([
      [{ label: '0', score: 0.75 }],
      [{ label: '1', score: 0.75 }],
    ])
  })

  it('has no more labels than an answer can hold', async () => {
    const rows = { data: { n: new Array<number>(200).fill(1) } }
    expect(await failure(await run('many', rows, { return_scores: true }))).toMatchObject({
      status: 413,
      code: 'input_too_large',
      field: 'parameters.top_k',
    })
    const some = await (await run('many', rows, { top_k: 3 })).json<unknown[][]>()
    expect(some.map(({ length }) => length)).toEqual(new Array<number>(200).fill(3))
  })

  it('is a text where the model has one; scores then need labels', async () => {
    expect(await (await run('texts', two)).json()).toEqual(['böse', 'böse'])
    expect(await failure(await run('texts', two, { return_scores: true }))).toMatchObject({
      status: 500,
      code: 'manifest_invalid',
    })
  })

  it('is by the better score where the model names no class', async () => {
    expect(await (await run('one-score', two)).json()).toEqual(['no', 'yes'])
    const scored = await (await run('one-score', two, { return_scores: true })).json<{ score: number }[][]>()
    expect(scored[1]?.[0]?.score).toBeCloseTo(1 / (1 + Math.exp(-3)), 6)
    expect(scored[1]?.[1]?.score).toBeCloseTo(1 - 1 / (1 + Math.exp(-3)), 6)
  })

  it('is a number for each row of a regression, or several', async () => {
    expect(await (await run('price', two)).json()).toEqual([1.5, -2])
    expect(await (await run('place', two)).json()).toEqual([
      [1, 2],
      [3, 4],
    ])
    expect(await (await run('count', two)).json()).toEqual([5, -6])
    expect(await failure(await run('broken', two))).toMatchObject({ status: 400, code: 'run_rejected', row: 2 })
    expect(await failure(await run('price', { data: { n: [1, 2, 3] } }))).toMatchObject({ code: 'manifest_invalid' })
  })

  it('cannot be a sequence of maps, and the operator is told what to do', async () => {
    const found = await failure(await run('mapped', two))
    expect(found).toMatchObject({ status: 500, code: 'manifest_invalid' })
    expect(found.message).toContain('push the model again')
    expect(serving.runs.every(({ inputs }) => inputs.size > 0)).toBe(true)
  })

  it('is nothing where columns and inputs do not fit', async () => {
    const found = await failure(await run('unfit', { data: { a: [1] } }))
    expect(found).toMatchObject({ status: 500, code: 'manifest_invalid' })
    expect(found.message).toContain('"X" needs 3 columns but has 1')
    expect(codeOf(() => checkTable(unfit.manifest))).toBe('manifest_invalid')
    expect(codeOf(() => checkTable(mixed.manifest))).toBe('fine')
    const bad = { ...number('FP32').manifest, tabular: { columns: [{ name: 'n', missing: 'unknown' }] } }
    expect(codeOf(() => checkTable(bad))).toBe('manifest_invalid')
  })

  it('is documented for each model by its own columns, with an example that works', async () => {
    const names = ['mixed', 'int8', 'fp32', 'lenient', 'proto', 'single', 'flat', 'named', 'price', 'count']
    const asked = [...names, 'exemplary', 'unfit'].map((name) => `model=${name}`).join('&')
    const document = await (await request(`/openapi.json?${asked}`)).json<{
      paths: Record<
        string,
        { post: { requestBody: { content: Record<string, { schema: unknown; example: unknown }> } } }
      >
    }>()
    const said = (name: string) =>
      document.paths[`/run/${name}`]?.post.requestBody.content['application/json'] ?? { schema: {}, example: {} }
    for (const name of names) expect((await post(`/run/${name}`, said(name).example)).status, name).toBe(200)
    expect(JSON.stringify(said('mixed').schema)).toContain('"required":["age","sex","class","paid"]')
    expect(said('exemplary').example).toEqual({ inputs: { data: { n: [3, 4, 5] } } })
    expect(said('unfit').schema).toEqual({ $ref: '#/components/schemas/TabularClassificationRequest' })
    const { request: general, forModel } = createTasks(LIMITS)['tabular-classification']
    const own = forModel?.(mixed.manifest)
    for (const schema of [general, own?.request]) {
      expect(schema?.safeParse({ inputs: { data: table }, parameters: { top_k: 1 } }).success).toBe(true)
    }
    expect(own?.request.safeParse({ inputs: [{ age: 1, sex: 'a', class: 1.5, paid: true }] }).success).toBe(false)
  })
})
