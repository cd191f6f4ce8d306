import { describe, expect, it } from 'vitest'
import { compileModel } from '../../../src/compile/compile.ts'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import { decodeModel } from '../../../src/onnx/codec.ts'
import { prepareModel } from '../../../src/quantize/prepare.ts'
import { type NodeSpec, onnxModel, seededFloats } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'
import { loadModel, plainEngine } from '../../fixtures/node/run-onnx.ts'
import { loadVerge, vergeEngine } from '../../fixtures/node/verge-engine.ts'

const signal = never()
const MICROSOFT = 'com.microsoft'

/** Collects a graph of eight bits: between a QuantizeLinear of `x` and a DequantizeLinear of what is named `end`. */
class Eight {
  readonly nodes: NodeSpec[] = []
  readonly initializers: Record<string, Tensor> = {}
  readonly #signed: boolean

  constructor(signed: boolean) {
    this.#signed = signed
  }

  scale(value: number): string {
    return this.#add(tensor('FP32', [], Float32Array.of(value)))
  }

  zero(value: number): string {
    return this.#add(
      this.#signed ? tensor('INT8', [], Int8Array.of(value - 128)) : tensor('UINT8', [], Uint8Array.of(value)),
    )
  }

  /** Per channel of the first axis, or of the last. */
  weight(shape: readonly number[], seed: number): string {
    const count = shape.reduce((product, size) => product * size, 1)
    return this.#add(
      tensor(
        'INT8',
        [...shape],
        Int8Array.from(seededFloats(count, seed), (value) => value * 60),
      ),
    )
  }

  scales(count: number): readonly [string, string] {
    const scales = Float32Array.from(seededFloats(count, 9), (value) => 0.01 + Math.abs(value) / 100)
    return [this.#add(tensor('FP32', [count], scales)), this.#add(tensor('INT8', [count], new Int8Array(count)))]
  }

  sums(count: number): string {
    return this.#add(
      tensor(
        'INT32',
        [count],
        Int32Array.from(seededFloats(count, 5), (value) => value * 4000),
      ),
    )
  }

  #add(value: Tensor): string {
    const name = `c${Object.keys(this.initializers).length}`
    this.initializers[name] = value
    return name
  }

  node(op: string, inputs: readonly string[], output: string, rest: Omit<NodeSpec, 'op' | 'inputs' | 'outputs'> = {}) {
    this.nodes.push({ op, inputs, outputs: [output], ...rest })
  }
}

type Case = (graph: Eight, scale: string, zero: string) => readonly [scale: string, zero: string]

/** What each makes of `q` [2, 16, 11, 13] ends as `end`. */
const CASES: Readonly<Record<string, Case>> = {
  'a convolution with a bias': (graph, scale, zero) =>
    convolution(graph, [scale, zero], { shape: [24, 16, 3, 3], sums: true }),
  'one of another depth, without': (graph, scale, zero) => convolution(graph, [scale, zero], { shape: [5, 16, 1, 1] }),
  'one with strides': (graph, scale, zero) =>
    convolution(graph, [scale, zero], { shape: [8, 16, 3, 3], strides: [2, 2], sums: true }),
  'a depthwise one': (graph, scale, zero) =>
    convolution(graph, [scale, zero], { shape: [16, 1, 3, 3], group: 16, sums: true }),
  'one in groups': (graph, scale, zero) => convolution(graph, [scale, zero], { shape: [16, 8, 3, 3], group: 2 }),
  'an addition': (graph, scale, zero) => {
    const end = [graph.scale(0.05), graph.zero(120)] as const
    graph.node('QLinearAdd', ['q', scale, zero, 'q', scale, zero, ...end], 'end', { domain: MICROSOFT })
    return end
  },
  'means of pictures, and a product': (graph, scale, zero) => {
    const [middle, end] = [[graph.scale(0.02), graph.zero(110)] as const, [graph.scale(0.06), graph.zero(128)] as const]
    graph.node('QLinearGlobalAveragePool', ['q', scale, zero, ...middle], 'means', { domain: MICROSOFT })
    graph.node('Flatten', ['means'], 'flat')
    graph.node('QLinearMatMul', ['flat', ...middle, graph.weight([16, 10], 3), ...graph.scales(10), ...end], 'end')
    return end
  },
  'a product with a factor and a bias': (graph, scale, zero) => {
    const end = [graph.scale(0.06), graph.zero(128)] as const
    const rows = 2 * 11 * 13
    graph.initializers.rows = tensor('INT64', [2], BigInt64Array.of(BigInt(rows), 16n))
    graph.node('Reshape', ['q', 'rows'], 'matrix')
    const weight = [graph.weight([10, 16], 3), ...graph.scales(10)]
    graph.node('QGemm', ['matrix', scale, zero, ...weight, graph.sums(10), ...end], 'end', {
      domain: MICROSOFT,
      attributes: { alpha: { float: 0.5 }, transB: { int: 1 } },
    })
    return end
  },
  'the greatest of windows, and a convolution': (graph, scale, zero) => {
    graph.node('MaxPool', ['q'], 'greatest', { attributes: { kernel_shape: { ints: [2, 2] } } })
    return convolution(graph, [scale, zero], { shape: [8, 16, 3, 3], input: 'greatest' })
  },
}

