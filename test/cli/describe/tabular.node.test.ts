import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { manifestSchema } from '../../../src/catalog/manifest.ts'
import { probeFor } from '../../../src/cli/local/probe.ts'
import { settingsOf } from '../../../src/cli/source/settings.ts'
import type { Datatype, Signature } from '../../../src/core/tensors.ts'
import { type Sources, startSources } from '../../fixtures/node/describe.ts'
import { haveRealModels, REAL_MODELS, SKIP_REASON } from '../../fixtures/node/real-models.ts'
import { linearRegression, logisticRegression, supportVectorClassifier } from '../../fixtures/tabular-models.ts'

let sources: Sources

beforeEach(async () => {
  sources = await startSources()
})
afterEach(() => sources.remove())

type Inputs = Readonly<Record<string, readonly [Datatype | null, readonly (number | string)[]]>>
const specs = (named: Inputs): Signature['inputs'] =>
  Object.entries(named).map(([name, [datatype, shape]]) => ({ name, datatype, shape }))
const like = (inputs: Inputs, outputs: Inputs = CLASSIFIER): Signature => ({
  inputs: specs(inputs),
  outputs: specs(outputs),
})
const CLASSIFIER: Inputs = { label: ['INT64', ['N']], probabilities: ['FP32', ['N', 2]] }
const MATRIX = like({ X: ['FP32', ['N', 2]] })
const sklearn = (fields: object) => ({ 'config.json': { sklearn: { task: 'tabular-classification', ...fields } } })

describe('a table’s model', () => {
  it('is described by what skops writes', async () => {
    const example_input = { age: [24, 31, 20, 7], fare: [7.5, 8, 9, 10] }
    const files = sklearn({ columns: ['age', 'fare'], example_input, model: { file: 'model.pkl' } })
    const { description, notes } = await sources.describe(files, MATRIX)
    expect(description).toMatchObject({
      task: 'tabular-classification',
      preprocess: {
        tabular: {
          columns: [{ name: 'age' }, { name: 'fare' }],
          example: { age: [24, 31, 20], fare: [7.5, 8, 9] },
        },
      },
    })
    expect(description.labels).toBeUndefined()
    expect(notes.join('\n')).toMatch(/by config.json[\s\S]*columns: age, fare/)
  })

  it.each([
    ['columns that are not as many', { columns: ['age'] }],
    ['columns twice', { columns: ['age', 'age'] }],
    ['columns that are no texts', { columns: [1, 2] }],
    ['no columns', {}],
    ['an example that lacks a column', { example_input: { x0: [1] } }],
    ['an example of other lengths', { example_input: { x0: [1], x1: [1, 2] } }],
    ['an example of lists', { example_input: { x0: [[1]], x1: [[2]] } }],
  ])('has columns x0, x1 where there are %s', async (_, fields) => {
    const { description, notes } = await sources.describe(sklearn(fields), MATRIX)
    expect(description.preprocess).toEqual({ tabular: { columns: [{ name: 'x0' }, { name: 'x1' }] } })
    expect(notes.join('\n')).toContain('they are called x0 to x1')
  })

  it('has its inputs for columns where each is one', async () => {
    const inputs = like({ sex: ['BYTES', ['N', 1]], age: ['FP32', [-1, 1]], fare: ['FP32', ['N']] })
    const { description, notes } = await sources.describe({}, inputs, {
      task: 'tabular-classification',
      labels: ['died', 'survived'],
    })
    expect(description).toMatchObject({ task: 'tabular-classification', labels: ['died', 'survived'] })
    expect(description.preprocess).toBeUndefined()
    expect(notes.join('\n')).toContain('columns: sex, age, fare, the names of its inputs')
  })

  it.each([
    ['texts', supportVectorClassifier, ['ham', 'späm']],
    ['numbers', logisticRegression, ['0', '1', '2']],
    ['nothing, where it has none', linearRegression, undefined],
    ['nothing, where it is no model', Uint8Array.of(1, 2, 3), undefined],
  ])('has its classes by its own classifier: %s', async (_, model, labels) => {
    await writeFile(join(sources.folder, 'net.onnx'), model)
    const { description } = await sources.describe(sklearn({}), MATRIX)
    expect(description.labels).toEqual(labels)
    const said = await sources.describe(sklearn({}), MATRIX, { labels: ['a', 'b'] })
    expect(said.description.labels).toEqual(['a', 'b'])
  })

  it('keeps what a person says of it', async () => {
    const tabular = { columns: [{ name: 'a', missing: 'nan' }, { name: 'b' }] }
    const { description } = await sources.describe(sklearn({ columns: ['c', 'd'] }), MATRIX, {
      preprocess: { tabular },
    })
    expect(description.preprocess).toEqual({ tabular })
  })

  it.each([
    ['a sequence of maps', like({ X: ['FP32', ['N', 2]] }, { label: ['INT64', ['N']], map: [null, []] }), 'zipmap'],
    ['pictures', like({ X: ['FP32', ['N', 3, 4, 4]] }), 'neither a column nor a matrix'],
    ['an open width', like({ X: ['FP32', ['N', 'C']] }), 'number of columns'],
    ['several matrices', like({ X: ['FP32', ['N', 2]], Y: ['FP32', ['N', 1]] }), 'assignment of columns'],
    ['a width beyond reason', like({ X: ['FP32', ['N', 5000]] }), 'more than 4096 columns'],
  ])('is served as raw tensors where it has %s', async (_, signature, reason) => {
    const { description, notes } = await sources.describe(sklearn({}), signature)
    expect(description.task).toBeUndefined()
    expect(notes.join('\n')).toContain('raw tensors')
    expect(notes.join('\n')).toContain(reason)
    await expect(sources.describe({}, signature, { task: 'tabular-regression' })).rejects.toThrow(reason)
  })

  it('is proven by its own example', async () => {
    const manifest = manifestSchema.parse({
      schema: 1,
      model: 'fruit',
      version: '1',
      task: 'tabular-classification',
      inputs: [{ name: 'kind', datatype: 'BYTES', shape: ['N', 1] }],
      outputs: [{ name: 'label', datatype: 'INT64', shape: ['N'] }],
      tabular: { example: { kind: ["Granny's"] } },
      artifacts: [
        { id: 'a', sha256: '0'.repeat(64), bytes: 0, chunks: [], format: 'ort', dtype: 'fp32', places: ['edge'] },
      ],
    })
    const probe = await probeFor(manifest, sources.folder)
    expect(probe?.path).toBe('/run/fruit')
    expect(JSON.parse(String(probe?.body))).toEqual({ inputs: { data: { kind: ["Granny's"] } } })
    expect(probe?.curl('http://localhost')).toContain(`["Granny'\\''s"]`)
    const bytes = await probeFor({ ...manifest, task: 'bytes-classification' }, sources.folder)
    expect(JSON.parse(String(bytes?.body))).toEqual({ inputs: expect.stringMatching(/^[A-Za-z0-9+/]+=*$/) })
  })
})

