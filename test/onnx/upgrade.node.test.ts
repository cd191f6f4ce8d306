import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Tensor, type Tensors, tensor } from '../../src/core/tensors.ts'
import { decodeModel, encodeModel } from '../../src/onnx/codec.ts'
import { isOnnxError } from '../../src/onnx/errors.ts'
import { opsetOf } from '../../src/onnx/graph.ts'
import { makeAttribute } from '../../src/onnx/make.ts'
import { upgradeOpset } from '../../src/onnx/upgrade.ts'
import { type ModelSpec, onnxModel, seededFloats } from '../../synthetic/onnx.ts'
import { never } from '../../synthetic/source.ts'
import { loadNative } from '../fixtures/node/native.ts'
import { haveRealModels, REAL_MODELS, SKIP_REASON } from '../fixtures/node/real-models.ts'

async function run(bytes: Uint8Array, inputs: Tensors): Promise<Tensors> {
  const session = await loadNative(bytes)
  try {
    return await session.run(inputs, { signal: never() })
  } finally {
    session.dispose()
  }
}

/** The model answers the same, bit for bit, after it was raised. */
async function sameAnswers(bytes: Uint8Array, inputs: Tensors, target = 13): Promise<void> {
  const before = decodeModel(bytes)
  const raised = upgradeOpset(before, target)
  expect(opsetOf(raised, '')).toBe(target)
  expect(before).toEqual(decodeModel(bytes))
  const [expected, actual] = [await run(bytes, inputs), await run(encodeModel(raised), inputs)]
  expect(expected.size).toBeGreaterThan(0)
  expect(actual).toEqual(expected)
}

const x = (...shape: number[]): Tensor =>
  tensor(
    'FP32',
    shape,
    seededFloats(
      shape.reduce((product, size) => product * size, 1),
      7,
    ),
  )

/** FP32 `x` of open dimensions through one node to `y`. */
function through(
  opset: number,
  rank: number,
  node: {
    op: string
    attributes?: ModelSpec['nodes'][number]['attributes']
    more?: readonly string[]
    outputs?: string[]
  },
  initializers: ModelSpec['initializers'] = {},
): Uint8Array {
  const shape = Array.from({ length: rank }, (_, axis) => `d${axis}`)
  const outputs = node.outputs ?? ['y']
  return onnxModel({
    opset,
    irVersion: 4,
    inputs: [{ name: 'x', datatype: 'FP32', shape }],
    outputs: outputs.map((name) => ({ name, datatype: name === 'indices' ? 'INT64' : 'FP32' })),
    nodes: [
      {
        op: node.op,
        inputs: ['x', ...(node.more ?? [])],
        outputs,
        ...(node.attributes && { attributes: node.attributes }),
      },
    ],
    initializers,
  })
}

/** The fixture's writer has no attributes of several floats. */
function upsample7(): Uint8Array {
  const model = decodeModel(through(8, 4, { op: 'Upsample', attributes: { mode: { string: 'nearest' } } }))
  model.graph?.node[0]?.attribute.push(makeAttribute('scales', { floats: [1, 1, 2, 3] }))
  return encodeModel(model)
}

/** `ends` of 2^63 - 1, which is no JavaScript number. */
function sliceToEnd(): Uint8Array {
  const model = decodeModel(through(9, 2, { op: 'Slice', attributes: { starts: list(2), axes: list(1) } }))
  model.graph?.node[0]?.attribute.push(makeAttribute('ends', { ints: [2n ** 63n - 1n] }))
  return encodeModel(model)
}

const floats = (...values: number[]): Tensor => tensor('FP32', [values.length], Float32Array.from(values))
function list(...ints: number[]): { ints: number[] } {
  return { ints }
}

