import { create } from '@bufbuild/protobuf'
import { InferenceSession } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { encodeModel } from '../../src/onnx/codec.ts'
import { DataType, makeTensor } from '../../src/onnx/data.ts'
import { isOnnxError } from '../../src/onnx/errors.ts'
import { MAX_IR_VERSION, MAX_OPSET } from '../../src/onnx/opsets.ts'
import {
  AttributeProtoSchema,
  type FunctionProto,
  FunctionProtoSchema,
  type GraphProto,
  type ModelProto,
} from '../../src/onnx/schema/onnx_pb.js'
import { validateModel } from '../../src/onnx/validate.ts'
import {
  floatTensor,
  functionModel,
  makeGraph,
  makeModel,
  node,
  sparseModel,
  sparseVector,
  subgraphModel,
  tensorType,
  valueInfo,
} from '../fixtures/onnx-messages.ts'

const flag = makeTensor('flag', DataType.BOOL, [], Uint8Array.of(1))
const times = makeTensor('times', DataType.INT64, [], BigInt64Array.of(3n))

/** A model whose `If` has these branches. */
function branching(yes: GraphProto, no: GraphProto, around: Partial<Parameters<typeof makeModel>[0]> = {}): ModelProto {
  const { nodes = [], initializers = [], ...rest } = around
  const branch = node('If', 'flag', 'y', { attributes: { then_branch: { graph: yes }, else_branch: { graph: no } } })
  return makeModel({ ...rest, nodes: [...nodes, branch], initializers: [flag, ...initializers] })
}

const branch = (inputs: string, output: string, rest: Partial<Parameters<typeof makeGraph>[0]> = {}): GraphProto =>
  makeGraph({ nodes: [node('Abs', inputs, output)], outputs: [output], ...rest })

/** A loop whose body names its carried value `carried`. */
function looping(carried: string): ModelProto {
  const body = makeGraph({
    nodes: [node('Identity', 'go', 'goOn'), node('Add', `${carried} x`, 'more')],
    inputs: [valueInfo('round', DataType.INT64, []), valueInfo('go', DataType.BOOL, []), carried],
    outputs: [valueInfo('goOn', DataType.BOOL, []), 'more'],
  })
  return makeModel({
    nodes: [node('Loop', 'times flag x', 'y', { attributes: { body: { graph: body } } })],
    initializers: [times, flag, floatTensor('w', 1, 2)],
  })
}

function fn(name: string, nodes: FunctionProto['node'], rest: { readonly domain?: string } = {}): FunctionProto {
  const imports = [
    { domain: '', version: 17n },
    { domain: 'own', version: 1n },
  ]
  return create(FunctionProtoSchema, {
    name,
    domain: 'own',
    input: ['a'],
    output: ['b'],
    opsetImport: imports,
    node: nodes,
    ...rest,
  })
}

const calling = (functions: FunctionProto[], op: string): ModelProto =>
  makeModel({ nodes: [node(op, 'x', 'y', { domain: 'own' })], imports: { own: 1 }, functions })

const neg = node('Neg', 'x', 'y')
const changed = (change: (model: ModelProto) => void): ModelProto => {
  const model = makeModel({ nodes: [node('Neg', 'x', 'y')] })
  change(model)
  return model
}

async function loads(model: ModelProto): Promise<boolean> {
  try {
    const session = await InferenceSession.create(encodeModel(model), { logSeverityLevel: 4, intraOpNumThreads: 1 })
    await session.release()
    return true
  } catch {
    return false
  }
}