describe('a model of files', () => {
  const BYTES = like({ bytes: ['INT32', ['N', 2048]] }, { target_label: ['FP32', ['N', 3]] })
  const config = {
    beg_size: 1024,
    mid_size: 0,
    end_size: 1024,
    use_inputs_at_offsets: false,
    medium_confidence_threshold: 0.5,
    min_file_size_for_dl: 8,
    padding_token: 256,
    block_size: 4096,
    target_labels_space: ['python', 'randomtxt', 'zip'],
    thresholds: { python: 0.9 },
    overwrite_map: { randomtxt: 'txt' },
  }

  it('is described by magika’s config.min.json', async () => {
    const { description } = await sources.describe({ 'config.min.json': config }, BYTES)
    expect(description).toMatchObject({
      task: 'bytes-classification',
      labels: ['python', 'randomtxt', 'zip'],
      activation: 'none',
      preprocess: {
        bytes: {
          begin: 1024,
          middle: 0,
          end: 1024,
          blockSize: 4096,
          padding: 256,
          strip: true,
          minBytes: 8,
          threshold: 0.5,
          thresholds: { python: 0.9 },
          overwrite: { randomtxt: 'txt' },
          fallback: { text: 'txt', binary: 'unknown' },
        },
      },
    })
    expect([...settingsOf('m/model.onnx', ['m/config.min.json', 'm/model.onnx']).keys()]).toEqual(['config.min.json'])
  })

  it.each([
    ['offsets', { ...config, use_inputs_at_offsets: true }, 'fixed offsets'],
    ['a block that is too small', { ...config, block_size: 512 }, 'blockSize'],
    ['no labels', { ...config, target_labels_space: [] }, 'no file names its labels'],
    ['wrong types', { ...config, thresholds: { python: 'high' } }, 'thresholds.python'],
  ])('is served as raw tensors where there are %s', async (_, wrong, reason) => {
    expect(await sources.notes({ 'config.min.json': wrong }, BYTES)).toContain(`raw tensors: `)
    expect(await sources.notes({ 'config.min.json': wrong }, BYTES)).toContain(reason)
  })

  it('is not made of any config.min.json', async () => {
    const { description } = await sources.describe({ 'config.min.json': { minified: true } }, BYTES)
    expect(description.task).toBeUndefined()
    await expect(sources.describe({}, BYTES, { task: 'bytes-classification' })).rejects.toThrow('config.min.json')
  })

  it.skipIf(!haveRealModels)(`reads the published one (skipped only where ${SKIP_REASON})`, async () => {
    const published = readFileSync(join(REAL_MODELS, 'magika-standard-v3.3/config.min.json'), 'utf8')
    const { description } = await sources.describe({ 'config.min.json': published }, BYTES)
    expect(description.labels).toHaveLength(214)
    expect(description.preprocess?.bytes?.thresholds?.ignorefile).toBe(0.95)
  })
})