function convolution(
  graph: Eight,
  from: readonly [string, string],
  {
    shape,
    group = 1,
    input = 'q',
    strides = [1, 1],
    sums = false,
  }: {
    readonly shape: readonly [number, number, number, number]
    readonly group?: number
    readonly input?: string
    readonly strides?: readonly number[]
    readonly sums?: boolean
  },
): readonly [string, string] {
  const end = [graph.scale(0.09), graph.zero(100)] as const
  const weight = [graph.weight(shape, 3), ...graph.scales(shape[0])]
  const pad = shape[2] === 3 ? 1 : 0
  graph.node('QLinearConv', [input, ...from, ...weight, ...end, ...(sums ? [graph.sums(shape[0])] : [])], 'end', {
    attributes: { group: { int: group }, strides: { ints: strides }, pads: { ints: [pad, pad, pad, pad] } },
  })
  return end
}

function modelOf(make: Case, signed: boolean): Uint8Array {
  const graph = new Eight(signed)
  const [scale, zero] = [graph.scale(0.02), graph.zero(128)]
  graph.node('QuantizeLinear', ['x', scale, zero], 'q')
  graph.node('DequantizeLinear', ['end', ...make(graph, scale, zero)], 'y')
  return onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 16, 11, 13] }],
    outputs: [{ name: 'y', datatype: 'FP32' }],
    nodes: graph.nodes,
    initializers: graph.initializers,
    domains: { [MICROSOFT]: 1 },
  })
}

describe.each(['relaxed', 'plain'] as const)('operators of eight bits, on %s kernels', (build) => {
  it.each(Object.keys(CASES).flatMap((name) => [false, true].map((signed) => [name, signed] as const)))(
    '%s gives the whole numbers that ONNX Runtime gives (signed: %s)',
    async (name, signed) => {
      const model = decodeModel(modelOf(CASES[name] as Case, signed))
      const { model: prepared } = await prepareModel(model, { engine: plainEngine(), signal })
      const result = await compileModel(prepared, { signal })
      if (!result.ok) throw new Error(`${result.operator} ${result.node}: ${result.reason}`)
      const x = tensor(
        'FP32',
        [2, 16, 11, 13],
        seededFloats(2 * 16 * 11 * 13, 8).map((value) => value * 3),
      )
      const reference = await loadModel(model, 'all')
      const [expected] = (await reference.run(new Map([['x', x]]), { signal })).values()
      const session = await loadVerge(vergeEngine(build), result.bytes)
      const [actual] = (await session.run(new Map([['x', x]]), { signal })).values()
      expect(actual?.shape).toEqual(expected?.shape)
      const values = Array.from(expected?.data as ArrayLike<number>)
      expect(new Set(values).size).toBeGreaterThan(8)
      const differing = values.filter((value, at) => Math.abs(value - Number(actual?.data[at])) > 1e-5)
      // Of means and sums of two scales, those that lie between two whole numbers.
      expect(differing.length).toBeLessThanOrEqual(
        name.includes('convolution') || name.includes('one') ? 0 : values.length / 100,
      )
      session.dispose()
      reference.dispose()
    },
  )
})
