import { isDeepStrictEqual } from 'node:util'
import { toBinary } from '@bufbuild/protobuf'
import { InferenceSession } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { decodeTensor, encodeModel } from '../../src/onnx/codec.ts'
import { checkData, DataType, floatsOf, integersOf, rawBytesOf } from '../../src/onnx/data.ts'
import { TensorProtoSchema } from '../../src/onnx/schema/onnx_pb.js'
import { floatTensor, makeModel, node } from '../fixtures/onnx-messages.ts'
import { rawTensor, TENSOR_TYPES, typedTensor } from '../fixtures/onnx-tensors.ts'

/** ONNX Runtime's CPU build can cast these to float32. */
const CASTABLE = TENSOR_TYPES.filter(
  (type) =>
    ![
      DataType.STRING,
      DataType.COMPLEX64,
      DataType.COMPLEX128,
      DataType.FLOAT8E8M0,
      DataType.FLOAT4E2M1,
      DataType.UINT2,
      DataType.INT2,
    ].includes(type),
)

describe('tensors', () => {
  it.each(TENSOR_TYPES.map((type) => [DataType[type], type] as const))('%s: raw and typed data agree', (_, type) => {
    const typed = typedTensor('t', type)
    expect(() => checkData(typed)).not.toThrow()
    const raw = rawTensor('t', type)
    if (raw === undefined) {
      expect(() => rawBytesOf(typed)).toThrow(expect.objectContaining({ code: 'unsupported' }))
      return
    }
    expect(() => checkData(raw)).not.toThrow()
    expect([...rawBytesOf(typed)]).toEqual([...(raw.rawData ?? [])])
    expect(isDeepStrictEqual(decodeTensor(toBinary(TensorProtoSchema, typed)), typed)).toBe(true)
  })

  it.each(CASTABLE.map((type) => [DataType[type], type] as const))(
    '%s: ONNX Runtime reads both forms',
    async (_, type) => {
      const results: Float32Array[] = []
      for (const tensor of [rawTensor('t', type), typedTensor('t', type)]) {
        if (tensor === undefined) continue
        const model = makeModel({
          nodes: [node('Cast', 't', 'y', { attributes: { to: { int: DataType.FLOAT } } })],
          inputs: [],
          outputs: [],
          initializers: [tensor],
          opset: 23,
        })
        model.graph?.output.push({ $typeName: 'onnx.ValueInfoProto', name: 'y', docString: '', metadataProps: [] })
        const session = await InferenceSession.create(encodeModel(model), { logSeverityLevel: 4 })
        const { y } = await session.run({})
        results.push(y?.data as Float32Array)
      }
      expect(results[0]?.length).toBe(4)
      expect(results[1]).toEqual(results[0])
      const raw = rawTensor('t', type)
      if (raw && [DataType.FLOAT, DataType.FLOAT16, DataType.BFLOAT16, DataType.DOUBLE].includes(type)) {
        expect(floatsOf(raw)).toEqual(results[0])
      }
      if (raw && [DataType.INT32, DataType.INT8, DataType.UINT8, DataType.BOOL].includes(type)) {
        expect(Float32Array.from(integersOf(raw))).toEqual(results[0])
      }
    },
  )

  it.each([
    ['fewer raw bytes', { rawData: new Uint8Array(12) }],
    ['more raw bytes', { rawData: new Uint8Array(17) }],
    ['too few numbers', { floatData: [1, 2, 3] }],
    ['too many numbers', { floatData: [1, 2, 3, 4, 5] }],
    ['numbers in the wrong field', { int32Data: [1, 2, 3, 4] }],
    ['a negative dimension', { dims: [-2n, -2n], rawData: new Uint8Array(16) }],
    ['more elements than there are numbers', { dims: [2n ** 40n, 2n ** 40n], rawData: new Uint8Array(16) }],
    ['a terabyte that is not there', { dims: [2n ** 38n], floatData: [1] }],
  ])('refuses %s', (_, fields) => {
    const tensor = { ...floatTensor('weights of "fc"'), dims: [2n, 2n], rawData: undefined, ...fields }
    for (const read of [checkData, rawBytesOf, floatsOf]) {
      expect(() => read(tensor)).toThrow(expect.objectContaining({ code: 'invalid_graph', node: 'weights of "fc"' }))
    }
  })

  it('refuses types that do not exist', () => {
    const tensor = { ...floatTensor('t', 1), dataType: 99 }
    expect(() => checkData(tensor)).toThrow(expect.objectContaining({ code: 'unsupported', node: 't' }))
  })

  it('reads numbers at any place in the file', () => {
    for (let start = 0; start < 8; start++) {
      const rawData = new Uint8Array(start + 8).subarray(start)
      new DataView(rawData.buffer, start).setFloat32(4, -2.5, true)
      expect([...floatsOf({ ...floatTensor('t'), dims: [2n], rawData })]).toEqual([0, -2.5])
    }
  })
})
