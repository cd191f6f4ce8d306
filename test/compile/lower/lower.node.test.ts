import { describe, expect, it } from 'vitest'
import { compileModel } from '../../../src/compile/compile.ts'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import { decodeModel } from '../../../src/onnx/codec.ts'
import { prepareModel } from '../../../src/quantize/prepare.ts'
import { type AttributeValue, onnxModel, seededFloats } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'
import { loadModel, plainEngine } from '../../fixtures/node/run-onnx.ts'
import { loadVerge, vergeEngine } from '../../fixtures/node/verge-engine.ts'

const signal = never()

interface Case {
  readonly op: string
  readonly attributes?: Readonly<Record<string, AttributeValue>>
  /** Of `x`; sizes that are names are 1, 5, 7 in a run, by their place. */
  readonly shape: readonly (number | string)[]
  /** Inputs behind the first: constants, or '' for one that is left out. */
  readonly constants?: readonly (Tensor | '')[]
  readonly opset?: number
  /** Whether `x` is all zeros. */
  readonly zeros?: boolean
}

const floats = (shape: readonly number[], seed = 3): Tensor =>
  tensor(
    'FP32',
    [...shape],
    seededFloats(
      shape.reduce((product, size) => product * size, 1),
      seed,
    ),
  )
const scales = (...values: number[]): Tensor => tensor('FP32', [values.length], Float32Array.from(values))
const whole = (...values: number[]): Tensor => tensor('INT64', [values.length], BigInt64Array.from(values, BigInt))
const modes = (mode: string, coordinates: string, nearest = 'floor'): Record<string, AttributeValue> => ({
  mode: { string: mode },
  coordinate_transformation_mode: { string: coordinates },
  nearest_mode: { string: nearest },
})
const PICTURE = [1, 6, 5, 7]
const OPEN = ['batch', 6, 'height', 'width']

const CASES: readonly Case[] = [
  { op: 'Resize', shape: OPEN, constants: ['', scales(1, 1, 2, 2)], attributes: modes('nearest', 'asymmetric') },
  {
    op: 'Resize',
    shape: PICTURE,
    constants: ['', scales(1, 1, 1.5, 0.6)],
    attributes: modes('nearest', 'half_pixel', 'round_prefer_ceil'),
  },
  {
    op: 'Resize',
    shape: [1, 2, 10, 20],
    constants: ['', scales(1, 1, 0.7, 2.3)],
    attributes: modes('nearest', 'half_pixel'),
  },
  {
    op: 'Resize',
    shape: [1, 2, 7, 7],
    constants: ['', scales(1, 1, 1.1, 1.1)],
    attributes: modes('nearest', 'half_pixel', 'round_prefer_floor'),
  },
  ...['MaxPool', 'AveragePool'].flatMap((op): Case[] =>
    [
      [5, 2, 3, 1],
      [2, 1, 2, 0],
      [6, 3, 2, 1],
    ].map(([size = 0, kernel = 0, stride = 0, pad = 0]) => ({
      op,
      shape: [1, 2, size, size],
      attributes: {
        kernel_shape: { ints: [kernel, kernel] },
        strides: { ints: [stride, stride] },
        pads: { ints: [pad, pad, pad, pad] },
        ceil_mode: { int: 1 },
      },
    })),
  ),
  { op: 'Resize', shape: OPEN, constants: ['', scales(1, 1, 3, 2)], attributes: modes('linear', 'pytorch_half_pixel') },
  { op: 'Resize', shape: PICTURE, constants: ['', '', whole(1, 6, 9, 4)], attributes: modes('linear', 'half_pixel') },
  {
    op: 'Resize',
    shape: PICTURE,
    constants: ['', '', whole(1, 6, 11, 13)],
    attributes: modes('linear', 'align_corners'),
  },
  {
    op: 'Resize',
    shape: PICTURE,
    constants: ['', '', whole(9, 4)],
    attributes: { ...modes('nearest', 'half_pixel'), axes: { ints: [2, 3] } },
    opset: 18,
  },
  {
    op: 'Upsample',
    shape: OPEN,
    constants: [scales(1, 1, 2, 3)],
    attributes: { mode: { string: 'nearest' } },
    opset: 9,
  },
  {
    op: 'Upsample',
    shape: PICTURE,
    constants: [scales(1, 1, 2, 2)],
    attributes: { mode: { string: 'linear' } },
    opset: 9,
  },
  { op: 'DepthToSpace', shape: [2, 12, 3, 5], attributes: { blocksize: { int: 2 } } },
  {
    op: 'DepthToSpace',
    shape: ['batch', 12, 'height', 'width'],
    attributes: { blocksize: { int: 2 }, mode: { string: 'CRD' } },
  },
  { op: 'SpaceToDepth', shape: [2, 3, 6, 4], attributes: { blocksize: { int: 2 } } },
  {
    op: 'InstanceNormalization',
    shape: [2, 3, 4, 5],
    constants: [floats([3]), floats([3], 4)],
    attributes: { epsilon: { float: 0.01 } },
  },
  {
    op: 'Pad',
    shape: PICTURE,
    constants: [whole(0, 0, 2, 3, 0, 0, 1, 4)],
    attributes: { mode: { string: 'reflect' } },
  },
  { op: 'Pad', shape: OPEN, constants: [whole(0, 0, 1, 2, 0, 0, 3, 0)], attributes: { mode: { string: 'reflect' } } },
  { op: 'Pad', shape: OPEN, constants: [whole(0, 1, 1, 2, 0, 0, 3, 9)], attributes: { mode: { string: 'edge' } } },
  { op: 'Conv', shape: PICTURE, constants: [floats([9, 2, 3, 3]), floats([9], 4)], attributes: { group: { int: 3 } } },
  {
    op: 'Conv',
    shape: PICTURE,
    constants: [floats([12, 1, 3, 3])],
    attributes: { group: { int: 6 }, pads: { ints: [1, 1, 1, 1] } },
  },
  { op: 'ConvTranspose', shape: PICTURE, constants: [floats([6, 4, 3, 3]), floats([4], 4)] },
  {
    op: 'ConvTranspose',
    shape: OPEN,
    constants: [floats([6, 4, 4, 4])],
    attributes: { strides: { ints: [2, 2] }, pads: { ints: [1, 1, 1, 1] } },
  },
  { op: 'ConvTranspose', shape: PICTURE, constants: [floats([6, 4, 2, 2])], attributes: { strides: { ints: [2, 2] } } },
  {
    op: 'ConvTranspose',
    shape: PICTURE,
    constants: [floats([6, 4, 3, 3]), floats([8], 4)],
    attributes: {
      strides: { ints: [2, 3] },
      pads: { ints: [1, 0, 1, 0] },
      output_padding: { ints: [1, 2] },
      dilations: { ints: [1, 2] },
      group: { int: 2 },
    },
  },
  {
    op: 'ConvTranspose',
    shape: [2, 6, 8],
    constants: [floats([6, 3, 4])],
    attributes: { strides: { ints: [2] }, pads: { ints: [1, 1] } },
  },
  {
    op: 'Gemm',
    shape: [4, 6],
    constants: [floats([6, 5]), floats([5], 4)],
    attributes: { alpha: { float: 0.5 }, beta: { float: 2 } },
  },
  {
    op: 'Gemm',
    shape: [6, 4],
    constants: [floats([5, 6]), floats([4, 1], 4)],
    attributes: { transA: { int: 1 }, transB: { int: 1 }, beta: { float: 0.25 } },
  },
  { op: 'Selu', shape: OPEN },
  { op: 'Celu', shape: OPEN, attributes: { alpha: { float: 0.7 } } },
  { op: 'Softsign', shape: OPEN },
  { op: 'Mean', shape: PICTURE, constants: [floats([1, 6, 1, 1]), floats([7], 4)] },
  { op: 'LpNormalization', shape: OPEN, attributes: { axis: { int: 1 }, p: { int: 1 } } },
  { op: 'LpNormalization', shape: OPEN },
  { op: 'LpNormalization', shape: PICTURE, zeros: true },
  {
    op: 'LRN',
    shape: OPEN,
    attributes: { size: { int: 5 }, alpha: { float: 0.3 }, beta: { float: 0.6 }, bias: { float: 2 } },
  },
  {
    op: 'GroupNormalization',
    shape: [2, 6, 3, 4],
    constants: [floats([6]), floats([6], 4)],
    attributes: { num_groups: { int: 3 } },
    opset: 21,
  },
]

