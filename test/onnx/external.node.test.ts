import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadModel } from '../../src/cli/build/load.ts'
import { readModelFile } from '../../src/cli/pack/model-file.ts'
import { UsageError } from '../../src/cli/terminal/command-line.ts'
import { silentProgress } from '../../src/cli/terminal/progress.ts'
import { decodeModel, encodeModel } from '../../src/onnx/codec.ts'
import { DataType, makeTensor } from '../../src/onnx/data.ts'
import { externalRefs, resolveExternal } from '../../src/onnx/external.ts'
import { makeAttribute } from '../../src/onnx/make.ts'
import {
  TensorProto_DataLocation as DataLocation,
  type ModelProto,
  type TensorProto,
} from '../../src/onnx/schema/onnx_pb.js'
import { validateModel } from '../../src/onnx/validate.ts'
import { floatTensor, makeModel, node, sparseVector, subgraphModel } from '../fixtures/onnx-messages.ts'
import { splitExternal } from '../fixtures/split-external.ts'

/** Two floats that lie elsewhere. */
function outside(name: string, entries: Readonly<Record<string, string>>): TensorProto {
  const { rawData: _, ...rest } = floatTensor(name, 0, 0)
  const externalData = Object.entries(entries).map(
    ([key, value]) => ({ $typeName: 'onnx.StringStringEntryProto', key, value }) as const,
  )
  return { ...rest, dataLocation: DataLocation.EXTERNAL, externalData }
}

/** y = x + w, where w lies elsewhere. */
function adding(entries: Readonly<Record<string, string>>): ModelProto {
  return makeModel({ nodes: [node('Add', 'x w', 'y')], initializers: [outside('w', entries)] })
}

const refused = (code: string, text: string | RegExp = ''): unknown =>
  expect.objectContaining({ name: 'OnnxError', code, message: expect.stringMatching(text) })

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts))
}

