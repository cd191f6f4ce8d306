import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { encodeModel } from '../../src/onnx/codec.ts'
import { DataType } from '../../src/onnx/data.ts'
import { OnnxError } from '../../src/onnx/errors.ts'
import { opsetOf } from '../../src/onnx/graph.ts'
import { copyModel, type Pass, type Patch, type RunPassesOptions, runPasses, sorted } from '../../src/onnx/pass.ts'
import type { ModelProto, NodeProto } from '../../src/onnx/schema/onnx_pb.js'
import { validateModel } from '../../src/onnx/validate.ts'
import { floatTensor, makeGraph, makeModel, node, subgraphModel, valueInfo } from '../fixtures/onnx-messages.ts'

const signal = new AbortController().signal
const run = (model: ModelProto, passes: readonly Pass[], options: Partial<RunPassesOptions> = {}) =>
  runPasses(model, passes, { signal, validate: validateModel, ...options })

/** A pass that proposes these patches for the model's own graph, once. */
function pass(name: string, ...patches: Patch[]): Pass {
  return {
    name,
    *propose(view) {
      if (view.path === '') yield* patches
    },
  }
}

/** Every operator of one kind becomes another. */
function replacing(from: string, to: string, rest: Partial<Pass> = {}): Pass {
  return {
    name: `${from} to ${to}`,
    *propose(view) {
      for (const old of view.graph.node) {
        if (old.opType === from) yield { what: `replace ${old.name}`, remove: [old], add: [{ ...old, opType: to }] }
      }
    },
    ...rest,
  }
}

const ops = ({ graph }: ModelProto): string[] => graph?.node.map(({ opType }) => opType) ?? []
const at = ({ graph }: ModelProto, index: number): NodeProto => graph?.node[index] as NodeProto

async function answer(model: ModelProto): Promise<number[]> {
  const session = await InferenceSession.create(encodeModel(model), { logSeverityLevel: 4 })
  const { y } = await session.run({ x: new OrtTensor('float32', [1, 2], [2]) })
  return Array.from(y?.data as Float32Array)
}

const chain = (): ModelProto =>
  makeModel({
    nodes: [node('Neg', 'x', 'a'), node('Abs', 'a', 'b'), node('Add', 'b w', 'y')],
    initializers: [floatTensor('w', 10, 20)],
  })