const named = ({ op, shape, attributes = {}, constants = [], zeros = false }: Case): string =>
  `${op} of ${zeros ? 'zeros ' : ''}[${shape}] with ${JSON.stringify(attributes)} and ${constants.map((value) => (value === '' ? '-' : `[${value.shape}]`)).join(' ')}`

describe('operators as ONNX Runtime has them', () => {
  it.each(CASES.map((given) => [named(given), given] as const))('%s', async (_, given) => {
    const { attributes = {}, constants = [], op, opset = 17, shape, zeros = false } = given
    const names = constants.map((value, index) => (value === '' ? '' : `c${index}`))
    const bytes = onnxModel({
      inputs: [{ name: 'x', datatype: 'FP32', shape }],
      outputs: [{ name: 'y', datatype: 'FP32' }],
      nodes: [{ op, inputs: ['x', ...names], outputs: ['y'], attributes }],
      initializers: Object.fromEntries(
        constants.flatMap((value, index) => (value === '' ? [] : [[`c${index}`, value]])),
      ),
      opset,
      irVersion: opset < 10 ? 4 : 8,
    })
    const model = decodeModel(bytes)
    const { model: prepared } = await prepareModel(model, { engine: plainEngine(), signal })
    const result = await compileModel(prepared, { signal })
    if (!result.ok) throw new Error(`${result.operator} ${result.node}: ${result.reason}`)
    const sizes = shape.map((size, axis) => (typeof size === 'number' ? size : ([1, 0, 5, 7][axis] ?? 1)))
    const { data } = floats(sizes, 8)
    const inputs = new Map([
      ['x', tensor('FP32', sizes, zeros ? new Float32Array(data.length) : Float32Array.from(data as Float32Array))],
    ])
    const reference = await loadModel(model, 'all')
    const [expected] = (await reference.run(inputs, { signal })).values()
    const session = await loadVerge(vergeEngine(), result.bytes)
    const [actual] = (await session.run(inputs, { signal })).values()
    expect(actual?.shape).toEqual(expected?.shape)
    const values = Array.from(expected?.data as ArrayLike<number>)
    expect(values.length).toBeGreaterThan(0)
    for (const [at, value] of values.entries()) expect(Number(actual?.data[at])).toBeCloseTo(value, 4)
    session.dispose()
    reference.dispose()
  })
})
