import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceClient } from '@huggingface/inference'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Manifest } from '../../src/catalog/manifest.ts'
import type { CatalogWriter } from '../../src/catalog/writer.ts'
import { describeModel } from '../../src/cli/describe/describe.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { type Tensor, tensor } from '../../src/core/tensors.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { loadNative } from '../fixtures/node/native.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'
import { haveRealModels, REAL_MODELS, REAL_SAMPLES, SKIP_REASON } from '../fixtures/node/real-models.ts'
import {
  forestClassifier,
  forestRegressor,
  linearRegression,
  logisticRegression,
  supportVectorClassifier,
  supportVectorRegressor,
} from '../fixtures/tabular-models.ts'

if (!haveRealModels) console.warn(`SKIPPED: titanic and magika are not tested, because ${SKIP_REASON}`)

let worker: LiveWorker
let writer: CatalogWriter

beforeAll(async () => {
  worker = await startLiveWorker()
  writer = await writerFor(worker)
})
afterAll(() => worker?.dispose())

async function run(model: string, body: unknown, type = 'application/json'): Promise<Response> {
  const raw = typeof body === 'string' || body instanceof Uint8Array
  return fetch(`${worker.url}/run/${model}`, {
    method: 'POST',
    headers: { 'content-type': type },
    body: raw ? body : JSON.stringify(body),
  })
}

async function answer<T>(model: string, body: unknown, type?: string): Promise<T> {
  const response = await run(model, body, type)
  const text = await response.text()
  expect(response.status, text).toBe(200)
  return JSON.parse(text) as T
}

/** The fenced blocks of a page of the documentation. */
const blocks = (page: string, language: string): string[] => {
  const text = readFileSync(join(ROOT, 'docs/tasks', `${page}.md`), 'utf8')
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map((match) => match[1] ?? '')
}

const matrixOf = (rows: readonly (readonly number[])[]): Tensor =>
  tensor('FP32', [rows.length, rows[0]?.length ?? 0], Float32Array.from(rows.flat()))

/** Publishes a model with a task, and returns what onnxruntime-node makes of inputs. */
async function published(name: string, model: Uint8Array, extra: Partial<Manifest>) {
  const native = await loadNative(model)
  await publishModel(writer, name, model, native.signature, { extra })
  return async (inputs: Record<string, Tensor>): Promise<ReadonlyMap<string, Tensor>> =>
    native.run(new Map(Object.entries(inputs)), { signal: new AbortController().signal })
}

const columns = (...names: string[]) => ({ tabular: { columns: names.map((name) => ({ name })) } })
const rowsOf = (names: readonly string[], rows: readonly (readonly unknown[])[]) =>
  rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i]])))
const numbers = (output: Tensor | undefined): number[] => Array.from((output?.data ?? []) as ArrayLike<number>, Number)

function close(found: readonly number[], expected: readonly number[]): void {
  expect(found).toHaveLength(expected.length)
  // Single precision in both; a few units in the last place of values around 100.
  for (const [i, value] of expected.entries()) expect(Math.abs((found[i] ?? Number.NaN) - value)).toBeLessThan(1e-5)
}