describe('raising the operator set', () => {
  it.each([
    ['Softmax over the last axis', through(9, 2, { op: 'Softmax', attributes: { axis: { int: 1 } } }), [3, 5]],
    ['Softmax over a middle axis', through(9, 3, { op: 'Softmax', attributes: { axis: { int: 1 } } }), [3, 5, 4]],
    ['Softmax by its default axis', through(11, 4, { op: 'Softmax' }), [2, 3, 2, 4]],
    ['Softmax over a negative axis', through(11, 3, { op: 'Softmax', attributes: { axis: { int: -2 } } }), [2, 3, 4]],
    ['LogSoftmax over all axes', through(9, 3, { op: 'LogSoftmax', attributes: { axis: { int: 0 } } }), [2, 3, 4]],
    ['Hardmax', through(9, 3, { op: 'Hardmax' }), [2, 3, 4]],
    [
      'Clip by both bounds',
      through(8, 1, { op: 'Clip', attributes: { min: { float: -0.25 }, max: { float: 0.5 } } }),
      [9],
    ],
    ['Clip by its maximum', through(8, 1, { op: 'Clip', attributes: { max: { float: 0.5 } } }), [9]],
    ['Clip by nothing', through(8, 1, { op: 'Clip' }), [9]],
    ['Pad', through(9, 2, { op: 'Pad', attributes: { pads: list(0, 1, 2, 3), value: { float: 1.5 } } }), [2, 3]],
    [
      'Pad by reflecting',
      through(9, 2, { op: 'Pad', attributes: { pads: list(0, 1, 0, 1), mode: { string: 'reflect' } } }),
      [2, 3],
    ],
    ['Slice', through(9, 2, { op: 'Slice', attributes: { starts: list(1), ends: list(-1), axes: list(1) } }), [2, 6]],
    ['Slice to the end', sliceToEnd(), [2, 6]],
    [
      'Slice without axes',
      through(8, 2, { op: 'Slice', attributes: { starts: list(0, 2), ends: list(1, 5) } }),
      [2, 6],
    ],
    ['TopK', through(9, 2, { op: 'TopK', attributes: { k: { int: 2 } }, outputs: ['y', 'indices'] }), [2, 6]],
    ['Squeeze', through(9, 3, { op: 'Squeeze', attributes: { axes: list(1) } }), [2, 1, 6]],
    ['Squeeze of all', through(9, 3, { op: 'Squeeze' }), [1, 1, 6]],
    ['Unsqueeze', through(9, 2, { op: 'Unsqueeze', attributes: { axes: list(0, 2) } }), [2, 6]],
    ['ReduceSum', through(9, 2, { op: 'ReduceSum', attributes: { axes: list(1), keepdims: { int: 0 } } }), [2, 6]],
    ['ReduceSum of all', through(11, 2, { op: 'ReduceSum' }), [2, 6]],
    [
      'Split',
      through(9, 2, { op: 'Split', attributes: { split: list(1, 2), axis: { int: 1 } }, outputs: ['y', 'z'] }),
      [2, 3],
    ],
    [
      'Split in equal parts',
      through(9, 2, { op: 'Split', attributes: { axis: { int: 1 } }, outputs: ['y', 'z'] }),
      [2, 4],
    ],
    ['Dropout', through(9, 2, { op: 'Dropout', attributes: { ratio: { float: 0.3 } } }), [2, 3]],
    ['Upsample, version 7', upsample7(), [1, 2, 3, 3]],
    [
      'Upsample by interpolation',
      through(
        9,
        4,
        { op: 'Upsample', attributes: { mode: { string: 'linear' } }, more: ['s'] },
        { s: floats(1, 1, 2.5, 2) },
      ),
      [1, 2, 3, 3],
    ],
    ['Upsample, version 9', through(9, 4, { op: 'Upsample', more: ['s'] }, { s: floats(1, 1, 1.7, 2) }), [1, 2, 3, 3]],
    ['Resize that enlarges', through(10, 4, { op: 'Resize', more: ['s'] }, { s: floats(1, 1, 2.3, 1) }), [1, 2, 3, 3]],
    ['Resize that shrinks', through(10, 4, { op: 'Resize', more: ['s'] }, { s: floats(1, 1, 0.6, 0.5) }), [1, 2, 6, 7]],
    [
      'Resize by interpolation',
      through(
        10,
        4,
        { op: 'Resize', attributes: { mode: { string: 'linear' } }, more: ['s'] },
        { s: floats(1, 1, 0.6, 2) },
      ),
      [1, 2, 6, 7],
    ],
    [
      'BatchNormalization',
      through(
        8,
        3,
        { op: 'BatchNormalization', attributes: { spatial: { int: 1 } }, more: ['a', 'b', 'c', 'd'] },
        { a: floats(1, 2), b: floats(0, 1), c: floats(0.1, 0.2), d: floats(1, 2) },
      ),
      [2, 2, 3],
    ],
    [
      'Scatter',
      through(
        10,
        2,
        { op: 'Scatter', more: ['i', 'u'] },
        { i: tensor('INT64', [1, 2], BigInt64Array.of(1n, 0n)), u: tensor('FP32', [1, 2], Float32Array.of(9, 8)) },
      ),
      [2, 2],
    ],
    [
      'MaxPool',
      through(8, 4, { op: 'MaxPool', attributes: { kernel_shape: list(2, 2), strides: list(2, 2) } }),
      [1, 1, 4, 4],
    ],
  ] as const)('%s', async (_, bytes, shape) => {
    await sameAnswers(bytes, new Map([['x', x(...shape)]]))
  })

  it('stops at the version asked for, and leaves newer models alone', async () => {
    const bytes = through(8, 2, { op: 'Softmax' })
    await sameAnswers(bytes, new Map([['x', x(2, 3)]]), 11)
    const model = decodeModel(onnxModel({ opset: 17, inputs: [], outputs: [], nodes: [] }))
    expect(upgradeOpset(model, 13)).toEqual(model)
  })

  it('keeps a double a double, and a half a half', async () => {
    for (const [datatype, data, expected] of [
      ['FP64', tensor('FP64', [3], Float64Array.of(-1, 0.1, 3)), Float64Array.of(0, 0.1, 1)],
      ['FP16', tensor('FP16', [3], Uint16Array.of(0xbc00, 0x3000, 0x4200)), Uint16Array.of(0, 0x3000, 0x3c00)],
    ] as const) {
      const value = (name: string) => ({ name, datatype, shape: ['n'] })
      const bytes = onnxModel({
        opset: 10,
        inputs: [value('x')],
        outputs: [value('y')],
        nodes: [
          { op: 'Identity', inputs: ['x'], outputs: ['same'] },
          { op: 'Clip', inputs: ['same'], outputs: ['y'], attributes: { min: { float: 0 }, max: { float: 1 } } },
        ],
      })
      // ONNX Runtime clips such numbers from version 11 on only.
      const answer = await run(encodeModel(upgradeOpset(decodeModel(bytes), 13)), new Map([['x', data]]))
      expect(answer.get('y')?.data).toEqual(expected)
    }
  })

  it('reaches into subgraphs', async () => {
    const branch = (op: string, attributes: ModelSpec['nodes'][number]['attributes']) => ({
      graph: {
        inputs: [],
        outputs: [{ name: `${op}_y`, datatype: 'FP32' as const }],
        nodes: [{ op, inputs: ['x'], outputs: [`${op}_y`], ...(attributes && { attributes }) }],
      },
    })
    const bytes = onnxModel({
      opset: 9,
      inputs: [
        { name: 'which', datatype: 'BOOL', shape: [] },
        { name: 'x', datatype: 'FP32', shape: [2, 3, 4] },
      ],
      outputs: [{ name: 'y', datatype: 'FP32' }],
      nodes: [
        {
          op: 'If',
          inputs: ['which'],
          outputs: ['y'],
          attributes: {
            then_branch: branch('Softmax', undefined),
            else_branch: branch('Slice', { starts: list(0), ends: list(2) }),
          },
        },
      ],
    })
    for (const which of [0, 1]) {
      await sameAnswers(
        bytes,
        new Map([
          ['which', tensor('BOOL', [], Uint8Array.of(which))],
          ['x', x(2, 3, 4)],
        ]),
      )
    }
  })

  it.each([
    ['an operator it does not know', through(9, 1, { op: 'Imagine' }), /Imagine/],
    ['operator sets from before broadcasting', through(6, 1, { op: 'Abs' }), /oldest supported one is 7/],
    [
      'scaling up and down at once',
      through(10, 4, { op: 'Resize', more: ['s'] }, { s: floats(1, 1, 0.5, 2) }),
      /enlarges/,
    ],
    ['a mask of a dropout', through(9, 1, { op: 'Dropout', outputs: ['y', 'mask'] }), /mask/],
    [
      'statistics by position',
      through(8, 3, { op: 'BatchNormalization', attributes: { spatial: { int: 0 } }, more: ['a', 'b', 'c', 'd'] }),
      /spatial/,
    ],
  ])('refuses %s', (_, bytes, message) => {
    const model = decodeModel(bytes)
    expect(() => upgradeOpset(model, 13)).toThrow(message)
    try {
      upgradeOpset(model, 13)
    } catch (error) {
      expect(isOnnxError(error, 'unsupported')).toBe(true)
    }
  })

  it('refuses a target that it does not know', () => {
    expect(() => upgradeOpset(decodeModel(through(9, 1, { op: 'Abs' })), 14)).toThrow(/at most/)
  })
})

