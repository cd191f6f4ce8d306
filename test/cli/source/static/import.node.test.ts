import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readModelFile } from '../../../../src/cli/pack/model-file.ts'
import { openModelSource } from '../../../../src/cli/source/source.ts'
import { tensor, toFloats } from '../../../../src/core/tensors.ts'
import { validateModel } from '../../../../src/onnx/validate.ts'
import { seededFloats } from '../../../../synthetic/onnx.ts'
import { runModel } from '../../../fixtures/node/run-onnx.ts'
import { type StoredData, safetensors, withHeader, wordTokenizer } from '../../../fixtures/node/safetensors.ts'
import { messageOf } from '../../../fixtures/node/source-options.ts'

const WORDS = ['red', 'green', 'blue', 'deep', 'sea']
const TOKENS = WORDS.length + 4
const WIDTH = 6
const TABLE = seededFloats(TOKENS * WIDTH, 3)
const WEIGHTS = seededFloats(TOKENS, 5)
const TOKENIZER = wordTokenizer(WORDS)

let root: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'verge-static-'))
})
afterEach(() => rm(root, { recursive: true, force: true }))

async function put(files: Readonly<Record<string, Buffer | string>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), content)
  }
}

const open = (path = 'm', file?: string) =>
  openModelSource(join(root, path), { cacheDir: join(root, 'cache'), env: {}, file })

/** What the imported model answers to token ids; 0 pads a row. */
async function answers(modelFile: string, rows: readonly (readonly number[])[]): Promise<number[][]> {
  const { model } = await readModelFile(modelFile)
  validateModel(model)
  const length = Math.max(...rows.map((row) => row.length))
  const padded = rows.flatMap((row) => [...row, ...new Array<number>(length - row.length).fill(0)])
  const mask = rows.flatMap((row) => [...row.map(() => 1n), ...new Array<bigint>(length - row.length).fill(0n)])
  const shape = [rows.length, length]
  const outputs = await runModel(
    model,
    new Map([
      ['input_ids', tensor('INT64', shape, BigInt64Array.from(padded, BigInt))],
      ['attention_mask', tensor('INT64', shape, BigInt64Array.from(mask))],
    ]),
  )
  const output = outputs.get('sentence_embedding')
  const values = output === undefined ? undefined : toFloats(output)
  const width = output?.shape[1] ?? 0
  return rows.map((_, i) => Array.from(values?.subarray(i * width, (i + 1) * width) ?? []))
}

interface Formula {
  readonly table: ArrayLike<number>
  readonly weights?: ArrayLike<number>
  readonly mapping?: readonly number[]
}

/** model2vec's formula, in doubles: the mean of embedding[mapping[id]] * weights[id] over the tokens of a text. */
function mean(ids: readonly number[], { mapping, table, weights }: Formula): number[] {
  return Array.from({ length: WIDTH }, (_, column) => {
    const sum = ids.reduce((total, id) => {
      const row = mapping?.[id] ?? id
      return total + (table[row * WIDTH + column] ?? Number.NaN) * (weights?.[id] ?? 1)
    }, 0)
    return sum / Math.max(1, ids.length)
  })
}

const ROWS = [[4, 5, 6], [8], [7, 7, 4, 5, 6], []]

async function expectFormula(modelFile: string, formula: Formula, digits = 6): Promise<void> {
  const answered = await answers(modelFile, ROWS)
  for (const [i, row] of ROWS.entries()) {
    for (const [column, value] of mean(row, formula).entries()) {
      expect(answered[i]?.[column], `row ${i}, column ${column}`).toBeCloseTo(value, digits)
    }
  }
}

const floats = (data: Float32Array = TABLE): StoredData => ({ dtype: 'F32', shape: [TOKENS, WIDTH], data })
const model2vec = JSON.stringify({ model_type: 'model2vec', normalize: true })

