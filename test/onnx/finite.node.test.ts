import { create } from '@bufbuild/protobuf'
import { describe, expect, it, vi } from 'vitest'
import { halfBits, tensor } from '../../src/core/tensors.ts'
import { decodeModel, encodeModel } from '../../src/onnx/codec.ts'
import { DataType, makeTensor } from '../../src/onnx/data.ts'
import { refuseNonFinite } from '../../src/onnx/finite.ts'
import { GraphView } from '../../src/onnx/graph.ts'
import { SparseTensorProtoSchema, type TensorProto } from '../../src/onnx/schema/onnx_pb.js'
import { type NodeSpec, onnxModel } from '../../synthetic/onnx.ts'
import { floatTensor, functionModel, makeGraph, makeModel, node } from '../fixtures/onnx-messages.ts'

const NAN = Number.NaN

/** A model of one node that reads `x` and a constant `w`. */
function reading(op: string, values: readonly number[], { first = false, shape = [values.length] } = {}) {
  return decodeModel(
    onnxModel({
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['n'] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
      nodes: [{ op, inputs: first ? ['w', 'x'] : ['x', 'w'], outputs: ['y'] }],
      initializers: { w: tensor('FP32', shape, Float32Array.from(values)) },
    }),
  )
}

function withNodes(nodes: readonly NodeSpec[], values: readonly number[]) {
  return decodeModel(
    onnxModel({
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['n'] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
      nodes,
      initializers: { w: tensor('FP32', [values.length], Float32Array.from(values)) },
    }),
  )
}