describe.skipIf(!haveRealModels)(`raising real models (skipped only where ${SKIP_REASON})`, () => {
  it.each([
    ['mnist-8', 8, 'Input3', [1, 1, 28, 28]],
    ['ultraface-rfb-320', 9, 'input', [1, 3, 240, 320]],
    ['super-resolution-10', 10, 'input', [1, 1, 224, 224]],
    ['mobilenetv2-12-int8', 12, 'input', [1, 3, 224, 224]],
  ] as const)('%s from operator set %i', async (folder, opset, input, shape) => {
    const bytes = readFileSync(join(REAL_MODELS, folder, 'model.onnx'))
    expect(opsetOf(decodeModel(bytes), '')).toBe(opset)
    await sameAnswers(bytes, new Map([[input, x(...shape)]]))
  })

  it('sklearn-titanic, whose other operator sets stay', async () => {
    const bytes = readFileSync(join(REAL_MODELS, 'sklearn-titanic/model_nozipmap.onnx'))
    await sameAnswers(
      bytes,
      new Map<string, Tensor>([
        ['pclass', tensor('INT64', [1, 1], BigInt64Array.of(1n))],
        ['sex', tensor('BYTES', [1, 1], ['female'])],
        ['age', tensor('FP32', [1, 1], Float32Array.of(29))],
        ['fare', tensor('FP32', [1, 1], Float32Array.of(211.3))],
        ['embarked', tensor('BYTES', [1, 1], ['S'])],
      ]),
    )
  })
})
