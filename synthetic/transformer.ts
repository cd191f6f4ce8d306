import { tensor } from '../src/core/tensors.ts'
import { Graph } from './graph.ts'
import { normals } from './random.ts'

/** Sizes of a transformer's layers. */
export interface LayerSizes {
  readonly hidden: number
  readonly heads: number
  readonly ffn: number
}

export type Activation = 'gelu' | 'quick_gelu' | 'gelu_tanh'

/** Far from `DEVIATION` of trained networks, so that answers of few layers differ from input to input. */
const DEVIATION = 0.15
const EPSILON = 1e-5
const FLOAT = 1
/** What a score that may not count is lowered by. */
const HIDDEN = -10_000

/** Parts of transformers as PyTorch's exporter writes them, with made-up weights. Each tensor is seeded by its name. */
export class Transformer {
  readonly graph = new Graph()

  weight(name: string, shape: readonly number[], deviation = DEVIATION): string {
    const count = shape.reduce((product, size) => product * size, 1)
    return this.graph.weight(name, tensor('FP32', shape, normals(name, count, deviation)))
  }

  linear(name: string, input: string, inner: number, outer: number): string {
    const product = this.project(name, input, inner, outer)
    return this.graph.node('Add', [product, this.weight(`${name}.bias`, [outer])])
  }

  /** A product without a bias. */
  project(name: string, input: string, inner: number, outer: number): string {
    return this.graph.node('MatMul', [input, this.weight(`${name}.weight`, [inner, outer])])
  }

  norm(name: string, input: string, hidden: number): string {
    const gain = tensor(
      'FP32',
      [hidden],
      normals(`${name}.gain`, hidden, 0.1).map((value) => 1 + value),
    )
    return this.graph.node(
      'LayerNormalization',
      [input, this.graph.weight(`${name}.gain`, gain), this.weight(`${name}.shift`, [hidden])],
      { axis: { int: -1 }, epsilon: { float: EPSILON } },
    )
  }

  /** Words and places of token ids [batch, length], for texts of at most `positions` tokens. */
  words(name: string, ids: string, vocabulary: number, positions: number, hidden: number): string {
    const { graph } = this
    const words = graph.node('Gather', [this.weight(`${name}.words`, [vocabulary, hidden], 0.5), ids])
    const places = graph.node('Gather', [
      this.weight(`${name}.places`, [positions, hidden]),
      this.range(ids, positions),
    ])
    return graph.node('Add', [words, places])
  }

  /** 0, 1, ... to the length of token ids. */
  range(ids: string, positions: number): string {
    const { graph } = this
    const length = graph.node('Gather', [graph.node('Shape', [ids]), graph.integers('axis.length', [1])])
    const all = tensor(
      'INT64',
      [positions],
      BigInt64Array.from({ length: positions }, (_, i) => BigInt(i)),
    )
    const range = graph.weight(`range.${positions}`, all)
    return graph.node('Slice', [range, graph.integers('zero', [0]), length])
  }

  /** What is added to attention's scores so that padding takes no part: of a mask [batch, length]. */
  padding(mask: string): string {
    const { graph } = this
    const wide = graph.node('Unsqueeze', [mask, graph.integers('axes.mask', [1, 2])])
    const absent = graph.node('Sub', [graph.scalar('one', 1), graph.node('Cast', [wide], { to: { int: FLOAT } })])
    return graph.node('Mul', [absent, graph.scalar('hidden', HIDDEN)])
  }

  /** The same, so that no token sees a later one. */
  causal(ids: string, positions: number): string {
    const { graph } = this
    const range = this.range(ids, positions)
    const across = graph.node('Unsqueeze', [range, graph.integers('axes.first', [0])])
    const down = graph.node('Unsqueeze', [range, graph.integers('axes.second', [1])])
    const later = graph.node('Cast', [graph.node('Greater', [across, down])], { to: { int: FLOAT } })
    return graph.node('Mul', [later, graph.scalar('hidden', HIDDEN)])
  }

  /** A layer that normalizes before its parts, as CLIP, SigLIP and ViT do. */
  layer(name: string, input: string, sizes: LayerSizes, activation: Activation, mask?: string): string {
    const { graph } = this
    const { ffn, hidden } = sizes
    const attended = this.#attention(name, this.norm(`${name}.norm1`, input, hidden), sizes, mask)
    const middle = graph.node('Add', [attended, input])
    const wide = this.linear(`${name}.wide`, this.norm(`${name}.norm2`, middle, hidden), hidden, ffn)
    const narrow = this.linear(`${name}.narrow`, this.activate(wide, activation), ffn, hidden)
    return graph.node('Add', [narrow, middle])
  }

  activate(input: string, activation: Activation): string {
    const { graph } = this
    const times = (factor: string): string => graph.node('Mul', [input, factor])
    switch (activation) {
      case 'quick_gelu':
        return times(graph.node('Sigmoid', [graph.node('Mul', [input, graph.scalar('quick', 1.702)])]))
      case 'gelu': {
        const erf = graph.node('Erf', [graph.node('Div', [input, graph.scalar('root.two', Math.SQRT2)])])
        const product = times(graph.node('Add', [erf, graph.scalar('one', 1)]))
        return graph.node('Mul', [product, graph.scalar('half', 0.5)])
      }
      case 'gelu_tanh': {
        const cube = graph.node('Pow', [input, graph.scalar('three', 3)])
        const sum = graph.node('Add', [input, graph.node('Mul', [cube, graph.scalar('tanh.cube', 0.044715)])])
        const tanh = graph.node('Tanh', [graph.node('Mul', [sum, graph.scalar('tanh.root', Math.sqrt(2 / Math.PI))])])
        const product = times(graph.node('Add', [tanh, graph.scalar('one', 1)]))
        return graph.node('Mul', [product, graph.scalar('half', 0.5)])
      }
    }
  }

  /** Vectors [rows, width] to length 1. */
  toLengthOne(input: string): string {
    const { graph } = this
    const squares = graph.node('ReduceSum', [graph.node('Mul', [input, input]), graph.integers('last', [-1])], {
      keepdims: { int: 1 },
    })
    return graph.node('Div', [input, graph.node('Sqrt', [squares])])
  }

  #attention(name: string, input: string, { heads, hidden }: LayerSizes, mask: string | undefined): string {
    const { graph } = this
    const width = hidden / heads
    const heading = (part: string, perm: readonly number[]): string => {
      const split = graph.node('Reshape', [
        this.linear(`${name}.${part}`, input, hidden, hidden),
        graph.integers(`shape.heads.${heads}.${width}`, [0, 0, heads, width]),
      ])
      return graph.node('Transpose', [split], { perm: { ints: perm } })
    }
    const products = graph.node('MatMul', [heading('query', [0, 2, 1, 3]), heading('key', [0, 2, 3, 1])])
    const scores = graph.node('Div', [products, graph.scalar(`root.${width}`, Math.sqrt(width))])
    const masked = mask === undefined ? scores : graph.node('Add', [scores, mask])
    const shares = graph.node('Softmax', [masked], { axis: { int: -1 } })
    const mixed = graph.node('MatMul', [shares, heading('value', [0, 2, 1, 3])])
    const rows = graph.node('Transpose', [mixed], { perm: { ints: [0, 2, 1, 3] } })
    const joined = graph.node('Reshape', [rows, graph.integers(`shape.joined.${hidden}`, [0, 0, hidden])])
    return this.linear(`${name}.attention`, joined, hidden, hidden)
  }
}