describe('weights that are not numbers', () => {
  it.each([
    ['MatMul', [1, NAN, 2]],
    ['MatMul', [1, -Infinity]],
    ['Conv', [Infinity]],
    ['Gemm', [1, -Infinity]],
    ['LSTM', [NAN]],
    ['LayerNormalization', [NAN, 1]],
    ['Mul', [1, Infinity]],
    ['Add', [1, NAN]],
    ['Add', [1, Infinity]],
    ['DequantizeLinear', [NAN]],
    ['QLinearConv', [NAN]],
    ['MatMulNBits', [NAN]],
    // An operator that is not known: NaN is no bound of anything.
    ['SomethingNew', [NAN]],
  ])('are refused in %s of %j', (op, values) => {
    expect(() => refuseNonFinite(reading(op, values))).toThrow(
      expect.objectContaining({ code: 'bad_weights', message: expect.stringContaining('reads "w", which has') }),
    )
  })

  it('are followed once through each value that is made of them, however often it is read', () => {
    const doubling = Array.from({ length: 12 }, (_, i) => {
      const value = i === 0 ? 'w' : `c${i - 1}`
      return { op: 'Concat', inputs: [value, value], outputs: [`c${i}`], attributes: { axis: { int: 0 } } }
    })
    const uses = vi.spyOn(GraphView.prototype, 'uses')
    const model = withNodes([...doubling, { op: 'MatMul', inputs: ['x', 'c11'], outputs: ['y'] }], [NAN])
    expect(() => refuseNonFinite(model)).toThrow(/reads "w", which has NaN/)
    const followed = uses.mock.calls.length
    uses.mockRestore()
    expect(followed).toBeLessThan(100)
  })

  it('are named, with the node, the element and how many there are', () => {
    expect(() => refuseNonFinite(reading('MatMul', [1, 2, NAN, 4, -Infinity]))).toThrow(
      'The model has weights that are not finite. The MatMul node that produces "y" reads "w", which has NaN at element 2 ' +
        '(2 of 5 elements are not finite). Train or export the model again.',
    )
  })

  it('are refused in tables, unless they are masks', () => {
    expect(() => refuseNonFinite(reading('Gather', [1, NAN, 2], { first: true }))).toThrow(/has NaN at element 1/)
    expect(() => refuseNonFinite(reading('Gather', [1, 2, -Infinity], { first: true }))).toThrow(/-Infinity/)
    const mask: NodeSpec[] = [
      { op: 'Gather', inputs: ['w', 'rows'], outputs: ['row'] },
      { op: 'Add', inputs: ['x', 'row'], outputs: ['y'] },
    ]
    expect(() => refuseNonFinite(withNodes(mask, [0, -Infinity, 0, -Infinity]))).not.toThrow()
  })

  it.each([
    ['Add', [0, -Infinity, -Infinity], 'a mask of attention'],
    ['Sub', [0.5, -Infinity, 0.25], 'scores of classes that are suppressed'],
    ['Where', [-Infinity], 'what a mask puts in'],
    ['Where', [NAN], 'what is missing'],
    ['Max', [-Infinity], 'a bound'],
    ['Min', [Infinity], 'a bound'],
    ['Clip', [-Infinity], 'a bound'],
    ['Pad', [-Infinity], 'what a pooling is padded with'],
    ['Less', [Infinity], 'a bound'],
    ['MatMul', [-3.4028234663852886e38, 3.4028234663852886e38], 'the lowest and the highest number'],
  ])('are no fault in %s of %j: %s', (op, values) => {
    expect(() => refuseNonFinite(reading(op, values))).not.toThrow()
  })

  it('are found behind nodes that move them, and not where nothing reads them', () => {
    const nodes: NodeSpec[] = [
      { op: 'Transpose', inputs: ['w'], outputs: ['t'] },
      { op: 'Cast', inputs: ['t'], outputs: ['c'], attributes: { to: { int: 1 } } },
      { op: 'MatMul', inputs: ['x', 'c'], outputs: ['y'] },
    ]
    expect(() => refuseNonFinite(withNodes(nodes, [NAN]))).toThrow(/MatMul node that produces "y" reads "w"/)
    expect(() => refuseNonFinite(withNodes([{ op: 'Abs', inputs: ['x'], outputs: ['y'] }], [NAN]))).not.toThrow()
  })

  it('are found in constants, sparse initializers, and among the inputs of older files', () => {
    const broken = floatTensor('w', 1, NAN)
    const product = node('MatMul', 'x w', 'y')
    const constant = node('Constant', '', 'w', { attributes: { value: { tensor: floatTensor('', 1, NAN) } } })
    expect(() => refuseNonFinite(makeModel({ nodes: [constant, product] }))).toThrow(/reads "w"/)
    expect(() => refuseNonFinite(makeModel({ nodes: [product], inputs: ['x', 'w'], initializers: [broken] }))).toThrow(
      /reads "w"/,
    )
    const sparse = makeModel({ nodes: [product] })
    sparse.graph?.sparseInitializer.push(create(SparseTensorProtoSchema, { values: broken }))
    expect(() => refuseNonFinite(sparse)).toThrow(/reads "w"/)
  })

  it('are found in graphs inside, whose own they are or which read them from around', () => {
    const flag = makeTensor('flag', DataType.BOOL, [], Uint8Array.of(1))
    const branching = (inside: TensorProto[], around: TensorProto[]) => {
      const branch = (initializers: TensorProto[]) =>
        makeGraph({ nodes: [node('MatMul', 'x w', 'z')], inputs: [], outputs: ['z'], initializers })
      const attributes = { then_branch: { graph: branch(inside) }, else_branch: { graph: branch(inside) } }
      return makeModel({ nodes: [node('If', 'flag', 'y', { attributes })], initializers: [flag, ...around] })
    }
    const broken = floatTensor('w', 1, NAN)
    expect(() => refuseNonFinite(branching([broken], []))).toThrow(/reads "w", which has NaN at element 1/)
    expect(() => refuseNonFinite(branching([], [broken]))).toThrow(/reads "w", which has NaN at element 1/)
    // The one inside hides the one around.
    expect(() => refuseNonFinite(branching([floatTensor('w', 1)], [broken]))).not.toThrow()
  })

  it('are found in functions', () => {
    const model = functionModel()
    const attributes = { value: { tensor: floatTensor('', NAN, 1) } }
    const [inner] = model.functions
    inner?.node.push(node('Constant', '', 'w', { attributes }), node('Mul', 'b w', 'c'))
    expect(() => refuseNonFinite(model)).toThrow(/Mul.* reads "w", which has NaN at element 0/)
  })

  it.each([
    ['FLOAT16', DataType.FLOAT16, halfBits([1, NAN])],
    ['BFLOAT16', DataType.BFLOAT16, Uint16Array.of(0x3f80, 0x7fc0)],
    ['DOUBLE', DataType.DOUBLE, Float64Array.of(1, NAN)],
  ])('are found in %s', (_, type, data) => {
    const model = makeModel({
      nodes: [node('MatMul', 'x w', 'y')],
      initializers: [makeTensor('w', type, [2], data)],
    })
    expect(() => refuseNonFinite(decodeModel(encodeModel(model)))).toThrow(/NaN at element 1/)
  })

  it('are not doubles beyond the range of single precision', () => {
    const w = makeTensor('w', DataType.DOUBLE, [2], Float64Array.of(1e300, -1e300))
    expect(() => refuseNonFinite(makeModel({ nodes: [node('MatMul', 'x w', 'y')], initializers: [w] }))).not.toThrow()
  })

  it('are found in the coefficients of linear models, and let be in the thresholds of trees', () => {
    const linear = (op: string, name: string, floats: readonly number[]) =>
      decodeModel(
        onnxModel({
          inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 2] }],
          outputs: [{ name: 'y', datatype: 'FP32', shape: ['n', 1] }],
          nodes: [{ op, domain: 'ai.onnx.ml', inputs: ['x'], outputs: ['y'], attributes: { [name]: { floats } } }],
        }),
      )
    expect(() => refuseNonFinite(linear('LinearRegressor', 'coefficients', [1, NAN]))).toThrow(
      /reads "coefficients", which has NaN at element 1/,
    )
    expect(() => refuseNonFinite(linear('TreeEnsembleRegressor', 'nodes_values', [Infinity]))).not.toThrow()
    expect(() => refuseNonFinite(linear('Imputer', 'imputed_value_floats', [NAN]))).not.toThrow()
  })

  it('are counted where a training has left nothing else', () => {
    const names = ['a', 'b', 'c', 'd', 'e']
    const model = makeModel({
      nodes: names.map((name, index) => node('MatMul', `${index === 0 ? 'x' : `y${index - 1}`} ${name}`, `y${index}`)),
      outputs: ['y4'],
      initializers: names.map((name) => floatTensor(name, NAN)),
    })
    expect(() => refuseNonFinite(model)).toThrow(/"a".*"b".*"c".* So do 2 other weights\./)
  })
})