describe('ai.onnx.ml models over HTTP, against onnxruntime-node', () => {
  const rows = [
    [1, 2, 3],
    [-4.5, 0.25, 80],
    [12, -7, 101.5],
    [0, 10, 100],
  ] as const

  it('linear regression', async () => {
    const reference = await published('linear', linearRegression, {
      task: 'tabular-regression',
      ...columns('a', 'b', 'c'),
    })
    const found = await answer<number[]>('linear', { inputs: rowsOf(['a', 'b', 'c'], rows) })
    close(found, numbers((await reference({ X: matrixOf(rows) })).get('variable')))
    close(
      found,
      rows.map(([a, b, c]) => 2 * a - 3 * b + 0.5 * c + 10),
    )
  })

  it('support vector regression', async () => {
    const reference = await published('svr', supportVectorRegressor, {
      task: 'tabular-regression',
      ...columns('a', 'b'),
    })
    const points = rows.map(([a, b]) => [a / 4, b / 4] as const)
    const found = await answer<number[]>('svr', { inputs: rowsOf(['a', 'b'], points) })
    close(found, numbers((await reference({ X: matrixOf(points) })).get('variable')))
  })

  it('a forest for regression, where nothing is NaN', async () => {
    const settings = ['a', 'b', 'c'].map((name) => ({ name, missing: 'nan' }))
    const reference = await published('forest-r', forestRegressor, {
      task: 'tabular-regression',
      tabular: { columns: settings },
    })
    const csv = 'c,b,a\r\n3,2,1\r\n,0.25,-4.5\r\n101.5,,12\r\n100,10,\r\n'
    const withGaps = [rows[0], [-4.5, 0.25, Number.NaN], [12, Number.NaN, 101.5], [Number.NaN, 10, 100]]
    const expected = numbers((await reference({ X: matrixOf(withGaps) })).get('variable'))
    const found = await answer<number[]>('forest-r', csv, 'text/csv')
    close(found, expected)
    const filled = await answer<number[]>('forest-r', csv.replaceAll(/,(?=[,\r])/g, ',0'), 'text/csv')
    expect(filled).not.toEqual(found)
  })

  it('logistic regression: classes, and scores of all of them', async () => {
    const reference = await published('logistic', logisticRegression, {
      task: 'tabular-classification',
      ...columns('age', 'fare'),
      labels: ['low', 'middle', 'high'],
    })
    const points = rows.map(([a, , c]) => [a + 40, c] as const)
    const expected = await reference({ X: matrixOf(points) })
    const data = { age: points.map(([a]) => a), fare: points.map(([, c]) => `${c}`) }
    const classes = await answer<number[]>('logistic', { inputs: { data } })
    expect(classes).toEqual(numbers(expected.get('label')))
    expect(new Set(classes).size).toBeGreaterThan(1)
    const scored = await answer<{ label: string; score: number }[][]>('logistic', {
      inputs: { data },
      parameters: { return_scores: true },
    })
    const names = ['low', 'middle', 'high']
    close(
      scored.flatMap((row) => names.map((name) => row.find(({ label }) => label === name)?.score ?? Number.NaN)),
      numbers(expected.get('probabilities')),
    )
    expect(scored.map(([best]) => best?.label)).toEqual(classes.map((index) => names[index]))
    const one = await answer<unknown[][]>('logistic', { inputs: { data }, parameters: { top_k: 1 } })
    expect(one).toEqual(scored.map((row) => row.slice(0, 1)))
  })

  it('a support vector machine with named classes', async () => {
    const reference = await published('svc', supportVectorClassifier, {
      task: 'tabular-classification',
      ...columns('a', 'b'),
      labels: ['ham', 'späm'],
    })
    const points = [
      [1, 1],
      [-1, -1],
      [0.2, 0.1],
    ] as const
    const expected = await reference({ X: matrixOf(points) })
    const classes = await answer<string[]>('svc', { inputs: rowsOf(['a', 'b'], points) })
    expect(classes).toEqual(expected.get('label')?.data)
    expect(new Set(classes)).toEqual(new Set(['ham', 'späm']))
    const scored = await answer<{ label: string; score: number }[][]>('svc', {
      inputs: rowsOf(['a', 'b'], points),
      parameters: { return_scores: true },
    })
    close(
      scored.flatMap((row) => ['ham', 'späm'].map((name) => row.find(({ label }) => label === name)?.score ?? 0)),
      numbers(expected.get('probabilities')),
    )
  })

  it('a forest over columns of texts and of numbers', async () => {
    const reference = await published('forest-c', forestClassifier, { task: 'tabular-classification' })
    const fruit = [
      ['red', 120, 5],
      ['grün', 900, 200],
      ['unheard of', 0.5, 0],
      ['yellow', 151, 4],
    ] as const
    const shape = [fruit.length, 1]
    const expected = await reference({
      colour: tensor(
        'BYTES',
        shape,
        fruit.map(([colour]) => colour),
      ),
      weight: tensor(
        'FP32',
        shape,
        Float32Array.from(fruit, ([, weight]) => weight),
      ),
      seeds: tensor(
        'INT64',
        shape,
        BigInt64Array.from(fruit, ([, , seeds]) => BigInt(seeds)),
      ),
    })
    const names = ['colour', 'weight', 'seeds']
    const classes = await answer<string[]>('forest-c', { inputs: rowsOf(names, fruit) })
    expect(classes).toEqual(expected.get('label')?.data)
    const csv = `\ufeffcolour,weight,seeds\n${fruit.map(([c, w, s]) => `"${c}",${w},${s}`).join('\n')}`
    expect(await answer('forest-c', csv, 'text/csv')).toEqual(classes)
    // A batch is answered as its rows are.
    for (const [i, row] of fruit.entries()) {
      expect(await answer('forest-c', { inputs: rowsOf(names, [row]) })).toEqual([classes[i]])
    }
    const form = new FormData()
    form.set('file', new Blob([csv], { type: 'application/vnd.ms-excel' }), 'fruit.csv')
    const response = await fetch(`${worker.url}/run/forest-c`, { method: 'POST', body: form })
    expect(await response.json()).toEqual(classes)
  })

  it('answers Hugging Face’s own client, which sends numbers as texts', async () => {
    const client = new InferenceClient()
    const data = { a: ['1', '-4.5'], b: ['2', '0.25'], c: ['3', '80'] }
    const endpointUrl = `${worker.url}/run/linear`
    const found = await client.tabularRegression({ endpointUrl, inputs: { data } })
    close(found, [7.5, 40.25])
    const classes = await client.tabularClassification({
      endpointUrl: `${worker.url}/run/logistic`,

      inputs: { data: { age: ['41', '52'], fare: ['3', '101.5'] } },
    })
    expect(classes).toEqual(
      await answer('logistic', {
        inputs: rowsOf(
          ['age', 'fare'],
          [
            [41, 3],
            [52, 101.5],
          ],
        ),
      }),
    )
  })

  it('stays healthy after tables that are refused', async () => {
    const wide = {
      inputs: rowsOf(
        ['a', 'b', 'c'],
        Array.from({ length: 10_000 }, () => [1, 2, 3]),
      ),
    }
    const refused = await run('linear', wide)
    expect(refused.status).toBe(413)
    expect(await refused.json()).toMatchObject({ error: { code: 'input_too_large', field: 'inputs' } })
    expect((await run('linear', 'a,b,c\n1,2,"3', 'text/csv')).status).toBe(400)
    expect(await answer('linear', 'a,b,c\n1,2,3', 'text/csv')).toEqual([7.5])
  })
})

