import { describe, expect, it } from 'vitest'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import type { Attribute } from '../../../src/engine/verge/plan.ts'
import type { AttributeValue } from '../../../synthetic/onnx.ts'
import { columnsF32, columnsInt8, PlanWriter } from '../../../synthetic/verge-plans.ts'
import { compare, floats } from '../../fixtures/node/verge-compare.ts'
import { loadVerge, runSession, vergeEngine } from '../../fixtures/node/verge-engine.ts'

const data = (value: Tensor) => value.data as Float32Array<ArrayBuffer>

interface WindowCase {
  readonly shape: readonly [number, number, number, number]
  readonly filters: number
  readonly kernel: readonly [number, number]
  readonly strides?: readonly [number, number]
  readonly pads?: readonly [number, number, number, number]
  readonly dilations?: readonly [number, number]
  readonly groups?: number
}

const CASES: readonly WindowCase[] = [
  { shape: [1, 3, 9, 9], filters: 8, kernel: [3, 3], pads: [1, 1, 1, 1] },
  { shape: [2, 4, 7, 11], filters: 5, kernel: [1, 1] },
  { shape: [1, 5, 8, 8], filters: 16, kernel: [1, 1], strides: [2, 2] },
  { shape: [1, 2, 13, 10], filters: 9, kernel: [5, 3], strides: [2, 3], pads: [2, 0, 1, 2] },
  { shape: [1, 3, 12, 12], filters: 4, kernel: [3, 3], dilations: [2, 3], pads: [2, 3, 2, 3] },
  { shape: [1, 16, 6, 5], filters: 16, kernel: [3, 3], groups: 2, pads: [1, 1, 1, 1] },
  { shape: [3, 2, 1, 20], filters: 3, kernel: [1, 5], pads: [0, 2, 0, 2] },
  { shape: [1, 3, 3, 3], filters: 2, kernel: [3, 3] },
  { shape: [0, 3, 5, 5], filters: 2, kernel: [3, 3] },
  { shape: [1, 8, 20, 20], filters: 24, kernel: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
]

function attributesOf({
  kernel,
  strides = [1, 1],
  pads = [0, 0, 0, 0],
  dilations = [1, 1],
}: Omit<WindowCase, 'filters' | 'shape'>) {
  const onnx: Record<string, AttributeValue> = {
    kernel_shape: { ints: kernel },
    strides: { ints: strides },
    pads: { ints: pads },
    dilations: { ints: dilations },
  }
  const plan: Record<string, Attribute> = { kernel, strides, pads, dilations }
  return { onnx, plan }
}

/** [filters, depth] as ONNX has a filter bank to [depth, filters]. */
function turned(weight: Tensor, filters: number): Float32Array {
  const depth = weight.data.length / filters
  return Float32Array.from(
    { length: weight.data.length },
    (_, at) => data(weight)[(at % filters) * depth + Math.floor(at / filters)] as number,
  )
}

describe('convolution', () => {
  it.each(CASES)('in floats: $shape with $filters of $kernel', async (given) => {
    const { shape, filters, kernel, groups = 1 } = given
    const perGroup = shape[1] / groups
    const [w, b] = [floats([filters, perGroup, ...kernel], 3), floats([filters], 4)]
    const { onnx, plan } = attributesOf(given)
    const own = filters / groups
    const depth = perGroup * kernel[0] * kernel[1]
    const parts = Array.from({ length: groups }, (_, group) => {
      const part = data(w).slice(group * own * depth, (group + 1) * own * depth)
      return columnsF32(turned(tensor('FP32', [own, depth], part), own), depth, own)
    })
    const packed = Float32Array.from(parts.flatMap((part) => [...part]))
    for (const clip of [undefined, [-0.5, 0.75] as const]) {
      const comparison = {
        inputs: { x: floats(shape, 2) },
        initializers: { w, b },
        onnx: 'Conv',
        attributes: { ...onnx, group: { int: groups } },
        op: 'conv-f32',
        with: { ...plan, groups, ...(clip && { activation: 'clip', min: clip[0], max: clip[1] }) },
        tolerance: 1e-5,
        ...(clip && { clip }),
      }
      await compare({
        ...comparison,
        operands: (writer, [x = null]) => [
          x,
          writer.constant('f32', [depth, filters], packed, 'columns-f32'),
          writer.constant('f32', [filters], data(b)),
        ],
      })
    }
  })

  it.each(CASES.filter(({ groups = 1 }) => groups === 1))(
    'in 8 bits: $shape with $filters of $kernel',
    async (given) => {
      const { shape, filters, kernel } = given
      const [w, b] = [floats([filters, shape[1], ...kernel], 3), floats([filters], 4)]
      const depth = shape[1] * kernel[0] * kernel[1]
      const weight = columnsInt8(turned(w, filters), depth, filters)
      const { onnx, plan } = attributesOf(given)
      await compare({
        inputs: { x: floats(shape, 2) },
        initializers: { w, b },
        onnx: 'Conv',
        attributes: onnx,
        op: 'conv-int8',
        with: plan,
        operands: (writer, [x = null]) => int8Operands(writer, x, { weight, depth, filters, bias: data(b) }),
        // Half a step of 7 and 8 bits for each of the products, as they add up at random.
        tolerance: 0.02 * Math.sqrt(depth),
      })
    },
  )

  it('depthwise, in floats', async () => {
    for (const given of [
      { shape: [1, 3, 9, 9], kernel: [3, 3], pads: [1, 1, 1, 1] },
      { shape: [2, 5, 12, 17], kernel: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
      { shape: [1, 2, 11, 23], kernel: [5, 5], strides: [2, 2], pads: [2, 2, 2, 2] },
      { shape: [1, 2, 11, 23], kernel: [3, 5], strides: [3, 3], pads: [0, 2, 2, 1] },
      { shape: [1, 4, 14, 14], kernel: [3, 3], dilations: [2, 2], pads: [2, 2, 2, 2] },
      { shape: [1, 3, 2, 2], kernel: [3, 3], pads: [1, 1, 1, 1] },
      { shape: [1, 3, 1, 30], kernel: [1, 7], pads: [0, 3, 0, 3] },
      { shape: [0, 3, 4, 4], kernel: [3, 3], pads: [1, 1, 1, 1] },
    ] as const) {
      const channels = given.shape[1]
      const [w, b] = [floats([channels, 1, ...given.kernel], 3), floats([channels], 4)]
      const { onnx, plan } = attributesOf(given)
      await compare({
        inputs: { x: floats(given.shape, 2) },
        initializers: { w, b },
        onnx: 'Conv',
        attributes: { ...onnx, group: { int: channels } },
        op: 'conv-depthwise',
        with: { ...plan, groups: channels },
        operands: (writer, [x = null]) => [
          x,
          writer.constant('f32', w.shape, data(w)),
          writer.constant('f32', [channels], data(b)),
        ],
        tolerance: 1e-5,
      })
    }
  })
})

function int8Operands(
  writer: PlanWriter,
  x: ReturnType<PlanWriter['input']>,
  {
    weight,
    depth,
    filters,
    bias,
  }: { weight: ReturnType<typeof columnsInt8>; depth: number; filters: number; bias: Float32Array },
) {
  return [
    x,
    writer.constant('i8', [depth, filters], weight.packed, 'columns-int8'),
    writer.constant('f32', [filters], weight.scales),
    writer.constant('i32', [filters], weight.sums),
    writer.constant('f32', [filters], bias),
  ]
}

describe('what follows a convolution', () => {
  it('a residual and an activation are what they are as steps of their own, bit for bit', async () => {
    for (const activation of [
      { activation: 'clip', min: 0, max: 6 },
      { activation: 'hard-swish' },
      { activation: 'gelu' },
      {},
    ]) {
      const window = { kernel: [3, 3], pads: [1, 1, 1, 1] }
      const shape = [2, 8, 5, 7]
      const writer = new PlanWriter()
      const x = writer.input('x', 'FP32', shape)
      const weight = writer.constant('f32', [72, 8], columnsF32(data(floats([72, 8], 3)), 72, 8), 'columns-f32')
      const bias = writer.constant('f32', [8], data(floats([8], 4)))
      const fused = writer.step('conv-f32', [x, weight, bias, x], 'f32', shape, { ...window, ...activation })
      writer.output('fused', 'FP32', shape, fused)
      const added = writer.step(
        'binary',
        [writer.step('conv-f32', [x, weight, bias], 'f32', shape, window), x],
        'f32',
        shape,
        {
          kind: 'add',
        },
      )
      const { activation: kind, ...ends } = activation
      const after = kind === undefined ? added : writer.step('unary', [added], 'f32', shape, { kind, ...ends })
      writer.output('apart', 'FP32', shape, after)
      const session = await loadVerge(vergeEngine(), writer.artifact())
      const outputs = await runSession(session, { x: floats(shape, 2, 3) })
      expect(outputs.get('fused')).toEqual(outputs.get('apart'))
    }
  })
})

describe('pooling and resizing', () => {
  it('MaxPool and AveragePool', async () => {
    const cases = [
      { shape: [1, 3, 8, 9], kernel: [2, 2], strides: [2, 2] },
      { shape: [2, 2, 7, 7], kernel: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
      { shape: [1, 1, 6, 5], kernel: [3, 2], pads: [0, 1, 2, 0] },
      { shape: [1, 2, 1, 12], kernel: [1, 4], strides: [1, 2] },
    ] as const
    for (const given of cases) {
      const { onnx, plan } = attributesOf(given)
      const inputs = { x: floats(given.shape, 3, 4) }
      await compare({ inputs, onnx: 'MaxPool', attributes: onnx, op: 'pool', with: { ...plan, kind: 'max' } })
      for (const countPad of [0, 1]) {
        await compare({
          inputs,
          onnx: 'AveragePool',
          attributes: { ...onnx, count_include_pad: { int: countPad } },
          op: 'pool',
          with: { ...plan, kind: 'average', countPad },
          tolerance: 1e-6,
        })
      }
      const ceil = { ...onnx, ceil_mode: { int: 1 } }
      await compare({ inputs, onnx: 'MaxPool', attributes: ceil, op: 'pool', with: { ...plan, kind: 'max' } })
      await compare({
        inputs,
        onnx: 'AveragePool',
        attributes: ceil,
        op: 'pool',
        with: { ...plan, kind: 'average' },
        tolerance: 1e-6,
      })
    }
  })

  it('Resize', async () => {
    const sizes = [
      [
        [5, 7],
        [10, 14],
      ],
      [
        [4, 4],
        [7, 3],
      ],
      [
        [6, 5],
        [3, 5],
      ],
      [
        [3, 3],
        [9, 4],
      ],
    ] as const
    const coordinates = ['half_pixel', 'asymmetric', 'align_corners', 'pytorch_half_pixel'] as const
    for (const [[height, width], [outHeight, outWidth]] of sizes) {
      const initializers = { sizes: tensor('INT64', [4], BigInt64Array.from([1, 2, outHeight, outWidth], BigInt)) }
      const inputs = { x: floats([1, 2, height, width], 5) }
      for (const mode of coordinates) {
        const named = { coordinate_transformation_mode: { string: mode } }
        await compare({
          inputs,
          initializers,
          reads: ['x', '', '', 'sizes'],
          onnx: 'Resize',
          attributes: { ...named, mode: { string: 'linear' } },
          op: 'resize',
          with: { mode: 'linear', coordinates: mode.replaceAll('_', '-') },
          tolerance: 1e-5,
        })
      }
      for (const rounding of ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'] as const) {
        await compare({
          inputs,
          initializers,
          reads: ['x', '', '', 'sizes'],
          onnx: 'Resize',
          attributes: {
            coordinate_transformation_mode: { string: 'asymmetric' },
            mode: { string: 'nearest' },
            nearest_mode: { string: rounding },
          },
          op: 'resize',
          with: { mode: 'nearest', coordinates: 'asymmetric', rounding: rounding.replaceAll('_', '-') },
        })
      }
    }
  })
})
