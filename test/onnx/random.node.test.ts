import { describe, expect, it } from 'vitest'
import { tensor } from '../../src/core/tensors.ts'
import { decodeModel, encodeModel } from '../../src/onnx/codec.ts'
import { randomNodes } from '../../src/onnx/random.ts'
import { heldTo, precisionOf } from '../../src/quantize/precision.ts'
import { quantizeModel } from '../../src/quantize/quantize.ts'
import { DTYPES } from '../../src/quantize/types.ts'
import { type NodeSpec, onnxModel } from '../../synthetic/onnx.ts'
import { never } from '../../synthetic/source.ts'
import { nativeEngine } from '../fixtures/node/native.ts'
import { encoder } from '../fixtures/node/networks.ts'
import { functionModel, node } from '../fixtures/onnx-messages.ts'

function model(nodes: readonly NodeSpec[], opset = 17) {
  return decodeModel(
    onnxModel({
      opset,
      inputs: [
        { name: 'x', datatype: 'FP32', shape: [4] },
        { name: 'asked', datatype: 'BOOL', shape: [] },
      ],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [4] }],
      nodes,
      initializers: {
        ratio: tensor('FP32', [], Float32Array.of(0.5)),
        yes: tensor('BOOL', [], Uint8Array.of(1)),
        no: tensor('BOOL', [], Uint8Array.of(0)),
      },
    }),
  )
}

const dropout = (mode: string): NodeSpec => ({ op: 'Dropout', inputs: ['x', 'ratio', mode], outputs: ['y'] })

describe('models that draw random numbers', () => {
  it.each(['RandomNormalLike', 'RandomUniformLike', 'Bernoulli', 'Multinomial', 'RandomNormal', 'RandomUniform'])(
    'are known by %s',
    (op) => {
      expect(randomNodes(model([{ op, inputs: ['x'], outputs: ['y'] }]))).toEqual([{ node: 'y', op }])
    },
  )

  it('are known by dropout that trains, or that may be asked to', () => {
    const named = [{ node: 'y', op: 'Dropout' }]
    expect(randomNodes(model([dropout('yes')]))).toEqual(named)
    expect(randomNodes(model([dropout('asked')]))).toEqual(named)
    const attributes = { value: { tensor: tensor('BOOL', [], Uint8Array.of(1)) } }
    expect(randomNodes(model([{ op: 'Constant', inputs: [], outputs: ['on'], attributes }, dropout('on')]))).toEqual(
      named,
    )
    expect(randomNodes(model([{ op: 'Dropout', inputs: ['x'], outputs: ['y'] }], 6))).toEqual(named)
  })

  it('are known by what their functions do', () => {
    const functions = functionModel()
    expect(randomNodes(functions)).toEqual([])
    functions.functions[0]?.node.push(node('Bernoulli', 'b', 'c'))
    expect(randomNodes(functions)).toEqual([{ node: 'make c', op: 'Bernoulli' }])
  })

  it('are not those with dropout that does nothing', () => {
    expect(randomNodes(model([dropout('no')]))).toEqual([])
    expect(randomNodes(model([{ op: 'Dropout', inputs: ['x', 'ratio'], outputs: ['y'] }]))).toEqual([])
    expect(randomNodes(model([{ op: 'Dropout', inputs: ['x'], outputs: ['y'] }], 10))).toEqual([])
    const attributes = { is_test: { int: 1 } }
    expect(randomNodes(model([{ op: 'Dropout', inputs: ['x'], outputs: ['y'], attributes }], 6))).toEqual([])
  })
})

describe('the precision that a model has', () => {
  it.each(DTYPES)('is %s where it was made so', async (dtype) => {
    const made =
      dtype === 'fp32'
        ? encoder().model
        : (
            await quantizeModel(
              encoder().model,
              { dtype, method: 'auto', samples: [] },
              { engine: nativeEngine(), signal: never() },
            )
          ).model
    const real = precisionOf(decodeModel(encodeModel(made)))
    expect(real).toBe({ int8: 'q8', uint8: 'q8', q4f16: 'q4' }[dtype as string] ?? dtype)
    expect(heldTo(dtype, real)).toBe(dtype)
    expect(heldTo('fp32', real)).toBe(real)
  })

  it('is 8 bits where blocks have 8', () => {
    const blocks = (bits: number) =>
      model([
        {
          op: 'MatMulNBits',
          domain: 'com.microsoft',
          inputs: ['x', 'b', 's'],
          outputs: ['y'],
          attributes: { bits: { int: bits } },
        },
      ])
    expect(precisionOf(blocks(4))).toBe('q4')
    expect(precisionOf(blocks(8))).toBe('q8')
    expect(heldTo('q4', 'q8')).toBe('q8')
  })
})