describe('patches', () => {
  it('replace nodes at their place, and leave the given model as it is', async () => {
    const model = chain()
    const before = encodeModel(model)
    const { model: changed, applied } = await run(model, [replacing('Abs', 'Relu')])
    expect(ops(changed)).toEqual(['Neg', 'Relu', 'Add'])
    expect(applied).toEqual([{ pass: 'Abs to Relu', graph: '', what: 'replace make b' }])
    expect(encodeModel(model)).toEqual(before)
    expect([await answer(model), await answer(changed)]).toEqual([
      [11, 22],
      [10, 20],
    ])
  })

  it('find places for nodes that are added, also before those that read them', async () => {
    const model = chain()
    const { model: changed } = await run(model, [
      pass('double', {
        what: 'double x',
        remove: [at(model, 0)],
        add: [node('Neg', 'twice', 'a'), node('Add', 'x x', 'twice')],
      }),
    ])
    expect(ops(changed)).toEqual(['Add', 'Neg', 'Abs', 'Add'])
    expect(await answer(changed)).toEqual([12, 24])
  })

  it('add, replace and remove initializers', async () => {
    const { model } = await run(chain(), [
      pass('weights', {
        what: 'new weights',
        initializers: [floatTensor('w', 1, 1), floatTensor('v', 5, 5)],
        removeInitializers: ['unknown'],
      }),
      pass('drop', { what: 'drop v', removeInitializers: ['v'] }),
    ])
    expect(model.graph?.initializer.map(({ name, rawData }) => [name, rawData?.[3]])).toEqual([['w', 63]])
    expect(await answer(model)).toEqual([2, 3])
  })

  it('redirect readers, through a chain of redirections', async () => {
    const model = chain()
    const { model: changed } = await run(model, [
      pass(
        'skip',
        { what: 'skip Abs', remove: [at(model, 1)], redirect: new Map([['b', 'a']]) },
        { what: 'skip Neg', remove: [at(model, 0)], redirect: new Map([['a', 'x']]) },
      ),
    ])
    expect(changed.graph?.node.map(({ input }) => input)).toEqual([['x', 'w']])
    expect(await answer(changed)).toEqual([11, 22])
  })

  it('redirect readers in graphs inside, at any depth, without touching the given model', async () => {
    const model = subgraphModel()
    const { model: changed } = await run(model, [
      pass('other weights', {
        what: 'w to v',
        initializers: [floatTensor('v', 100, 200)],
        removeInitializers: ['w'],
        redirect: new Map([['w', 'v']]),
      }),
    ])
    expect(await answer(changed)).toEqual([299, 598])
    expect(await answer(model)).toEqual([2, 4])
  })

  it('do not redirect what a graph inside has under the same name', async () => {
    const hiding = makeGraph({
      nodes: [node('Add', 'minus w', 'r')],
      outputs: ['r'],
      initializers: [floatTensor('w', 7, 7)],
    })
    const reading = makeGraph({ nodes: [node('Add', 'minus w', 's')], outputs: ['s'] })
    const [, flag] = subgraphModel().graph?.initializer ?? []
    const attributes = { then_branch: { graph: hiding }, else_branch: { graph: reading } }
    const model = makeModel({
      nodes: [node('Neg', 'x', 'minus'), node('If', 'flag', 'y', { attributes })],
      initializers: [
        { ...(subgraphModel().graph?.initializer[0] ?? floatTensor('')), name: 'flag' },
        floatTensor('w', 1, 1),
      ],
    })
    expect(flag?.name).toBe('times')
    const { model: changed } = await run(model, [
      pass('other weights', {
        what: 'w to v',
        initializers: [floatTensor('v', 100, 200)],
        redirect: new Map([['w', 'v']]),
      }),
    ])
    const inner = at(changed, 1).attribute.map(({ g }) => g?.node[0]?.input[1])
    expect(inner).toEqual(['w', 'v'])
    expect(await answer(changed)).toEqual([6, 5])
  })

  it('raise operator sets, and never lower them', async () => {
    const { model } = await run(makeModel({ nodes: [node('Neg', 'x', 'y')], opset: 17 }), [
      pass(
        'needs',
        { what: 'versions', opsets: { '': 20, 'com.microsoft': 1 } },
        { what: 'older', opsets: { 'ai.onnx': 13 } },
      ),
    ])
    expect([opsetOf(model, ''), opsetOf(model, 'com.microsoft'), model.opsetImport.length]).toEqual([20, 1, 2])
  })

  it('change inputs and outputs', async () => {
    const model = makeModel({
      nodes: [node('Add', 'x w', 'y')],
      inputs: ['x', 'w'],
      initializers: [floatTensor('w', 1, 2)],
    })
    const { model: changed } = await run(model, [
      pass('own', {
        what: 'own w',
        removeInputs: ['w'],
        retype: [valueInfo('y', DataType.FLOAT, ['n'])],
        irVersion: 11,
      }),
    ])
    expect(changed.graph?.input.map(({ name }) => name)).toEqual(['x'])
    expect(changed.graph?.output).toEqual([valueInfo('y', DataType.FLOAT, ['n'])])
    expect([changed.irVersion, model.irVersion, model.graph?.input.length]).toEqual([11n, 10n, 2])
  })
})