describe('what ONNX Runtime loads', () => {
  it.each<[string, ModelProto]>([
    ['subgraphs that read the graph around them', subgraphModel()],
    ['functions', functionModel()],
    ['a sparse constant', sparseModel()],
    ['nodes out of order', makeModel({ nodes: [node('Neg', 'a', 'y'), node('Abs', 'x', 'a')] })],
    [
      'an input that is an initializer too',
      makeModel({ nodes: [node('Add', 'x w', 'y')], inputs: ['x', 'w'], initializers: [floatTensor('w', 1, 2)] }),
    ],
    [
      'an initializer as output',
      makeModel({ nodes: [neg], outputs: ['y', 'w'], initializers: [floatTensor('w', 1, 2)] }),
    ],
    ['an input as output', makeModel({ nodes: [neg], outputs: ['y', 'x'] })],
    ['branches with the same names', branching(branch('x', 'r'), branch('x', 'r'))],
    ['a branch with the name of what it is for', branching(branch('x', 'y'), branch('x', 'y'))],
    [
      'a branch that hides an initializer by its own',
      branching(branch('w', 'r', { initializers: [floatTensor('w', 5, 6)] }), branch('w', 's'), {
        initializers: [floatTensor('w', 1, 2)],
      }),
    ],
    ['a loop that hides an initializer by its input', looping('w')],
    [
      'a branch that reads what comes later',
      branching(branch('late', 'r'), branch('x', 's'), { nodes: [node('Neg', 'x', 'late')] }),
    ],
    [
      'a function in the place of an operator',
      makeModel({ nodes: [neg], functions: [fn('Neg', [node('Abs', 'a', 'b')], { domain: '' })] }),
    ],
    ['the default domain by its other name', makeModel({ nodes: [node('Neg', 'x', 'y', { domain: 'ai.onnx' })] })],
    [
      "ONNX Runtime's own operators without import",
      makeModel({ nodes: [node('Gelu', 'x', 'y', { domain: 'com.microsoft' })] }),
    ],
    ['an import that nothing uses', makeModel({ nodes: [neg], imports: { 'some.where': 3 } })],
    [
      'weights that are not finite',
      makeModel({
        nodes: [node('Add', 'x w', 'y')],
        initializers: [floatTensor('w', Number.NaN, Number.POSITIVE_INFINITY)],
      }),
    ],
    ['odd names', makeModel({ nodes: [node('Neg', 'x', '../😀"'), node('Abs', '../😀"', 'y')] })],
    ['the newest operator set', makeModel({ nodes: [neg], opset: MAX_OPSET[''] ?? 0 })],
    [
      'the newest IR version',
      changed((model) => {
        model.irVersion = BigInt(MAX_IR_VERSION)
      }),
    ],
  ])('is valid: %s', async (_, model) => {
    expect(() => validateModel(model)).not.toThrow()
    expect(await loads(model)).toBe(true)
  })
})

