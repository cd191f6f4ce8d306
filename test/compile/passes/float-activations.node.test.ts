import { expect, it } from 'vitest'
import { compileModel } from '../../../src/compile/compile.ts'
import { tensor } from '../../../src/core/tensors.ts'
import { decodeModel } from '../../../src/onnx/codec.ts'
import { DataType } from '../../../src/onnx/data.ts'
import { onnxModel } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'

const signal = never()

/** Eight bits without a zero point, of a type that an attribute says. */
function modelOf(type: DataType): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n'] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
    nodes: [
      { op: 'QuantizeLinear', inputs: ['x', 'scale'], outputs: ['q'], attributes: { output_dtype: { int: type } } },
      { op: 'DequantizeLinear', inputs: ['q', 'scale'], outputs: ['y'] },
    ],
    initializers: { scale: tensor('FP32', [], Float32Array.of(0.1)) },
    opset: 21,
  })
}

it('eight bits whose type an attribute says are not taken for those of another type', async () => {
  const compile = (type: DataType) => compileModel(decodeModel(modelOf(type)), { signal })
  expect(await compile(DataType.INT8)).toMatchObject({ ok: false, operator: 'QuantizeLinear' })
  expect(await compile(DataType.UINT8)).toMatchObject({ ok: true, plan: { steps: [{ op: 'grid', with: { min: 0 } }] } })
})