describe('weights that are not numbers', () => {
  it('are refused where they lie outside of the file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'verge-external-nan-'))
    const options = { progress: silentProgress, signal: new AbortController().signal }
    try {
      await writeFile(join(folder, 'model.onnx'), encodeModel(adding({ location: 'weights.bin' })))
      await writeFile(join(folder, 'weights.bin'), Float32Array.of(1, Number.NaN))
      await expect(loadModel(join(folder, 'model.onnx'), options)).rejects.toThrow(
        /^model\.onnx: .*\(Add\) reads "w", which has NaN at element 1/,
      )
      await writeFile(join(folder, 'weights.bin'), Float32Array.of(1, 2))
      expect((await loadModel(join(folder, 'model.onnx'), options)).signature.outputs).toHaveLength(1)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})

describe('references to external data', () => {
  it.each([
    ['weights.bin', 'weights.bin'],
    ['./deep//er/weights.bin', 'deep/er/weights.bin'],
    ['žluť 🐎 "%2e%2e".bin', 'žluť 🐎 "%2e%2e".bin'],
    ['..weights', '..weights'],
  ])('takes %s', (location, expected) => {
    expect(externalRefs(adding({ location, offset: '4096', length: '8' }))).toMatchObject([
      { location: expected, offset: 4096, length: 8, tensor: { name: 'w' } },
    ])
    expect(() => validateModel(adding({ location }))).not.toThrow()
  })

  it.each([
    '../weights.bin',
    'a/../../weights.bin',
    '..',
    '/etc/passwd',
    '..\\weights.bin',
    'a\\b',
    'C:weights.bin',
    'a\0b',
    '.',
    './/',
    'n'.repeat(5000),
    '',
  ])('refuses %j', (location) => {
    expect(() => externalRefs(adding({ location }))).toThrow(refused('external_data', /"w"/))
    expect(() => validateModel(adding({ location }))).toThrow(refused('external_data'))
  })

  it.each([
    ['no location', {}],
    ['a negative offset', { location: 'w', offset: '-1' }],
    ['an offset that is no number', { location: 'w', offset: '0x10' }],
    ['an offset beyond all files', { location: 'w', offset: '9007199254740991' }],
    ['a length of another size', { location: 'w', length: '12' }],
    ['a length that is no number', { location: 'w', length: '8 ' }],
  ])('refuses %s', (_, entries) => {
    expect(() => externalRefs(adding(entries))).toThrow(refused('external_data', /"w"/))
  })

  it('finds those in attributes, sparse tensors, subgraphs and functions', () => {
    const model = subgraphModel()
    const entries = { location: 'w' }
    const inner = model.graph?.node[1]?.attribute[1]?.g
    inner?.initializer.push(outside('in a branch', entries))
    model.graph?.node[0]?.attribute.push(makeAttribute('value', { tensor: outside('in an attribute', entries) }))
    model.graph?.sparseInitializer.push({ ...sparseVector('s', 2, [], []), values: outside('sparse', entries) })
    expect(externalRefs(model).map(({ tensor }) => tensor.name)).toEqual(['sparse', 'in an attribute', 'in a branch'])
  })
})

describe('inlining', () => {
  const bytes = Uint8Array.of(0, 0, 128, 63, 0, 0, 0, 64)

  it('reads what tensors share once, and leaves the given model as it is', async () => {
    const model = makeModel({
      nodes: [node('Add', 'v w', 'y')],
      initializers: [outside('v', { location: 'f', offset: '8' }), outside('w', { location: './f', offset: '8' })],
    })
    const reads: unknown[] = []
    const inlined = await resolveExternal(model, async (...range) => {
      reads.push(range)
      return bytes
    })
    expect(reads).toEqual([['f', 8, 8]])
    expect(inlined.graph?.initializer.map(({ rawData }) => rawData)).toEqual([bytes, bytes])
    expect(inlined.graph?.initializer[0]?.rawData).toBe(inlined.graph?.initializer[1]?.rawData)
    expect(externalRefs(inlined)).toEqual([])
    expect(externalRefs(model).length).toBe(2)
  })

  it('refuses what is short, and more than it may hold before anything is read', async () => {
    await expect(resolveExternal(adding({ location: 'f' }), async () => bytes.subarray(1))).rejects.toThrow(
      refused('external_data', /needs 8 bytes of "f", which has 7/),
    )
    const never = () => Promise.reject(new Error('not to be asked for'))
    await expect(resolveExternal(adding({ location: 'f' }), never, { maxBytes: 7 })).rejects.toThrow(
      refused('too_large'),
    )
    const huge = { ...outside('w', { location: 'f' }), dims: [2n ** 30n] }
    const many = makeModel({ nodes: [], initializers: Array.from({ length: 1000 }, () => huge) })
    await expect(resolveExternal(many, never)).rejects.toThrow(refused('too_large'))
  })
})

describe('moving data out', () => {
  it('aligns each tensor, keeps small ones and strings, and comes back the same', async () => {
    const floats = (name: string, count: number): TensorProto =>
      makeTensor(
        name,
        DataType.FLOAT,
        [count],
        Float32Array.from({ length: count }, (_, index) => index),
      )
    const typed = { ...floats('typed', 300), rawData: undefined, floatData: Array.from({ length: 300 }, () => 1.5) }
    const words = {
      ...floatTensor('words'),
      dataType: DataType.STRING,
      dims: [1n],
      rawData: undefined,
      stringData: [new Uint8Array(2000)],
    }
    const model = makeModel({
      nodes: [],
      initializers: [floats('a', 1500), floats('small', 10), typed, words, floats('b', 256)],
    })
    const { model: split, bytes, parts } = splitExternal(model, { location: 'model.data' })
    const data = joined(parts)
    expect(data.length).toBe(bytes)
    expect(externalRefs(split).map(({ tensor, offset, length }) => [tensor.name, offset, length])).toEqual([
      ['a', 0, 6000],
      ['typed', 8192, 1200],
      ['b', 12288, 1024],
    ])
    expect(parts[0]?.buffer).toBe(model.graph?.initializer[0]?.rawData?.buffer)
    expect(encodeModel(split).length).toBeLessThan(3000)
    const back = await resolveExternal(decodeModel(encodeModel(split)), async (location, offset, length) => {
      expect(location).toBe('model.data')
      return data.subarray(offset, offset + length)
    })
    const rawOf = ({ graph }: ModelProto) => graph?.initializer.map(({ name, rawData }) => [name, rawData?.length])
    expect(rawOf(back)).toEqual([
      ['a', 6000],
      ['small', 40],
      ['typed', 1200],
      ['words', undefined],
      ['b', 1024],
    ])
    expect(back.graph?.initializer[0]?.rawData).toEqual(model.graph?.initializer[0]?.rawData)
    expect(new Float32Array(joined([back.graph?.initializer[2]?.rawData ?? new Uint8Array(0)]).buffer)).toEqual(
      new Float32Array(300).fill(1.5),
    )
  })
})

describe('model files', () => {
  let folder = ''
  let models = ''
  const weights = Float32Array.of(10, 20)

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'verge-model-file-'))
    models = join(folder, 'models')
    await mkdir(join(models, 'deep'), { recursive: true })
    const data = joined([new Uint8Array(16), new Uint8Array(weights.buffer)])
    await writeFile(join(models, 'deep', 'weights.bin'), data)
    await writeFile(join(folder, 'secret.bin'), data)
    await symlink(join(folder, 'secret.bin'), join(models, 'link.bin'))
    await symlink(folder, join(models, 'up'))
    await symlink(join(models, 'deep', 'weights.bin'), join(models, 'inner-link.bin'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  async function written(entries: Readonly<Record<string, string>>): Promise<string> {
    const path = join(models, 'model.onnx')
    await writeFile(path, encodeModel(adding({ offset: '16', length: '8', ...entries })))
    return path
  }

  it.each(['deep/weights.bin', 'inner-link.bin'])('reads a model with its data in %s', async (location) => {
    const { model, bytesRead, external } = await readModelFile(await written({ location }))
    expect(model.graph?.initializer[0]?.rawData).toEqual(new Uint8Array(weights.buffer))
    expect(external).toEqual([location])
    expect(bytesRead).toBe(encodeModel(adding({ offset: '16', length: '8', location })).length + 8)
    const session = await InferenceSession.create(encodeModel(model), { logSeverityLevel: 4 })
    const { y } = await session.run({ x: new OrtTensor('float32', [1, 2], [2]) })
    expect(y?.data).toEqual(Float32Array.of(11, 22))
  })

  it('is read by ONNX Runtime as it is by us, after moving the data out', async () => {
    const large = makeTensor(
      'w',
      DataType.FLOAT,
      [2, 2000],
      Float32Array.from({ length: 4000 }, (_, index) => index),
    )
    const whole = makeModel({
      nodes: [
        node('ReduceSum', 'w axes', 'sums', { attributes: { keepdims: { int: 0 } } }),
        node('Add', 'x sums', 'y'),
      ],
      initializers: [large, makeTensor('axes', DataType.INT64, [1], BigInt64Array.of(1n))],
    })
    const { model, parts } = splitExternal(whole, { location: 'split.data' })
    const path = join(models, 'split.onnx')
    await writeFile(join(models, 'split.data'), joined(parts))
    await writeFile(path, encodeModel(model))
    const session = await InferenceSession.create(path, { logSeverityLevel: 4 })
    const { y } = await session.run({ x: new OrtTensor('float32', [0, 0], [2]) })
    expect(y?.data).toEqual(Float32Array.of(1_999_000, 5_999_000))
    const { model: read } = await readModelFile(path)
    expect(isDeepStrictEqual(encodeModel(read), encodeModel(decodeModel(encodeModel(whole))))).toBe(true)
  })

  it('may itself be a link', async () => {
    const path = await written({ location: 'deep/weights.bin' })
    const link = join(models, 'other.onnx')
    await symlink(path, link)
    expect((await readModelFile(link)).external).toEqual(['deep/weights.bin'])
  })

  it.each([
    ['a file outside', { location: '../secret.bin' }, /not a file inside/],
    ['a link to a file outside', { location: 'link.bin' }, /link to a file outside the model's folder/],
    ['a link to a folder outside', { location: 'up/secret.bin' }, /link to a file outside the model's folder/],
    ['a file that is missing', { location: 'weights.bin' }, /ENOENT/],
    ['a folder', { location: 'deep' }, /not a file/],
    ['a range beyond the end', { location: 'deep/weights.bin', offset: '17' }, /has 24 bytes, .* up to 25/],
    ['a range that begins at infinity', { location: 'deep/weights.bin', offset: '9007199254740000' }, /has 24 bytes/],
  ])('refuses %s', async (_, entries, text) => {
    await expect(readModelFile(await written(entries))).rejects.toThrow(refused('external_data', text))
  })

  it('refuses what is no model, before it reads what is too large', async () => {
    await expect(readModelFile(join(models, 'none.onnx'))).rejects.toThrow(UsageError)
    await expect(readModelFile(models)).rejects.toThrow(/is not a file/)
    await expect(readModelFile(join(models, 'deep', 'weights.bin'))).rejects.toThrow(refused('malformed'))
    const path = await written({ location: 'deep/weights.bin' })
    await expect(readModelFile(path, { maxBytes: 100 })).rejects.toThrow(refused('too_large'))
    const pointer = join(models, 'pointer.onnx')
    await writeFile(pointer, 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n')
    await expect(readModelFile(pointer)).rejects.toThrow(/git lfs pull/)
  })
})