describe('what ONNX Runtime refuses', () => {
  it.each<[string, string, string | undefined, ModelProto]>([
    [
      'a value given twice',
      'invalid_graph',
      'second',
      makeModel({ nodes: [neg, node('Abs', 'x', 'y', { name: 'second' })] }),
    ],
    ['a value that is an input', 'invalid_graph', 'make x', makeModel({ nodes: [neg, node('Abs', 'y', 'x')] })],
    [
      'a value that is an initializer',
      'invalid_graph',
      'make w',
      makeModel({ nodes: [neg, node('Abs', 'y', 'w')], initializers: [floatTensor('w', 1, 2)] }),
    ],
    ['an input given twice', 'invalid_graph', 'x', makeModel({ nodes: [neg], inputs: ['x', 'x'] })],
    [
      'two nodes of one name',
      'invalid_graph',
      'n',
      makeModel({ nodes: [node('Neg', 'x', 'a', { name: 'n' }), node('Neg', 'a', 'y', { name: 'n' })] }),
    ],
    ['a value that nothing gives', 'missing_value', 'make y', makeModel({ nodes: [node('Add', 'x weight', 'y')] })],
    ['an output that nothing gives', 'missing_value', 'z', makeModel({ nodes: [neg], outputs: ['y', 'z'] })],
    [
      'a circle',
      'cycle',
      'make a',
      makeModel({ nodes: [node('Add', 'x b', 'a'), node('Neg', 'a', 'b'), node('Abs', 'a', 'y')] }),
    ],
    [
      'a node that reads itself',
      'cycle',
      'make a',
      makeModel({ nodes: [node('Add', 'x a', 'a'), node('Abs', 'a', 'y')] }),
    ],
    ['a circle through a branch', 'cycle', 'make y', branching(branch('y', 'r'), branch('x', 's'))],
    [
      'a branch that gives what there is already',
      'invalid_graph',
      'make a',
      branching(branch('x', 'a'), branch('x', 's'), { nodes: [node('Neg', 'x', 'a')] }),
    ],
    [
      'a branch that gives out what is around it',
      'invalid_graph',
      'x',
      branching(makeGraph({ nodes: [], outputs: ['x'] }), branch('x', 's')),
    ],
    ['an unknown operator', 'unsupported', 'make y', makeModel({ nodes: [node('Bogus', 'x', 'y')] })],
    [
      'an unknown operator in a branch',
      'unsupported',
      'make r',
      branching(makeGraph({ nodes: [node('Bogus', 'x', 'r')], outputs: ['r'] }), branch('x', 's')),
    ],
    [
      'an operator from a later version',
      'unsupported',
      'make y',
      makeModel({ nodes: [node('Gelu', 'x', 'y')], opset: 19 }),
    ],
    [
      'an operator that was removed',
      'unsupported',
      'make y',
      makeModel({
        nodes: [node('Scatter', 'x i x', 'y')],
        initializers: [makeTensor('i', DataType.INT64, [2], BigInt64Array.of(0n, 1n))],
      }),
    ],
    [
      'an unknown domain',
      'unsupported',
      'make y',
      makeModel({ nodes: [node('Neg', 'x', 'y', { domain: 'foo' })], imports: { foo: 1 } }),
    ],
    [
      'no import of the default domain',
      'invalid_graph',
      'make y',
      changed((model) => {
        model.opsetImport = []
      }),
    ],
    [
      'an operator set of the future',
      'unsupported',
      undefined,
      makeModel({ nodes: [neg], opset: (MAX_OPSET[''] ?? 0) + 1 }),
    ],
    [
      'machine learning of the future',
      'unsupported',
      undefined,
      makeModel({ nodes: [neg], imports: { 'ai.onnx.ml': (MAX_OPSET['ai.onnx.ml'] ?? 0) + 1 } }),
    ],
    [
      'contributions of the future',
      'unsupported',
      undefined,
      makeModel({ nodes: [neg], imports: { 'com.microsoft': 2 } }),
    ],
    [
      'an IR version of the future',
      'unsupported',
      undefined,
      changed((model) => {
        model.irVersion = BigInt(MAX_IR_VERSION) + 1n
      }),
    ],
    [
      'an unknown element type',
      'unsupported',
      'x',
      changed((model) => {
        model.graph?.input.forEach((input) => {
          input.type = tensorType(99 as DataType, [2])
        })
      }),
    ],
    [
      'an attribute given twice',
      'invalid_graph',
      'make y',
      changed((model) => {
        const alpha = { name: 'alpha', type: 1, f: 1 } as const
        model.graph?.node.splice(0, 1, {
          ...node('LeakyRelu', 'x', 'y'),
          attribute: [alpha, alpha].map((item) => create(AttributeProtoSchema, item)),
        })
      }),
    ],
    [
      'an attribute without its tensor',
      'invalid_graph',
      'make y',
      changed((model) => {
        const value = create(AttributeProtoSchema, { name: 'value', type: 4 })
        model.graph?.node.splice(0, 1, { ...node('Constant', '', 'y'), attribute: [value] })
      }),
    ],
    [
      'an initializer that is too short',
      'invalid_graph',
      'w',
      makeModel({ nodes: [node('Add', 'x w', 'y')], initializers: [{ ...floatTensor('w', 1), dims: [2n] }] }),
    ],
    ['a function that calls itself', 'cycle', 'F', calling([fn('F', [node('F', 'a', 'b', { domain: 'own' })])], 'F')],
    [
      'functions that call each other',
      'cycle',
      'F',
      calling(
        [fn('F', [node('G', 'a', 'b', { domain: 'own' })]), fn('G', [node('F', 'a', 'b', { domain: 'own' })])],
        'F',
      ),
    ],
    [
      'a function that reads nothing given',
      'missing_value',
      'make b',
      calling([fn('F', [node('Neg', 'x', 'b')])], 'F'),
    ],
    [
      'a function of a domain that is not imported',
      'invalid_graph',
      'make y',
      makeModel({ nodes: [node('F', 'x', 'y', { domain: 'own' })], functions: [fn('F', [node('Neg', 'a', 'b')])] }),
    ],
  ])('is refused: %s', async (_, code, name, model) => {
    let error: unknown
    try {
      validateModel(model)
    } catch (thrown) {
      error = thrown
    }
    expect(error).toMatchObject({ name: 'OnnxError', code, node: name })
    if (name !== undefined) expect((error as Error).message).toContain(name.replace('make ', ''))
    expect(await loads(model)).toBe(false)
  })
})

