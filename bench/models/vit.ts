import { tensor } from '../../src/core/tensors.ts'
import { Graph } from '../../synthetic/graph.ts'
import { normals } from '../../synthetic/random.ts'
import { gelu, layerNorm } from './layers.ts'
import { DEVIATION, type Precision, Products } from './products.ts'

/** facebook/deit-tiny-patch16-224. */
const DEIT_TINY = { layers: 12, hidden: 192, heads: 3, ffn: 768, patch: 16, side: 224, classes: 1000 } as const
const EPSILON = 1e-12

/**
 * A vision transformer of DeiT-tiny's shape with made-up weights, as PyTorch exports it: FP32 `pixel_values`
 * [batch_size, 3, 224, 224] -> FP32 `logits` [batch_size, 1000]. In `int8` the convolution that makes the patches stays in
 * float, because ONNX Runtime has no 8-bit one for signed weights.
 */
export function vitModel(precision: Precision): Uint8Array<ArrayBuffer> {
  const { classes, hidden, layers, patch, side } = DEIT_TINY
  const layer = new VitGraph(precision)
  const { graph } = layer
  let value = layer.embed('pixel_values', 1 + (side / patch) ** 2)
  for (let index = 0; index < layers; index++) value = layer.layer(`layer.${index}`, value)
  const first = graph.node('Gather', [layer.normalize('norm', value), graph.weight('first', integer(0))], {
    axis: { int: 1 },
  })
  return graph.model(
    [{ name: 'pixel_values', datatype: 'FP32', shape: ['batch_size', 3, side, side] }],
    { name: 'logits', datatype: 'FP32', shape: ['batch_size', classes] },
    layer.products.linear('classifier', first, hidden, classes),
  )
}

class VitGraph {
  readonly graph = new Graph()
  readonly products: Products

  constructor(precision: Precision) {
    this.products = new Products(this.graph, precision)
  }

  /** Patches as tokens, the class token before them, places added. */
  embed(pixels: string, tokens: number): string {
    const { graph } = this
    const { hidden, patch } = DEIT_TINY
    const square = [patch, patch]
    const weights = normals('patches', hidden * 3 * patch * patch, DEVIATION)
    const patches = graph.node(
      'Conv',
      [
        pixels,
        graph.weight('patches', tensor('FP32', [hidden, 3, patch, patch], weights)),
        graph.weight('patches.bias', tensor('FP32', [hidden], normals('patches.bias', hidden, DEVIATION))),
      ],
      { kernel_shape: { ints: square }, strides: { ints: square } },
    )
    const batch = this.#size(pixels, 0)
    const rows = graph.node('Transpose', [this.#view(patches, [batch, hidden, -1])], { perm: { ints: [0, 2, 1] } })
    const token = graph.weight('token', tensor('FP32', [1, 1, hidden], normals('token', hidden, DEVIATION)))
    // `expand(batch, -1, -1)`, as it is traced: -1 becomes 1 by comparison with a tensor of ones.
    const shape = this.#join([batch, -1, -1])
    const ones = graph.node('ConstantOfShape', [graph.integers('rank', [3])], {
      value: { tensor: tensor('INT64', [1], BigInt64Array.of(1n)) },
    })
    const open = graph.node('Mul', [ones, graph.weight('minus', integer(-1))])
    const sizes = graph.node('Where', [graph.node('Equal', [shape, open]), ones, shape])
    const all = graph.node('Concat', [graph.node('Expand', [token, sizes]), rows], { axis: { int: 1 } })
    const places = normals('places', tokens * hidden, DEVIATION)
    return graph.node('Add', [all, graph.weight('places', tensor('FP32', [1, tokens, hidden], places))])
  }

  layer(name: string, input: string): string {
    const { graph, products } = this
    const { ffn, heads, hidden } = DEIT_TINY
    const width = hidden / heads
    const even = this.normalize(`${name}.norm1`, input)
    const heading = (part: string, perm: readonly number[]): string => {
      const all = products.linear(`${name}.${part}`, even, hidden, hidden)
      const split = this.#view(all, [this.#size(all, 0), this.#size(all, 1), heads, width])
      return graph.node('Transpose', [split], { perm: { ints: perm } })
    }
    const query = heading('query', [0, 2, 1, 3])
    const key = heading('key', [0, 2, 3, 1])
    const value = heading('value', [0, 2, 1, 3])
    const root = graph.scalar('attention.scale', Math.sqrt(width))
    const scores = graph.node('Div', [graph.node('MatMul', [query, key]), root])
    const shares = graph.node('Softmax', [scores], { axis: { int: -1 } })
    const mixed = graph.node('Transpose', [graph.node('MatMul', [shares, value])], { perm: { ints: [0, 2, 1, 3] } })
    const joined = this.#view(mixed, [this.#size(mixed, 0), this.#size(mixed, 1), hidden])
    const middle = graph.node('Add', [products.linear(`${name}.attention`, joined, hidden, hidden), input])
    const wide = gelu(graph, products.linear(`${name}.wide`, this.normalize(`${name}.norm2`, middle), hidden, ffn))
    return graph.node('Add', [products.linear(`${name}.narrow`, wide, ffn, hidden), middle])
  }

  normalize(name: string, input: string): string {
    const { hidden } = DEIT_TINY
    return layerNorm(this.graph, name, input, { hidden, epsilon: EPSILON, gainOf: (value) => 1 + value })
  }

  /** `x.size(axis)`, as a scalar. */
  #size(value: string, axis: number): string {
    const { graph } = this
    return graph.node('Gather', [graph.node('Shape', [value]), graph.weight(`axis.${axis}`, integer(axis))])
  }

  /** `x.view(...)`: numbers and scalars side by side. */
  #view(value: string, sizes: readonly (number | string)[]): string {
    return this.graph.node('Reshape', [value, this.#join(sizes)])
  }

  #join(sizes: readonly (number | string)[]): string {
    const { graph } = this
    const zero = graph.integers('axes.first', [0])
    const parts = sizes.map((size) =>
      typeof size === 'number' ? graph.integers(`size.${size}`, [size]) : graph.node('Unsqueeze', [size, zero]),
    )
    return graph.node('Concat', parts, { axis: { int: 0 } })
  }
}

function integer(value: number) {
  return tensor('INT64', [], BigInt64Array.of(BigInt(value)))
}