describe.skipIf(!haveRealModels)(`the titanic pipeline (skipped only where ${SKIP_REASON})`, () => {
  const passengers = [
    { pclass: 1, sex: 'female', age: 29, fare: 211.3, embarked: 'S' },
    { pclass: 3, sex: 'male', age: 35, fare: 8.05, embarked: 'S' },
  ]

  beforeAll(async () => {
    const [settings = ''] = blocks('tabular', 'json')
    const description = descriptionSchema.parse({
      ...(JSON.parse(settings) as object),
      visibility: 'public',
      artifacts: [{ file: 'model_nozipmap.onnx', dtype: 'fp32' }],
    })
    await publish(writer, await pack(description, join(REAL_MODELS, 'sklearn-titanic')))
  })

  it.each([
    ['rows', { inputs: passengers }, 'application/json'],
    [
      'columns of texts',
      {
        inputs: {
          data: {
            pclass: ['1', '3'],
            sex: ['female', 'male'],
            age: ['29', '35'],
            fare: ['211.3', '8.05'],
            embarked: ['S', 'S'],
          },
        },
      },
      'application/json',
    ],
    ['CSV', 'pclass,sex,age,fare,embarked\n1,female,29,211.3,S\n3,male,35,8.05,S\n', 'text/csv'],
  ])('knows who survived, from %s', async (_, body, type) => {
    expect(await answer('titanic', body, type)).toEqual([1, 0])
  })

  it('says how sure it is', async () => {
    const scored = await answer<{ label: string; score: number }[][]>('titanic', {
      inputs: passengers,
      parameters: { return_scores: true },
    })
    expect(scored[0]?.[0]?.label).toBe('survived')
    expect(scored[0]?.[0]?.score).toBeCloseTo(0.886, 3)
    expect(scored[1]?.[0]?.label).toBe('died')
    expect(scored[1]?.[0]?.score).toBeCloseTo(0.933, 3)
  })

  it('imputes an age that is missing, and takes the harbour that the manifest says', async () => {
    const gaps = passengers.map((passenger) => ({ ...passenger, age: null, embarked: null }))
    const known = passengers.map((passenger) => ({ ...passenger, age: 28 }))
    const scores = async (inputs: unknown) =>
      (await answer<{ score: number }[][]>('titanic', { inputs, parameters: { return_scores: true } })).flatMap((row) =>
        row.map(({ score }) => score),
      )
    // The pipeline puts the median age of its training data in its place, which is 28.
    close(await scores(gaps), await scores(known))
  })

  it('answers what its page says', async () => {
    const [columns = '', rows = ''] = blocks('tabular', 'sh').map((block) => /-d '(.*)'/s.exec(block)?.[1] ?? '')
    const [, classes = '', scored = ''] = blocks('tabular', 'json')
    expect(await answer('titanic', columns)).toEqual(JSON.parse(classes))
    const found = await answer<{ label: string; score: number }[][]>('titanic', rows)
    const rounded = found.map((row) =>
      row.map(({ label, score }) => ({ label, score: Math.round(score * 1000) / 1000 })),
    )
    expect(rounded).toEqual(JSON.parse(scored))
    const csv = /printf '(.*)' \|/.exec(blocks('tabular', 'sh')[2] ?? '')?.[1]?.replaceAll('\\n', '\n')
    expect(await answer('titanic', csv, 'text/csv')).toEqual(JSON.parse(classes))
    const wrong = await run('titanic', columns.replace('35]', '"old"]'))
    const { error } = (await wrong.json()) as { error: object }
    const [, , , failure = ''] = blocks('tabular', 'json')
    expect({ ...error, request_id: '...' }).toEqual((JSON.parse(failure) as { error: object }).error)
  })
})