describe('the runner', () => {
  it('goes on until a repeating pass has nothing left, inner graphs first', async () => {
    const halving: Pass = { ...replacing('Neg', 'Abs'), repeat: true }
    const graphs: string[] = []
    const watching: Pass = {
      ...halving,
      *propose(view, context) {
        graphs.push(view.path)
        yield* halving.propose(view, context) as Iterable<Patch>
      },
    }
    const { applied } = await run(subgraphModel(), [watching])
    expect(applied.length).toBe(1)
    const round = ['make y.g', 'make y.g/make looped.g', 'make y.g', '']
    expect(graphs).toEqual([...round, ...round])
  })

  it('gives the outer graph a view of the inner ones as they have become', async () => {
    const readings: number[] = []
    const forgetting: Pass = {
      name: 'forget w',
      *propose(view) {
        const reader = view.graph.node.find(({ input }) => input[1] === 'w')
        if (reader) yield { what: 'read sum', remove: [reader], add: [{ ...reader, input: ['sum', 'sum'] }] }
        if (view.path === '') readings.push(view.uses('w').length)
      },
    }
    await run(subgraphModel(), [forgetting])
    expect(readings).toEqual([0])
  })

  it('stops a pass that undoes its own work', async () => {
    const flip: Pass = {
      name: 'flip',
      repeat: true,
      *propose(view) {
        const [first] = view.graph.node
        if (first)
          yield { what: 'flip', remove: [first], add: [{ ...first, opType: first.opType === 'Neg' ? 'Abs' : 'Neg' }] }
      },
    }
    await expect(run(chain(), [flip])).rejects.toThrow(/"flip" does not come to an end/)
  })

  it('applies as many patches as it may, so that halving finds the one at fault', async () => {
    const nodes = Array.from({ length: 9 }, (_, index) => node('Neg', index === 0 ? 'x' : `v${index}`, `v${index + 1}`))
    const model = makeModel({ nodes: [...nodes, node('Neg', 'v9', 'y')] })
    // Ten replacements of one operator by another, of which the seventh also changes what is computed.
    const faulty: Pass = {
      name: 'faulty',
      *propose(view) {
        for (const [index, old] of view.graph.node.entries()) {
          const input = index === 6 ? ['x'] : old.input
          yield { what: `patch ${index}`, remove: [old], add: [{ ...old, opType: 'Identity', input }] }
        }
      },
    }
    const wrong = async (stopAfter: number): Promise<boolean> => {
      const { model: changed, applied } = await run(model, [faulty], { stopAfter })
      expect(applied.length).toBe(Math.min(stopAfter, 10))
      return at(changed, 6).input[0] === 'x'
    }
    let [good, bad] = [0, 10]
    while (bad - good > 1) {
      const middle = (good + bad) >> 1
      if (await wrong(middle)) bad = middle
      else good = middle
    }
    const { applied } = await run(model, [faulty], { stopAfter: bad })
    expect(applied.at(-1)?.what).toBe('patch 6')
  })

  it('runs no later pass once it has stopped', async () => {
    const { applied } = await run(chain(), [replacing('Neg', 'Abs'), replacing('Abs', 'Relu')], { stopAfter: 1 })
    expect(applied.map(({ pass }) => pass)).toEqual(['Neg to Abs'])
    expect((await run(chain(), [replacing('Neg', 'Abs')], { stopAfter: 0 })).applied).toEqual([])
  })

  it('names the pass after which a model is not valid, and the node', async () => {
    const error = await run(chain(), [replacing('Abs', 'Relu'), replacing('Relu', 'Bogus')]).catch(
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(OnnxError)
    expect(error).toMatchObject({ code: 'invalid_graph', node: 'make b', cause: { code: 'unsupported' } })
    expect((error as Error).message).toMatch(/After pass "Relu to Bogus".*Bogus/)
  })

  it.each([
    [
      'removes a node of another graph',
      { what: 'p', remove: [node('Neg', 'x', 'q')] },
      /"broken" \(p\) removes a node that is not there/,
    ],
    ['makes a circle', { what: 'p', add: [node('Neg', 'd', 'c'), node('Neg', 'c', 'd')] }, /depends on its own output/],
    ['takes away what is read', { what: 'p', removeInitializers: ['w'] }, /After pass "broken".*"w"/],
  ])('refuses a pass that %s', async (_, patch, message) => {
    await expect(run(chain(), [pass('broken', patch)])).rejects.toThrow(message)
  })

  it('refuses two patches that remove the same node', async () => {
    const model = chain()
    const patch = { what: 'p', remove: [at(model, 0)] }
    await expect(run(model, [pass('twice', patch, patch)])).rejects.toThrow(/not there/)
  })

  it('stops at a signal, and does not take that for a fault of the model', async () => {
    const leaving = new AbortController()
    const endless: Pass = {
      name: 'endless',
      async *propose() {
        leaving.abort(new Error('left'))
        yield { what: 'nothing' }
      },
    }
    await expect(run(chain(), [endless], { signal: leaving.signal })).rejects.toThrow('left')
    const later = new AbortController()
    const validate = (): void => later.abort(new Error('left later')) ?? later.signal.throwIfAborted()
    await expect(run(chain(), [replacing('Neg', 'Abs')], { signal: later.signal, validate })).rejects.toThrow(
      'left later',
    )
  })
})

describe('order', () => {
  it('keeps nodes where they stand if it can', () => {
    const nodes = [node('Neg', 'x', 'a'), node('Neg', 'x', 'b'), node('Add', 'a b', 'y')]
    expect(sorted(nodes)).toEqual(nodes)
  })

  it('puts a node after what its subgraphs read', () => {
    const inner = makeGraph({ nodes: [node('Neg', 'late', 'r')], outputs: ['r'] })
    const holder = node('If', 'c', 'y', { attributes: { then_branch: { graph: inner } } })
    expect(sorted([holder, node('Abs', 'x', 'late')]).map(({ opType }) => opType)).toEqual(['Abs', 'If'])
  })

  it('follows chains of any length', () => {
    const nodes = Array.from({ length: 50_000 }, (_, index) => node('Neg', `v${index}`, `v${index + 1}`)).reverse()
    expect(sorted(nodes)[0]?.input).toEqual(['v0'])
  })
})

it('copies graphs, and shares nodes and weights', () => {
  const model = subgraphModel()
  const copy = copyModel(model)
  expect(copy).toEqual(model)
  expect(copy.graph).not.toBe(model.graph)
  expect(at(copy, 0)).toBe(at(model, 0))
  expect(at(copy, 1).attribute[0]?.g).not.toBe(at(model, 1).attribute[0]?.g)
  expect(copy.graph?.initializer[0]).toBe(model.graph?.initializer[0])
})
