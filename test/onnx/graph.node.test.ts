import { describe, expect, it } from 'vitest'
import { capturedBy, GraphView, graphsOf, Namer, opsetOf } from '../../src/onnx/graph.ts'
import type { GraphProto, ModelProto } from '../../src/onnx/schema/onnx_pb.js'
import { floatTensor, makeGraph, makeModel, node, sparseModel, subgraphModel } from '../fixtures/onnx-messages.ts'

function viewOf(model: ModelProto): GraphView {
  return new GraphView(model, model.graph as GraphProto)
}

describe('a view of a graph', () => {
  const model = makeModel({
    nodes: [node('Add', 'x w', 'a'), node('Mul', 'a a', 'y'), node('Neg', 'given', 'unread')],
    inputs: ['x', 'given'],
    outputs: ['y', 'a'],
    initializers: [floatTensor('w', 1, 2), floatTensor('given', 3, 4)],
  })
  const view = viewOf(model)

  it('says what gives a value, and what reads it', () => {
    expect(view.producer('y')?.opType).toBe('Mul')
    expect(view.producer('x')).toBeUndefined()
    expect(view.uses('a').map(({ node, index }) => [node.opType, index])).toEqual([
      ['Mul', 0],
      ['Mul', 1],
    ])
    expect(view.uses('unread')).toEqual([])
    expect([view.isInput('x'), view.isInput('w'), view.isOutput('a'), view.isOutput('x')]).toEqual([
      true,
      false,
      true,
      false,
    ])
  })

  it('takes no initializer for a constant that a caller may replace', () => {
    expect(view.constant('w')?.name).toBe('w')
    expect(view.constant('given')).toBeUndefined()
    expect(view.ownsConstant('given')).toBe(false)
  })

  it('knows the default domain by both names', () => {
    expect([opsetOf(model, ''), opsetOf(model, 'ai.onnx'), opsetOf(model, 'ai.onnx.ml')]).toEqual([17, 17, 0])
    const other = makeModel({ nodes: [], imports: { 'ai.onnx.ml': 3 } })
    other.opsetImport = other.opsetImport.map((opset) => ({ ...opset, domain: opset.domain || 'ai.onnx' }))
    expect([opsetOf(other, ''), viewOf(other).opset('ai.onnx.ml')]).toEqual([17, 3])
  })
})

describe('graphs inside graphs', () => {
  const model = subgraphModel()

  it('come after those around them, with the way to them', () => {
    expect(graphsOf(model).map(({ path, graph }) => [path, graph.node.map(({ opType }) => opType)])).toEqual([
      ['', ['Neg', 'If']],
      ['make y.g', ['Loop']],
      ['make y.g/make looped.g', ['Identity', 'Add']],
      ['make y.g', ['Add']],
    ])
  })

  it('capture values through several levels', () => {
    const [, branch] = model.graph?.node ?? []
    expect([...capturedBy(branch ?? node('', '', ''))].sort()).toEqual(['flag', 'minus', 'times', 'w'])
    const view = viewOf(model)
    expect(view.uses('w').map(({ node, index }) => [node.opType, index])).toEqual([['If', -1]])
    const [, , body] = graphsOf(model)
    expect(body?.constant('w')?.name).toBe('w')
    expect(body?.ownsConstant('w')).toBe(false)
    expect(body?.constant('sum')).toBeUndefined()
    expect(body?.outer?.outer?.graph).toBe(model.graph)
  })

  it('do not capture what they have themselves, sparse constants and given out values included', () => {
    const inner = makeGraph({
      nodes: [node('Add', 's x', 'sum'), node('Add', 'own sum', 'r')],
      outputs: ['r', 'passed'],
      initializers: [floatTensor('own', 1, 2)],
      sparse: sparseModel().graph?.sparseInitializer ?? [],
    })
    const holder = node('If', 'c', 'y', { attributes: { then_branch: { graph: inner } } })
    expect([...capturedBy(holder)].sort()).toEqual(['passed', 'x'])
  })
})

describe('new names', () => {
  it('are not those of values, nodes, constants or outputs anywhere in the model', () => {
    const namer = new Namer(subgraphModel())
    const taken = ['x', 'minus', 'make minus', 'flag', 'own', 'sum', 'more', 'goOn', 'looped', 'make looped']
    expect(taken.map((name) => namer.fresh(name))).toEqual(taken.map((name) => `${name}_1`))
    expect(new Namer(sparseModel()).fresh('s')).toBe('s_1')
  })

  it('are given once', () => {
    const namer = new Namer(makeModel({ nodes: [node('Neg', 'x', 'n_1')] }))
    expect([namer.fresh('n'), namer.fresh('n'), namer.fresh('n')]).toEqual(['n', 'n_2', 'n_3'])
  })
})