describe('what would be ambiguous, or could not be run', () => {
  it.each<[string, string, ModelProto]>([
    [
      'an initializer given twice',
      'invalid_graph',
      makeModel({ nodes: [node('Add', 'x w', 'y')], initializers: [floatTensor('w', 1, 2), floatTensor('w', 3, 4)] }),
    ],
    ['two versions of one operator set', 'invalid_graph', makeModel({ nodes: [neg], imports: { 'ai.onnx': 13 } })],
    ['a model without outputs', 'invalid_graph', makeModel({ nodes: [neg], outputs: [] })],
    [
      'a sparse index outside',
      'invalid_graph',
      makeModel({ nodes: [node('Add', 'x s', 'y')], sparse: [sparseVector('s', 2, [2], [5])] }),
    ],
    [
      'a negative sparse index',
      'invalid_graph',
      makeModel({ nodes: [node('Add', 'x s', 'y')], sparse: [sparseVector('s', 2, [-1], [5])] }),
    ],
    [
      'fewer sparse indices than values',
      'invalid_graph',
      makeModel({ nodes: [node('Add', 'x s', 'y')], sparse: [sparseVector('s', 2, [1], [5, 6])] }),
    ],
    [
      'sparse dimensions without end',
      'invalid_graph',
      makeModel({
        nodes: [node('Add', 'x s', 'y')],
        sparse: [{ ...sparseVector('s', 2, [1], [5]), dims: [2n ** 60n] }],
      }),
    ],
    [
      'an attribute of a function, outside of any',
      'invalid_graph',
      changed((model) => {
        const alpha = create(AttributeProtoSchema, { name: 'alpha', type: 1, refAttrName: 'slope' })
        model.graph?.node.splice(0, 1, { ...node('LeakyRelu', 'x', 'y'), attribute: [alpha] })
      }),
    ],
    [
      'a function defined twice',
      'invalid_graph',
      calling([fn('F', [node('Neg', 'a', 'b')]), fn('F', [node('Abs', 'a', 'b')])], 'F'),
    ],
  ])('is refused: %s', (_, code, model) => {
    expect(() => validateModel(model)).toThrow(expect.objectContaining({ name: 'OnnxError', code }))
  })

  it('refuses functions that come to a terabyte of nodes, at once', () => {
    const twice = (name: string, inner: string): FunctionProto =>
      fn(name, [node(inner, 'a', 'm', { domain: 'own' }), node(inner, 'm', 'b', { domain: 'own' })])
    const functions = [
      fn('F0', [node('Neg', 'a', 'b')]),
      ...Array.from({ length: 40 }, (_, index) => twice(`F${index + 1}`, `F${index}`)),
    ]
    expect(() => validateModel(calling(functions.slice(0, 11), 'F10'))).not.toThrow()
    expect(() => validateModel(calling(functions, 'F40'))).toThrow(expect.objectContaining({ code: 'too_large' }))
  })

  it('follows no chain by recursion', () => {
    const chain = (length: number): ModelProto['functions'] =>
      Array.from({ length }, (_, index) =>
        fn(`F${index}`, [
          node(index + 1 < length ? `F${index + 1}` : 'Neg', 'a', 'b', { domain: index + 1 < length ? 'own' : '' }),
        ]),
      )
    expect(() => validateModel(calling(chain(20_000), 'F0'))).not.toThrow()
    const nodes = Array.from({ length: 50_000 }, (_, index) => node('Neg', `v${index}`, `v${index + 1}`)).reverse()
    const model = makeModel({ nodes, inputs: ['v0'], outputs: ['v50000'] })
    expect(() => validateModel(model)).not.toThrow()
    nodes.push(node('Add', 'v50000 v50000', 'v50001'))
    model.graph?.node.push(node('Add', 'out out', 'out'))
    expect(() => validateModel(model)).toThrow(expect.objectContaining({ code: 'cycle', node: 'make out' }))
  })
})

it('throws typed errors only', () => {
  const strange = makeModel({ nodes: [node('', 'x', 'y')] })
  let error: unknown
  try {
    validateModel(strange)
  } catch (thrown) {
    error = thrown
  }
  expect(isOnnxError(error, 'invalid_graph')).toBe(true)
})
