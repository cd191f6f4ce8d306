import { describe, expect, it } from 'vitest'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import { columnsF32, PlanWriter } from '../../../synthetic/verge-plans.ts'
import { type Comparison, compare, expectClose, floats, integers, truths } from '../../fixtures/node/verge-compare.ts'
import { loadVerge, runSession, vergeEngine } from '../../fixtures/node/verge-engine.ts'

/** What differs from an operator without attributes. */
type Extra = Partial<Pick<Comparison, 'attributes' | 'with'>>

const data = (value: Tensor) => value.data as Float32Array<ArrayBuffer>

const special = tensor(
  'FP32',
  [11],
  Float32Array.of(0, -0, 1, -1, 0.5, 1e-20, -1e-20, 80, -80, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
)

describe('unary', () => {
  const listed: readonly (readonly [string, string, number, Extra?])[] = [
    ['Relu', 'relu', 0],
    ['Gelu', 'gelu', 2e-6],
    ['Gelu', 'gelu-tanh', 2e-6, { attributes: { approximate: { string: 'tanh' } } }],
    ['Erf', 'erf', 2e-6],
    ['Tanh', 'tanh', 1e-6],
    ['Sigmoid', 'sigmoid', 1e-6],
    ['Exp', 'exp', 1e-6],
    ['Neg', 'neg', 0],
    ['Abs', 'abs', 0],
    ['Floor', 'floor', 0],
    ['Ceil', 'ceil', 0],
    ['Round', 'round', 0],
    ['HardSigmoid', 'hard-sigmoid', 1e-6, { with: { kind: 'hard-sigmoid', alpha: 0.2, beta: 0.5 } }],
    ['HardSwish', 'hard-swish', 1e-6],
    ['LeakyRelu', 'leaky-relu', 0, { attributes: { alpha: { float: 0.3 } }, with: { kind: 'leaky-relu', alpha: 0.3 } }],
    ['Elu', 'elu', 1e-6, { attributes: { alpha: { float: 1.5 } }, with: { kind: 'elu', alpha: 1.5 } }],
    ['Softplus', 'softplus', 1e-6],
    ['Sin', 'sin', 1e-6],
    ['Cos', 'cos', 1e-6],
    ['Sign', 'sign', 0],
    ['Mish', 'mish', 2e-6],
  ]
  const kinds = listed.map(([onnx, kind, tolerance, more = {}]) => ({ onnx, kind, tolerance, more }))
  it.each(kinds)('$onnx as $kind', async ({ onnx, kind, tolerance, more }) => {
    for (const shape of [[3, 5], [1], [0, 4], [2, 3, 4]]) {
      const x = floats(shape, shape.length + 3, 6)
      await compare({ inputs: { x }, onnx, op: 'unary', with: { kind }, tolerance, ...more })
    }
  })

  it.each(kinds.filter(({ onnx }) => !['Sin', 'Cos', 'Gelu', 'HardSwish', 'Mish', 'Softplus'].includes(onnx)))(
    '$onnx as $kind of infinities and denormals',
    async ({ onnx, kind, tolerance, more }) => {
      await compare({ inputs: { x: special }, onnx, op: 'unary', with: { kind }, tolerance, ...more })
    },
  )

  it.each([
    ['Sqrt', 'sqrt', 0],
    ['Log', 'log', 1e-6],
    ['Reciprocal', 'reciprocal', 1e-6],
  ] as const)('%s of what is above 0', async (onnx, kind, tolerance) => {
    const x = tensor(
      'FP32',
      [13],
      data(floats([13], 5, 4)).map((value) => Math.abs(value) + 0.01),
    )
    await compare({ inputs: { x }, onnx, op: 'unary', with: { kind }, tolerance })
  })

  it('keeps NaN', async () => {
    const x = tensor('FP32', [5], Float32Array.of(1, Number.NaN, -1, Number.NaN, 0))
    for (const [onnx, kind] of [
      ['Tanh', 'tanh'],
      ['Exp', 'exp'],
      ['Erf', 'erf'],
      ['Abs', 'abs'],
    ] as const) {
      await compare({ inputs: { x }, onnx, op: 'unary', with: { kind }, tolerance: 2e-6 })
    }
  })

  it('Clip of floats and whole numbers, Neg and Abs of whole numbers, Not', async () => {
    const x = floats([3, 7], 2, 9)
    const [min, max] = [tensor('FP32', [], Float32Array.of(-2)), tensor('FP32', [], Float32Array.of(3.5))]
    const clip = { onnx: 'Clip', op: 'unary', with: { kind: 'clip', min: -2, max: 3.5 } }
    await compare({ inputs: { x }, initializers: { min, max }, ...clip })
    const n = integers([9], 3, -9, 9)
    await compare({ inputs: { n }, onnx: 'Neg', op: 'unary', with: { kind: 'neg' } })
    await compare({ inputs: { n }, onnx: 'Abs', op: 'unary', with: { kind: 'abs' } })
    await compare({ inputs: { c: truths([5], 3) }, onnx: 'Not', op: 'unary', with: { kind: 'not' } })
  })
})

describe('binary', () => {
  const shapes: readonly (readonly [readonly number[], readonly number[]])[] = [
    [
      [3, 5],
      [3, 5],
    ],
    [[3, 5], [5]],
    [
      [3, 1],
      [1, 5],
    ],
    [[], [2, 3]],
    [
      [2, 3, 4],
      [3, 1],
    ],
    [
      [4, 1, 3, 1, 2],
      [1, 5, 1, 2, 1],
    ],
    [
      [2, 1, 7],
      [0, 1],
    ],
    [[1], [1]],
  ]
  const kinds = ['Add', 'Sub', 'Mul', 'Div', 'Min', 'Max', 'Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual']
  const kindOf = (onnx: string) => onnx.replace('Or', '-').toLowerCase()
  it.each(kinds)('%s of floats, broadcast', async (onnx) => {
    for (const [index, [left, right]] of shapes.entries()) {
      const inputs = { a: floats(left, index + 1, 4), b: floats(right, index + 9, 4) }
      await compare({ inputs, onnx, op: 'binary', with: { kind: kindOf(onnx) } })
    }
  })

  it.each([...kinds, 'Mod'])('%s of whole numbers, broadcast', async (onnx) => {
    for (const [index, [left, right]] of shapes.entries()) {
      const b = integers(right, index + 9, 1, 6)
      const signed = tensor(
        'INT64',
        right,
        (b.data as BigInt64Array<ArrayBuffer>).map((value, at) => (at % 2 ? -value : value)),
      )
      const inputs = { a: integers(left, index + 1, -9, 9), b: signed }
      await compare({ inputs, onnx, op: 'binary', with: { kind: kindOf(onnx) } })
    }
  })

  it('Pow, the rest of a division as C has it, PRelu, and logic', async () => {
    const a = tensor('FP32', [3, 4], data(floats([3, 4], 2, 3)).map(Math.abs))
    for (const exponent of [2, 0.5, 3, -1.5, 0]) {
      const b = tensor('FP32', [1], Float32Array.of(exponent))
      await compare({ inputs: { a, b }, onnx: 'Pow', op: 'binary', with: { kind: 'pow' }, tolerance: 1e-6 })
    }
    const inputs = { a: floats([2, 6], 5, 9), b: floats([6], 6, 3) }
    const attributes = { fmod: { int: 1 } }
    await compare({ inputs, onnx: 'Mod', attributes, op: 'binary', with: { kind: 'fmod' }, tolerance: 1e-6 })
    await compare({ inputs, onnx: 'PRelu', op: 'binary', with: { kind: 'prelu' } })
    for (const onnx of ['And', 'Or', 'Xor']) {
      const sides = { a: truths([3, 1, 4], 3), b: truths([2, 1], 8) }
      await compare({ inputs: sides, onnx, op: 'binary', with: { kind: onnx.toLowerCase() } })
    }
  })

  it('divides whole numbers by 0 without a trap', async () => {
    const writer = new PlanWriter()
    const [a, b] = [writer.input('a', 'INT32', [4]), writer.input('b', 'INT32', [4])]
    for (const kind of ['div', 'mod', 'fmod']) {
      writer.output(kind, 'INT32', [4], writer.step('binary', [a, b], 'i32', [4], { kind }))
    }
    const session = await loadVerge(vergeEngine(), writer.artifact())
    const outputs = await runSession(session, {
      a: tensor('INT32', [4], Int32Array.of(5, -2147483648, -7, 0)),
      b: tensor('INT32', [4], Int32Array.of(0, -1, 2, 0)),
    })
    expect([...outputs.values()].map(({ data }) => [...(data as Int32Array)])).toEqual([
      [0, -2147483648, -3, 0],
      [0, 0, 1, 0],
      [0, 0, -1, 0],
    ])
  })

  it('Where, of floats and whole numbers', async () => {
    const condition = truths([2, 1, 3], 4)
    await compare({ inputs: { condition, a: floats([5, 1], 2), b: floats([], 3) }, onnx: 'Where', op: 'where' })
    await compare({
      inputs: { condition, a: integers([3], 2, -5, 5), b: integers([2, 4, 1], 3, 0, 9) },
      onnx: 'Where',
      op: 'where',
    })
  })

  it('Cast between all types', async () => {
    const values = { f: floats([3, 5], 2, 9), n: integers([7], 2, -3, 4), c: truths([9], 2) }
    for (const x of Object.values(values)) {
      for (const to of [1, 7, 9])
        await compare({ inputs: { x }, onnx: 'Cast', attributes: { to: { int: to } }, op: 'cast' })
    }
  })
})

describe('movement', () => {
  const int64 = (...values: number[]) => tensor('INT64', [values.length], BigInt64Array.from(values, BigInt))

  it('Transpose', async () => {
    const cases: readonly (readonly [readonly number[], readonly number[]])[] = [
      [
        [3, 5],
        [1, 0],
      ],
      [
        [9, 8],
        [1, 0],
      ],
      [
        [2, 3, 4],
        [2, 0, 1],
      ],
      [
        [2, 7, 3, 5],
        [0, 2, 1, 3],
      ],
      [
        [2, 7, 3, 5],
        [3, 1, 0, 2],
      ],
      [
        [2, 2, 3, 2, 2, 3],
        [5, 3, 1, 4, 2, 0],
      ],
      [
        [0, 3],
        [1, 0],
      ],
      [
        [1, 1, 4],
        [2, 1, 0],
      ],
    ]
    for (const [shape, perm] of cases) {
      const step = { onnx: 'Transpose', attributes: { perm: { ints: perm } }, op: 'transpose', with: { perm } }
      await compare({ inputs: { x: floats(shape, 3) }, ...step })
      await compare({ inputs: { x: truths(shape, 3) }, ...step })
    }
  })

  it('Slice, forwards and backwards', async () => {
    const x = floats([5, 6, 7], 3)
    const cases = [
      { starts: [1, 0, 2], ends: [4, 6, 7], steps: [1, 1, 1], begin: [1, 0, 2] },
      { starts: [0, 1, 0], ends: [5, 6, 7], steps: [2, 2, 3], begin: [0, 1, 0] },
      { starts: [-1, -1, 6], ends: [-9, 1, 0], steps: [-1, -2, -1], begin: [4, 5, 6] },
      { starts: [2, 3, 4], ends: [2, 4, 5], steps: [1, 1, 1], begin: [2, 3, 4] },
    ]
    for (const { starts, ends, steps, begin } of cases) {
      const initializers = {
        starts: int64(...starts),
        ends: int64(...ends),
        axes: int64(0, 1, 2),
        steps: int64(...steps),
      }
      await compare({ inputs: { x }, initializers, onnx: 'Slice', op: 'slice', with: { starts: begin, steps } })
    }
  })

  it('Concat, Expand, Pad', async () => {
    for (const axis of [0, 1, 2]) {
      const shape = (size: number) => [2, 3, 4].map((dim, at) => (at === axis ? size : dim))
      const inputs = { a: floats(shape(1), 2), b: floats(shape(0), 3), c: floats(shape(5), 4) }
      await compare({ inputs, onnx: 'Concat', attributes: { axis: { int: axis } }, op: 'concat', with: { axis } })
    }
    for (const [from, to] of [
      [
        [3, 1],
        [2, 3, 4],
      ],
      [[1], [5]],
      [
        [2, 3],
        [2, 3],
      ],
      [
        [1, 4],
        [0, 4],
      ],
    ] as const) {
      await compare({
        inputs: { x: floats(from, 2) },
        initializers: { shape: int64(...to) },
        onnx: 'Expand',
        op: 'expand',
      })
    }
    const value = tensor('FP32', [], Float32Array.of(-7.5))
    const initializers = { pads: int64(1, 0, 2, 0, 3, 1), value }
    await compare({
      inputs: { x: floats([2, 3, 4], 2) },
      initializers,
      onnx: 'Pad',
      op: 'pad',
      with: { begins: [1, 0, 2], value: -7.5 },
    })
  })

  it('Gather and GatherElements, negative ids too', async () => {
    for (const axis of [0, 1, 2]) {
      const shape = [4, 3, 5]
      const size = shape[axis] ?? 1
      const attributes = { axis: { int: axis } }
      for (const ids of [integers([2, 3], 5, -size, size), integers([], 6, 0, size), integers([0], 7, 0, size)]) {
        await compare({
          inputs: { x: floats(shape, 3), ids },
          onnx: 'Gather',
          attributes,
          op: 'gather',
          with: { axis },
        })
        await compare({
          inputs: { x: truths(shape, 3), ids },
          onnx: 'Gather',
          attributes,
          op: 'gather',
          with: { axis },
        })
      }
      const ids = integers(
        shape.map((dim, at) => (at === axis ? 7 : dim)),
        8,
        -size,
        size,
      )
      await compare({
        inputs: { x: floats(shape, 3), ids },
        onnx: 'GatherElements',
        attributes,
        op: 'gather-elements',
        with: { axis },
      })
    }
  })

  it('rows of a table of floats, half floats and bytes', async () => {
    const table = floats([9, 11], 3)
    const ids = integers([2, 4], 5, -9, 9)
    const common = {
      inputs: { ids },
      initializers: { table },
      reads: ['table', 'ids'],
      onnx: 'Gather',
      result: 'FP32',
    } as const
    await compare({
      ...common,
      op: 'gather-rows',
      operands: (w, [id = null]) => [w.constant('f32', [9, 11], data(table)), id],
    })
    await compare({
      ...common,
      op: 'gather-rows',
      operands: (w, [id = null]) => [
        w.constant('f16', [9, 11], new Uint16Array(Float16Array.from(data(table)).buffer)),
        id,
      ],
      tolerance: 1e-3,
    })
    const scales = Float32Array.from(
      { length: 9 },
      (_, row) =>
        Math.max(
          ...data(table)
            .subarray(row * 11, row * 11 + 11)
            .map(Math.abs),
        ) / 127,
    )
    const bytes = Int8Array.from(data(table), (value, at) =>
      Math.round(value / (scales[Math.floor(at / 11)] as number)),
    )
    await compare({
      ...common,
      op: 'gather-rows',
      operands: (w, [id = null]) => [w.constant('i8', [9, 11], bytes), id, w.constant('f32', [9], scales)],
      tolerance: 5e-3,
    })
  })
})

describe('norms and sums', () => {
  it('LayerNormalization', async () => {
    for (const [shape, seed] of [
      [[2, 3, 8], 1],
      [[5, 7], 2],
      [[1, 1], 3],
      [[0, 5], 4],
      [[4, 33], 5],
    ] as const) {
      const depth = shape.at(-1) ?? 1
      const inputs = { x: floats(shape, seed, 3), gamma: floats([depth], seed + 9), beta: floats([depth], seed + 19) }
      const attributes = { axis: { int: -1 }, epsilon: { float: 1e-5 } }
      await compare({
        inputs,
        onnx: 'LayerNormalization',
        attributes,
        op: 'layer-norm',
        with: { epsilon: 1e-5 },
        operands: (_, [x = null, gamma = null, beta = null]) => [x, null, gamma, beta],
        tolerance: 1e-5,
      })
    }
  })

  it('SkipLayerNormalization', async () => {
    const inputs = { x: floats([2, 3, 9], 1), skip: floats([2, 3, 9], 2), gamma: floats([9], 3), beta: floats([9], 4) }
    await compare({
      inputs,
      onnx: 'SkipLayerNormalization',
      domain: 'com.microsoft',
      attributes: { epsilon: { float: 1e-5 } },
      op: 'layer-norm',
      with: { epsilon: 1e-5 },
      tolerance: 1e-5,
    })
  })

  it('Softmax and LogSoftmax', async () => {
    for (const shape of [
      [2, 3, 8],
      [5, 7],
      [3, 1],
      [0, 4],
      [2, 130],
    ]) {
      const inputs = { x: floats(shape, 7, 9) }
      await compare({ inputs, onnx: 'Softmax', attributes: { axis: { int: -1 } }, op: 'softmax', tolerance: 1e-6 })
      await compare({
        inputs,
        onnx: 'LogSoftmax',
        attributes: { axis: { int: -1 } },
        op: 'log-softmax',
        tolerance: 2e-6,
      })
    }
  })

  const reductions: readonly (readonly [string, string])[] = [
    ['ReduceSum', 'sum'],
    ['ReduceMean', 'mean'],
    ['ReduceMax', 'max'],
    ['ReduceMin', 'min'],
    ['ReduceL1', 'l1'],
    ['ReduceL2', 'l2'],
    ['ReduceSumSquare', 'sum-square'],
    ['ReduceProd', 'prod'],
  ]
  it.each(reductions)('%s', async (onnx, kind) => {
    const cases: readonly (readonly [readonly number[], readonly number[]])[] = [
      [[4, 5, 6], [1]],
      [[4, 5, 6], [0]],
      [[3, 5, 7], [2]],
      [
        [4, 5, 6],
        [1, 2],
      ],
      [
        [3, 1, 5],
        [0, 2],
      ],
      [
        [2, 3, 4, 5],
        [2, 3],
      ],
      [[7], [0]],
      [[0, 3], [1]],
    ]
    for (const [shape, axes] of cases) {
      const initializers = { axes: tensor('INT64', [axes.length], BigInt64Array.from(axes, BigInt)) }
      for (const keepdims of [0, 1]) {
        const step = {
          initializers,
          onnx,
          attributes: { keepdims: { int: keepdims } },
          op: 'reduce',
          with: { kind, axes },
        }
        await compare({ inputs: { x: floats(shape, 5, 2) }, ...step, tolerance: 1e-5 })
      }
    }
  })

  it('sums of whole numbers, the place of the greatest, running sums', async () => {
    const x = integers([3, 4, 5], 4, -9, 9)
    const axes = tensor('INT64', [1], BigInt64Array.of(1n))
    for (const [onnx, kind] of reductions.filter(([, kind]) => ['sum', 'max', 'min', 'prod'].includes(kind))) {
      await compare({ inputs: { x }, initializers: { axes }, onnx, op: 'reduce', with: { kind, axes: [1] } })
    }
    for (const [onnx, kind] of [
      ['ArgMax', 'max'],
      ['ArgMin', 'min'],
    ] as const) {
      for (const axis of [0, 1, 2]) {
        const attributes = { axis: { int: axis }, keepdims: { int: 0 } }
        await compare({ inputs: { x: floats([3, 4, 5], 6) }, onnx, attributes, op: 'argument', with: { kind, axis } })
        await compare({ inputs: { x }, onnx, attributes, op: 'argument', with: { kind, axis } })
      }
    }
    const axis = tensor('INT64', [], BigInt64Array.of(1n))
    await compare({ inputs: { x }, initializers: { axis }, onnx: 'CumSum', op: 'cumulative-sum', with: { axis: 1 } })
  })
})

describe('products in floats', () => {
  it('MatMul of batches, broadcast', async () => {
    const cases: readonly (readonly [readonly number[], readonly number[]])[] = [
      [
        [4, 8],
        [8, 16],
      ],
      [
        [1, 1],
        [1, 1],
      ],
      [
        [5, 7],
        [7, 9],
      ],
      [
        [2, 3, 5, 7],
        [2, 3, 7, 4],
      ],
      [
        [2, 1, 5, 7],
        [3, 7, 4],
      ],
      [
        [3, 5, 7],
        [7, 11],
      ],
      [
        [70, 13],
        [13, 17],
      ],
      [
        [0, 5, 3],
        [3, 4],
      ],
      [
        [2, 5, 0],
        [0, 4],
      ],
    ]
    for (const [left, right] of cases) {
      await compare({
        inputs: { a: floats(left, 2), b: floats(right, 3) },
        onnx: 'MatMul',
        op: 'matmul',
        tolerance: 1e-5,
      })
    }
  })

  it('MatMul with the right side turned, and a factor', async () => {
    for (const [m, k, n] of [
      [5, 7, 9],
      [4, 8, 8],
      [3, 6, 13],
      [9, 3, 4],
    ] as const) {
      const attributes = { transB: { int: 1 }, alpha: { float: 0.25 } }
      await compare({
        inputs: { a: floats([m, k], 2), b: floats([n, k], 3) },
        onnx: 'Gemm',
        attributes,
        op: 'matmul',
        with: { transposeB: 1, alpha: 0.25 },
        tolerance: 1e-5,
      })
    }
  })

  it('a layer of weights in floats and in half floats', async () => {
    for (const [m, k, n] of [
      [1, 1, 1],
      [4, 8, 16],
      [7, 13, 11],
      [0, 5, 6],
      [130, 20, 9],
    ] as const) {
      const [w, b] = [floats([k, n], 3), floats([n], 4)]
      const packed = columnsF32(data(w), k, n)
      const common = { inputs: { x: floats([m, k], 2) }, initializers: { w, b }, onnx: 'Gemm', op: 'linear-f32' }
      await compare({
        ...common,
        operands: (writer, [x = null]) => [
          x,
          writer.constant('f32', [k, n], packed, 'columns-f32'),
          writer.constant('f32', [n], data(b)),
        ],
        tolerance: 1e-5,
      })
      const halves = new Uint16Array(Float16Array.from(packed).buffer)
      await compare({
        ...common,
        operands: (writer, [x = null]) => [
          x,
          writer.constant('f16', [k, n], halves, 'columns-f16'),
          writer.constant('f32', [n], data(b)),
        ],
        tolerance: 5e-3,
      })
    }
  })

  it('widens every half float as the standard says', async () => {
    const halves = Uint16Array.from({ length: 65_536 }, (_, bits) => bits)
    const writer = new PlanWriter()
    const table = writer.constant('f16', [65_536, 1], halves)
    const ids = writer.input('ids', 'INT32', [65_536])
    writer.output('y', 'FP32', [65_536, 1], writer.step('gather-rows', [table, ids], 'f32', [65_536, 1]))
    const session = await loadVerge(vergeEngine(), writer.artifact())
    const outputs = await runSession(session, { ids: tensor('INT32', [65_536], Int32Array.from(halves)) })
    expect(outputs.get('y')?.data).toEqual(Float32Array.from(new Float16Array(halves.buffer)))
  })
})

describe('attention', () => {
  const cases = [
    { batch: 1, queries: 4, keys: 4, heads: 1, size: 8 },
    { batch: 2, queries: 7, keys: 7, heads: 3, size: 5 },
    { batch: 1, queries: 3, keys: 11, heads: 2, size: 16 },
    { batch: 2, queries: 130, keys: 300, heads: 2, size: 12 },
    { batch: 0, queries: 3, keys: 3, heads: 2, size: 4 },
    { batch: 1, queries: 1, keys: 129, heads: 1, size: 32 },
  ]
  it.each(cases)('$batch x $heads heads of $size, $queries queries, $keys keys', async (given) => {
    const { batch, queries, keys, heads, size } = given
    const width = heads * size
    for (const masked of [false, true]) {
      const inputs = {
        q: floats([batch, queries, width], 2, 2),
        k: floats([batch, keys, width], 3, 2),
        v: floats([batch, keys, width], 4),
      }
      const mask = floats([batch, 1, queries, keys], 5, 3)
      expectClose(
        await vergeAttention({ ...given, ...(masked && { mask }), inputs }),
        attentionReference({ ...given, ...(masked && { mask }), inputs }),
        2e-5,
      )
    }
  })

  it('hides keys: as if they were not there, bit for bit, where they are behind the others', async () => {
    const given = { batch: 1, queries: 5, keys: 140, heads: 2, size: 8 }
    const long = { q: floats([1, 5, 16], 2), k: floats([1, 140, 16], 3), v: floats([1, 140, 16], 4) }
    const cut = (value: Tensor) => tensor('FP32', [1, 131, 16], data(value).slice(0, 131 * 16))
    const short = { q: long.q, k: cut(long.k), v: cut(long.v) }
    const keep = Int32Array.from({ length: 140 }, (_, key) => (key < 131 ? 1 : 0))
    const hidden = await vergeAttention({ ...given, inputs: long, keep })
    expect(hidden).toEqual(await vergeAttention({ ...given, keys: 131, inputs: short }))
    // A mask of -inf does the same, and rows without any key are 0: PyTorch's exports put zeros there.
    const mask = tensor(
      'FP32',
      [1, 1, 1, 140],
      Float32Array.from(keep, (value) => (value ? 0 : Number.NEGATIVE_INFINITY)),
    )
    expect(await vergeAttention({ ...given, inputs: long, mask })).toEqual(hidden)
    const none = tensor('FP32', [1, 1, 1, 1], Float32Array.of(Number.NEGATIVE_INFINITY))
    expect(data(await vergeAttention({ ...given, inputs: long, mask: none })).every((value) => value === 0)).toBe(true)
  })
})

interface AttentionCase {
  readonly batch: number
  readonly queries: number
  readonly keys: number
  readonly heads: number
  readonly size: number
  readonly mask?: Tensor
  readonly keep?: Int32Array
  readonly inputs: { readonly q: Tensor; readonly k: Tensor; readonly v: Tensor }
}

async function vergeAttention({
  batch,
  queries,
  keys,
  heads,
  size,
  mask,
  keep,
  inputs,
}: AttentionCase): Promise<Tensor> {
  const writer = new PlanWriter()
  const width = heads * size
  const [q, k, v] = [
    writer.input('q', 'FP32', [batch, queries, width]),
    writer.input('k', 'FP32', [batch, keys, width]),
    writer.input('v', 'FP32', [batch, keys, width]),
  ]
  const added = mask === undefined ? null : writer.input('mask', 'FP32', mask.shape)
  const kept = keep === undefined ? null : writer.constant('i32', [batch, keys], keep)
  const shape = [batch, queries, width]
  const attributes = { heads, headSize: size, scale: 0.3, offsets: [0, 0, 0] }
  writer.output('y', 'FP32', shape, writer.step('attention', [q, k, v, added, kept], 'f32', shape, attributes))
  const session = await loadVerge(vergeEngine(), writer.artifact())
  return (await runSession(session, { ...inputs, ...(mask && { mask }) })).get('y') as Tensor
}

/** In doubles, by the definition. */
function attentionReference({ batch, queries, keys, heads, size, mask, inputs }: AttentionCase): Tensor {
  const width = heads * size
  const out = new Float32Array(batch * queries * width)
  const [q, k, v] = [data(inputs.q), data(inputs.k), data(inputs.v)]
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      for (let s = 0; s < queries; s++) {
        const scores = Array.from({ length: keys }, (_, t) => {
          let sum = 0
          for (let d = 0; d < size; d++) {
            sum +=
              (q[(b * queries + s) * width + h * size + d] as number) *
              (k[(b * keys + t) * width + h * size + d] as number)
          }
          return sum * 0.3 + (mask === undefined ? 0 : (data(mask)[(b * queries + s) * keys + t] as number))
        })
        const most = Math.max(...scores)
        const weights = scores.map((score) => Math.exp(score - most))
        const total = weights.reduce((sum, weight) => sum + weight, 0)
        for (let d = 0; d < size; d++) {
          let sum = 0
          for (let t = 0; t < keys; t++)
            sum += (weights[t] as number) * (v[(b * keys + t) * width + h * size + d] as number)
          out[(b * queries + s) * width + h * size + d] = sum / total
        }
      }
    }
  }
  return tensor('FP32', [batch, queries, width], out)
}
