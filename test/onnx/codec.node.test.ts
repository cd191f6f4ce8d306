import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { toBinary } from '@bufbuild/protobuf'
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { decodeModel, encodeModel, encodeParts } from '../../src/onnx/codec.ts'
import { DataType, floatsOf, makeTensor } from '../../src/onnx/data.ts'
import { type ModelProto, ModelProtoSchema } from '../../src/onnx/schema/onnx_pb.js'
import { onnxModel } from '../../synthetic/onnx.ts'
import { haveRealModels, REAL_MODELS, SKIP_REASON } from '../fixtures/node/real-models.ts'
import {
  everyAttribute,
  everythingModel,
  floatTensor,
  functionModel,
  makeGraph,
  makeModel,
  node,
  sparseModel,
  subgraphModel,
} from '../fixtures/onnx-messages.ts'
import { messageWith, randomFrom, reachable } from '../fixtures/onnx-proto.ts'
import { TENSOR_TYPES } from '../fixtures/onnx-tensors.ts'

/** Decodes, encodes and decodes again; both decodings must be the same to the last field. */
function roundTrip(bytes: Uint8Array): ModelProto {
  const first = decodeModel(bytes)
  const encoded = encodeModel(first)
  expect(isDeepStrictEqual(decodeModel(encoded), first)).toBe(true)
  return first
}

function onnxFiles(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.onnx'))
    .map((name) => join(folder, name))
}

describe('decode, then encode', () => {
  it('keeps every field of every message, every enum value and values unknown to the schema', () => {
    const filled = new Set<string>()
    const random = randomFrom(0x5eed)
    for (const type of Array.from({ length: 12 }, () => [...reachable(ModelProtoSchema)]).flat()) {
      const message = messageWith(ModelProtoSchema, type, random, filled) as ModelProto
      const model = { ...message, irVersion: 10n, graph: message.graph ?? makeGraph({ nodes: [] }) }
      const decoded = roundTrip(toBinary(ModelProtoSchema, model))
      expect(isDeepStrictEqual(plain(decoded), plain(model))).toBe(true)
    }
    const wanted = [...reachable(ModelProtoSchema)].flatMap(({ typeName, fields }) =>
      fields.flatMap(({ name, enum: values }) => [
        `${typeName}.${name}`,
        ...(values?.values.map(({ number }) => `${values.typeName}=${number}`) ?? []),
      ]),
    )
    expect(wanted.length).toBeGreaterThan(150)
    expect(wanted.filter((name) => !filled.has(name))).toEqual([])
  })

  it('keeps every tensor type in every form, every attribute type, functions, training and unknown fields', () => {
    const model = everythingModel()
    const decoded = roundTrip(toBinary(ModelProtoSchema, model))
    expect(isDeepStrictEqual(plain(decoded), plain(model))).toBe(true)
    expect(decoded.graph?.initializer.length).toBe(3 * TENSOR_TYPES.length - 2)
    expect(decoded.graph?.node[0]?.attribute.map(({ type }) => type)).toEqual(everyAttribute().map(({ type }) => type))
    expect(decoded.$unknown?.[0]?.no).toBe(1000)
  })

  it('reads what another writer wrote', () => {
    const bytes = onnxModel({
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 2] }],
      outputs: [{ name: 'y', datatype: 'FP32' }],
      nodes: [{ op: 'Transpose', inputs: ['x'], outputs: ['y'], attributes: { perm: { ints: [1, 0] } } }],
      initializers: { w: { datatype: 'FP32', shape: [2], data: Float32Array.of(1, 2) } },
    })
    const model = roundTrip(bytes)
    expect(model.graph?.node[0]?.attribute[0]?.ints).toEqual([1n, 0n])
    expect(model.graph?.input[0]?.type?.value.case).toBe('tensorType')
    expect(floatsOf(model.graph?.initializer[0] ?? floatTensor(''))).toEqual(Float32Array.of(1, 2))
  })

  it('keeps the models that ship', () => {
    const files = onnxFiles(join(ROOT, 'models'))
    expect(files.length).toBeGreaterThan(0)
    for (const file of files) roundTrip(readFileSync(file))
  })

  it('shares weights with the file and with what is written', () => {
    const weights = Float32Array.from({ length: 1000 }, (_, index) => index)
    const model = makeModel({
      nodes: [node('Add', 'x w', 'y')],
      initializers: [makeTensor('w', DataType.FLOAT, [1000], weights)],
    })
    const bytes = encodeModel(model)
    expect(bytes.length).toBe(toBinary(ModelProtoSchema, model).length)
    const decoded = decodeModel(bytes)
    expect(decoded.graph?.initializer[0]?.rawData?.buffer).toBe(bytes.buffer)
    expect(encodeParts(decoded).parts.some(({ buffer }) => buffer === bytes.buffer)).toBe(true)
  })
})

describe.skipIf(!haveRealModels)(`real models (skipped only where ${SKIP_REASON})`, () => {
  it('come out the same, and answer the same bits', async () => {
    const files = onnxFiles(REAL_MODELS)
    expect(files.length).toBeGreaterThan(7)
    for (const file of files) {
      const bytes = readFileSync(file)
      roundTrip(bytes)
      const before = await answers(bytes)
      expect(before.size, file).toBeGreaterThan(0)
      expect(isDeepStrictEqual(await answers(encodeModel(decodeModel(bytes))), before), file).toBe(true)
    }
  })
})

describe('what is generated runs the same before and after', () => {
  it.each([
    ['subgraphs', subgraphModel(), [2, 4]],
    ['functions', functionModel(), [-0.25, -0.5]],
    ['a sparse constant', sparseModel(), [1, 7]],
  ])('%s', async (_, model, expected) => {
    for (const bytes of [toBinary(ModelProtoSchema, model), encodeModel(decodeModel(encodeModel(model)))]) {
      const session = await InferenceSession.create(bytes, { logSeverityLevel: 4 })
      const { y } = await session.run({ x: new OrtTensor('float32', [1, 2], [2]) })
      expect(y?.data).toEqual(Float32Array.from(expected))
    }
  })
})

/** Messages as the decoder leaves them: without keys whose value is undefined. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [key, plain(item)]),
  )
}

/** What a model gives for inputs that are all ones, a batch of one; a free last dimension is a speech frame's. */
async function answers(bytes: Uint8Array): Promise<Map<string, unknown>> {
  const session = await InferenceSession.create(bytes, { logSeverityLevel: 4, intraOpNumThreads: 1 })
  const feeds = Object.fromEntries(
    session.inputMetadata.flatMap((input) => {
      if (!input.isTensor) return []
      const last = input.shape.length - 1
      const dims = input.shape.map((size, axis) => (typeof size === 'number' ? size : axis === last ? 576 : 1))
      const count = dims.reduce((product, size) => product * size, 1)
      return [[input.name, ones(input.type, dims, count)]]
    }),
  )
  const results = await session.run(feeds)
  const entries = Object.entries(results).map(([name, { dims, data }]) => [name, { dims, data }] as const)
  await session.release()
  return new Map(entries)
}

function ones(type: OrtTensor.Type, dims: readonly number[], count: number): OrtTensor {
  if (type === 'string') return new OrtTensor('string', new Array<string>(count).fill('1'), dims)
  if (type === 'int64') return new OrtTensor('int64', new BigInt64Array(count).fill(1n), dims)
  if (type === 'int32') return new OrtTensor('int32', new Int32Array(count).fill(1), dims)
  return new OrtTensor('float32', new Float32Array(count).fill(1), dims)
}