describe('a static embedding', () => {
  it('of model2vec becomes a graph of its mean, with the weights of its tokens', async () => {
    await put({
      'm/model.safetensors': safetensors({
        embeddings: floats(),
        weights: { dtype: 'F32', shape: [TOKENS], data: WEIGHTS },
      }),
      'm/tokenizer.json': TOKENIZER,
      'm/config.json': model2vec,
    })
    const found = await open()
    expect(found).toMatchObject({
      kind: 'folder',
      label: 'm',
      notes: [expect.stringContaining('made of model.safetensors')],
    })
    await expectFormula(found.modelFile, { table: TABLE, weights: WEIGHTS })
  })

  it('with a quantised vocabulary has fewer rows than tokens', async () => {
    const mapping = Array.from({ length: TOKENS }, (_, id) => (id * 2) % 3)
    for (const [dtype, data] of [
      ['I64', BigInt64Array.from(mapping, BigInt)],
      ['I32', Int32Array.from(mapping)],
    ] as const) {
      await put({
        [`${dtype}/model.safetensors`]: safetensors({
          embeddings: { dtype: 'F32', shape: [3, WIDTH], data: TABLE.slice(0, 3 * WIDTH) },
          mapping: { dtype, shape: [TOKENS], data },
          weights: { dtype: 'F64', shape: [TOKENS], data: Float64Array.from(WEIGHTS) },
        }),
        [`${dtype}/tokenizer.json`]: TOKENIZER,
      })
      await expectFormula((await open(dtype)).modelFile, { table: TABLE, weights: WEIGHTS, mapping })
    }
  })

  it('keeps every datatype exactly as floats have it', async () => {
    const half = new Float16Array(TABLE)
    const brain = Uint16Array.from(new Uint32Array(TABLE.slice().buffer), (bits) => bits >>> 16)
    const bytes = Int8Array.from(TABLE, (value) => Math.round(value * 127))
    const truncated = new Float32Array(Uint32Array.from(brain, (bits) => bits << 16).buffer)
    const cases: readonly (readonly [string, ArrayBufferView, ArrayLike<number>])[] = [
      ['F16', half, half],
      ['BF16', brain, truncated],
      ['I8', bytes, bytes],
      ['F64', Float64Array.from(TABLE), TABLE],
    ]
    for (const [dtype, data, table] of cases) {
      await put({
        [`${dtype}/model.safetensors`]: safetensors({ embeddings: { dtype, shape: [TOKENS, WIDTH], data } }),
        [`${dtype}/tokenizer.json`]: TOKENIZER,
      })
      const { modelFile } = await open(dtype)
      const { model } = await readModelFile(modelFile)
      const kept = model.graph?.initializer.find(({ name }) => name === 'embeddings')?.rawData?.slice()
      expect([...new Float32Array(kept?.buffer ?? new ArrayBuffer(0))]).toEqual(Array.from(table))
      await expectFormula(modelFile, { table }, dtype === 'I8' ? 4 : 6)
    }
  })

  it('of sentence-transformers lies in a folder of its own, and counts unknown tokens', async () => {
    const modules = [
      { idx: 0, name: '0', path: '0_StaticEmbedding', type: 'sentence_transformers.models.StaticEmbedding' },
      { idx: 1, name: '1', path: '1_Normalize', type: 'sentence_transformers.models.Normalize' },
    ]
    await put({
      'm/modules.json': JSON.stringify(modules),
      'm/0_StaticEmbedding/model.safetensors': safetensors({ 'embedding.weight': floats() }),
      'm/0_StaticEmbedding/tokenizer.json': TOKENIZER,
    })
    const found = await open()
    await expectFormula(found.modelFile, { table: TABLE })
    expect(found.files.get('modules.json')).toBe(join(root, 'm/modules.json'))
    const file = await open('m/0_StaticEmbedding/model.safetensors')
    expect(file.kind).toBe('file')
    expect(file.modelFile).toBe(found.modelFile)
    expect(file.files.get('modules.json')).toBe(join(root, 'm/modules.json'))
  })

  it('has a tokenizer without special tokens and cutting', async () => {
    await put({
      'm/model.safetensors': safetensors({ embeddings: floats() }),
      'm/tokenizer.json': TOKENIZER,
      'm/config.json': model2vec,
    })
    const { files } = await open()
    const path = files.get('tokenizer.json') ?? ''
    expect(path.startsWith(join(root, 'cache'))).toBe(true)
    const tokenizer = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
    expect(tokenizer).toMatchObject({ post_processor: null, truncation: null, padding: null })
    expect(tokenizer.model).toEqual((JSON.parse(TOKENIZER) as Record<string, unknown>).model)
  })

  it('is made once, and anew where a file has changed', async () => {
    const bytes = safetensors({ embeddings: floats() })
    await put({
      'm/model.safetensors': bytes,
      'm/tokenizer.json': TOKENIZER,
      'n/model.safetensors': bytes,
      'n/tokenizer.json': TOKENIZER,
    })
    const first = await open()
    expect((await open('n')).modelFile).toBe(first.modelFile)
    await put({ 'm/model.safetensors': safetensors({ embeddings: floats(seededFloats(TOKENS * WIDTH, 9)) }) })
    expect((await open()).modelFile).not.toBe(first.modelFile)
    expect(await readdir(join(root, 'cache/static'))).toHaveLength(2)
  })

  it('gives way to an ONNX file, unless it is asked for', async () => {
    await put({
      'm/model.safetensors': safetensors({ embeddings: floats() }),
      'm/tokenizer.json': TOKENIZER,
      'm/onnx/model.onnx': 'location',
    })
    await expect(open()).rejects.toThrow(/onnx/i)
    await expectFormula((await open('m', 'model.safetensors')).modelFile, { table: TABLE })
  })
})