describe.skipIf(!haveRealModels)(`magika (skipped only where ${SKIP_REASON})`, () => {
  const folder = join(REAL_MODELS, 'magika-standard-v3.3')

  beforeAll(async () => {
    const native = await loadNative(readFileSync(join(folder, 'model.onnx')))
    const { description } = await describeModel({
      name: 'magika',
      source: {
        kind: 'folder',
        label: 'magika',
        modelFile: join(folder, 'model.onnx'),
        files: new Map([['config.min.json', join(folder, 'config.min.json')]]),
        others: [],
      },
      signature: native.signature,
      overrides: { licence: 'Apache-2.0', visibility: 'public' },
    })
    await publish(writer, await pack(description, folder))
  })

  const root = join(REAL_SAMPLES, 'file-types')
  const files = !haveRealModels
    ? []
    : readdirSync(root, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .flatMap(({ name }) => readdirSync(join(root, name)).map((file) => [name, join(root, name, file)] as const))

  it('tells all 69 files apart', async () => {
    expect(files).toHaveLength(69)
    const wrong: string[] = []
    for (const [label, path] of files) {
      const [best] = await answer<{ label: string; score: number }[]>(
        'magika',
        new Uint8Array(readFileSync(path)),
        'application/octet-stream',
      )
      if (best?.label !== label) wrong.push(`${path}: ${best?.label} ${best?.score}`)
    }
    expect(wrong).toEqual([])
  })

  it('takes base64, a data: URL and a form, and answers the same', async () => {
    const bytes = new Uint8Array(readFileSync(join(root, 'python/code.py')))
    const expected = await answer('magika', bytes, 'application/octet-stream')
    const base64 = Buffer.from(bytes).toString('base64')
    expect(await answer('magika', { inputs: base64 })).toEqual(expected)
    expect(await answer('magika', { inputs: `data:text/x-python;base64,${base64}` })).toEqual(expected)
    const form = new FormData()
    form.set('file', new Blob([bytes], { type: 'text/x-python' }), 'code.py')
    form.set('parameters', '{"top_k": 1}')
    const response = await fetch(`${worker.url}/run/magika`, { method: 'POST', body: form })
    expect(await response.json()).toEqual((expected as unknown[]).slice(0, 1))
  })

  it('answers what its page says', async () => {
    const [, inputs = ''] = blocks('bytes', 'sh').map((block) => /-d '(.*)'/s.exec(block)?.[1] ?? '')
    expect(await answer('magika', inputs)).toMatchObject([{ label: 'python' }])
    const [settings = ''] = blocks('bytes', 'json')
    expect(descriptionSchema.safeParse(JSON.parse(settings)).error).toBeUndefined()
  })

  it('needs no more of a long file than its two ends', async () => {
    const bytes = new Uint8Array(readFileSync(join(root, 'pptx/magika_test.pptx')))
    expect(bytes.length).toBeGreaterThan(8192)
    const ends = new Uint8Array(8192)
    ends.set(bytes.subarray(0, 4096))
    ends.set(bytes.subarray(-4096), 4096)
    expect(await answer('magika', ends, 'application/octet-stream')).toEqual(
      await answer('magika', bytes, 'application/octet-stream'),
    )
  })
})