describe('safetensors that are no static embedding', () => {
  it.each([
    [
      'a network',
      { 'encoder.layer.0.weight': floats() },
      /weights without a graph, such as "encoder.*optimum-cli export onnx --model m onnx-model\/$/,
    ],
    ['a table with a network', { embeddings: floats(), 'head.bias': floats() }, /such as "head.bias"/],
    ['nothing', {}, /weights without a graph/],
    [
      'a table of one dimension',
      { embeddings: { dtype: 'F32', shape: [6], data: TABLE.slice(0, 6) } },
      /shape \[6\], not/,
    ],
    [
      'a table of nothing',
      { embeddings: { dtype: 'F32', shape: [0, 6], data: new Float32Array(0) } },
      /shape \[0, 6\]/,
    ],
    [
      'a table of integers',
      { embeddings: { dtype: 'I32', shape: [1, 6], data: new Int32Array(6) } },
      /datatype I32; use one of F32/,
    ],
    [
      'weights for other tokens',
      { embeddings: floats(), weights: { dtype: 'F32', shape: [2], data: TABLE.slice(0, 2) } },
      /"weights" has the shape \[2\], and there are 9 tokens/,
    ],
    [
      'a mapping of floats',
      { embeddings: floats(), mapping: { dtype: 'F32', shape: [9], data: TABLE.slice(0, 9) } },
      /"mapping" is not a list/,
    ],
    [
      'a mapping to a row that is not there',
      { embeddings: floats(), mapping: { dtype: 'I64', shape: [9], data: new BigInt64Array(9).fill(9n) } },
      /gives token 0 row 9 of 9/,
    ],
    [
      'a table of fewer tokens than the tokenizer has',
      { embeddings: { dtype: 'F32', shape: [8, WIDTH], data: TABLE.slice(0, 8 * WIDTH) } },
      /a token 8, and its table rows for 8 tokens/,
    ],
  ] as const)('are refused: %s', async (_, tensors, message) => {
    await put({ 'm/model.safetensors': safetensors(tensors), 'm/tokenizer.json': TOKENIZER })
    expect(await messageOf(open(), root)).toMatch(message)
    expect(await readdir(join(root, 'cache/static')).catch(() => [])).toEqual([])
  })

  it('are refused without a tokenizer, or with one that is none', async () => {
    await put({ 'm/model.safetensors': safetensors({ embeddings: floats() }) })
    expect(await messageOf(open(), root)).toMatch(/no tokenizer.json beside it/)
    await put({ 'm/tokenizer.json': '{"model": 1}' })
    expect(await messageOf(open(), root)).toMatch(/tokenizer.json is not valid/)
  })

  it('are refused over the limit before anything is read', async () => {
    const rows = 2 ** 29
    const header = { embeddings: { dtype: 'I8', shape: [rows, 1], data_offsets: [0, rows] } }
    const path = join(root, 'm/model.safetensors')
    await put({ 'm/model.safetensors': withHeader(header), 'm/tokenizer.json': TOKENIZER })
    await truncate(path, (await stat(path)).size + rows)
    expect(await messageOf(open(), root)).toMatch(/the limit of a model is 2 GiB/)
  })
})
