/**
 * SegFormer with seeded weights: the operators, shapes and names of the published model as PyTorch exports it, so that it
 * takes as long. What it answers means nothing. Pure; runs in workerd and Node.
 */
import { type Tensor, tensor } from '../src/core/tensors.ts'
import { type AttributeValue, type NodeSpec, onnxModel, seededFloats } from './onnx.ts'

interface SegformerShape {
  /** Of the input, divisible by 32. */
  readonly side: number
  readonly classes: number
  /** Channels of the four stages, and blocks, heads and reduction of the keys in each. */
  readonly channels: readonly number[]
  readonly depths: readonly number[]
  readonly heads: readonly number[]
  readonly reductions: readonly number[]
  /** Channels of the decoder. */
  readonly decoder: number
}

/** FP32 `pixel_values` [1, 3, side, side] -> `logits` [1, classes, side / 4, side / 4]. */
export function segformerModel(shape: SegformerShape, seed = 1): Uint8Array<ArrayBuffer> {
  const writer = new Writer(seed)
  const stages = encoder(writer, shape)
  const quarter = shape.side / 4
  const parts = stages.map(({ tokens, channels, side }) => {
    const linear = writer.linear(tokens, channels, shape.decoder)
    const map = writer.toMap(linear, shape.decoder, side)
    return side === quarter ? map : writer.enlarged(map, shape.decoder, quarter)
  })
  const whole = writer.node('Concat', parts.reverse(), { axis: { int: 1 } })
  const fused = writer.node('Relu', [writer.conv(whole, shape.decoder * parts.length, shape.decoder, { kernel: 1 })])
  writer.conv(fused, shape.decoder, shape.classes, { kernel: 1, output: 'logits' })
  return onnxModel({
    inputs: [{ name: 'pixel_values', datatype: 'FP32', shape: [1, 3, shape.side, shape.side] }],
    outputs: [{ name: 'logits', datatype: 'FP32', shape: [1, shape.classes, quarter, quarter] }],
    nodes: writer.nodes,
    initializers: writer.initializers,
  })
}

interface Stage {
  readonly tokens: string
  readonly channels: number
  readonly side: number
}

function encoder(writer: Writer, { side, channels, depths, heads, reductions }: SegformerShape): Stage[] {
  const stages: Stage[] = []
  let [map, before, now] = ['pixel_values', 3, side]
  for (const [i, width] of channels.entries()) {
    const stride = i === 0 ? 4 : 2
    now /= stride
    map = writer.conv(map, before, width, { kernel: i === 0 ? 7 : 3, stride, pad: i === 0 ? 3 : 1 })
    let tokens = writer.norm(writer.toTokens(map, width, now), width)
    for (let block = 0; block < (depths[i] ?? 0); block++) {
      const block = { width, side: now, heads: heads[i] ?? 1, reduction: reductions[i] ?? 1 }
      tokens = writer.node('Add', [tokens, attention(writer, writer.norm(tokens, width), block)])
      tokens = writer.node('Add', [tokens, mixing(writer, writer.norm(tokens, width), block)])
    }
    tokens = writer.norm(tokens, width)
    map = writer.toMap(tokens, width, now)
    stages.push({ tokens, channels: width, side: now })
    before = width
  }
  return stages
}

interface Block {
  readonly width: number
  readonly side: number
  readonly heads: number
  readonly reduction: number
}

/** Attention whose keys and values are of a smaller map. */
function attention(writer: Writer, tokens: string, { width, side, heads, reduction }: Block): string {
  const size = width / heads
  const split = (of: string, count: number, permutation: readonly number[]): string =>
    writer.node('Transpose', [writer.reshape(of, [1, count, heads, size])], { perm: { ints: permutation } })
  const count = side * side
  const queries = split(writer.linear(tokens, width, width), count, [0, 2, 1, 3])
  let [source, fewer] = [tokens, count]
  if (reduction > 1) {
    const map = writer.conv(writer.toMap(tokens, width, side), width, width, { kernel: reduction, stride: reduction })
    fewer = count / reduction ** 2
    source = writer.norm(writer.toTokens(map, width, side / reduction), width)
  }
  const keys = split(writer.linear(source, width, width), fewer, [0, 2, 3, 1])
  const values = split(writer.linear(source, width, width), fewer, [0, 2, 1, 3])
  const scores = writer.node('MatMul', [queries, keys])
  const shares = writer.node('Softmax', [writer.node('Mul', [scores, writer.scalar(1 / Math.sqrt(size))])], {
    axis: { int: -1 },
  })
  const mixed = writer.node('Transpose', [writer.node('MatMul', [shares, values])], { perm: { ints: [0, 2, 1, 3] } })
  return writer.linear(writer.reshape(mixed, [1, count, width]), width, width)
}

/** A feed-forward network with a depthwise convolution inside. */
function mixing(writer: Writer, tokens: string, { width, side }: Block): string {
  const inner = 4 * width
  const map = writer.toMap(writer.linear(tokens, width, inner), inner, side)
  const near = writer.toTokens(writer.conv(map, inner, inner, { kernel: 3, pad: 1, group: inner }), inner, side)
  return writer.linear(writer.gelu(near), inner, width)
}

interface Convolution {
  readonly kernel: number
  readonly stride?: number
  readonly pad?: number
  readonly group?: number
  readonly output?: string
}

class Writer {
  readonly nodes: NodeSpec[] = []
  readonly initializers: Record<string, Tensor> = {}
  #seed: number
  #names = 0

  constructor(seed: number) {
    this.#seed = seed
  }

  node(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    output = this.#name(),
  ): string {
    this.nodes.push({ op, inputs, outputs: [output], attributes })
    return output
  }

  conv(input: string, from: number, to: number, { kernel, stride = 1, pad = 0, group = 1, output }: Convolution) {
    const inner = from / group
    const weight = this.#weight([to, inner, kernel, kernel], inner * kernel * kernel)
    const attributes = {
      kernel_shape: { ints: [kernel, kernel] },
      strides: { ints: [stride, stride] },
      pads: { ints: [pad, pad, pad, pad] },
      group: { int: group },
    }
    return this.node('Conv', [input, weight, this.#weight([to], inner)], attributes, output)
  }

  linear(input: string, from: number, to: number): string {
    return this.node('Add', [this.node('MatMul', [input, this.#weight([from, to], from)]), this.#weight([to], from)])
  }

  norm(input: string, width: number): string {
    const ones = this.#constant(tensor('FP32', [width], new Float32Array(width).fill(1)))
    const zeros = this.#constant(tensor('FP32', [width], new Float32Array(width)))
    return this.node('LayerNormalization', [input, ones, zeros], { axis: { int: -1 }, epsilon: { float: 1e-6 } })
  }

  gelu(input: string): string {
    const half = this.node('Mul', [input, this.scalar(Math.SQRT1_2)])
    const grown = this.node('Add', [this.node('Erf', [half]), this.scalar(1)])
    return this.node('Mul', [this.node('Mul', [input, grown]), this.scalar(0.5)])
  }

  toTokens(map: string, width: number, side: number): string {
    return this.node('Transpose', [this.reshape(map, [1, width, side * side])], { perm: { ints: [0, 2, 1] } })
  }

  toMap(tokens: string, width: number, side: number): string {
    return this.reshape(this.node('Transpose', [tokens], { perm: { ints: [0, 2, 1] } }), [1, width, side, side])
  }

  enlarged(map: string, width: number, side: number): string {
    const sizes = this.#constant(tensor('INT64', [4], BigInt64Array.from([1, width, side, side], BigInt)))
    return this.node('Resize', [map, '', '', sizes], {
      mode: { string: 'linear' },
      coordinate_transformation_mode: { string: 'half_pixel' },
    })
  }

  reshape(input: string, shape: readonly number[]): string {
    return this.node('Reshape', [
      input,
      this.#constant(tensor('INT64', [shape.length], BigInt64Array.from(shape, BigInt))),
    ])
  }

  scalar(value: number): string {
    return this.#constant(tensor('FP32', [], Float32Array.of(value)))
  }

  /** Spread so that a sum over `inner` of them keeps its size. */
  #weight(shape: readonly number[], inner: number): string {
    const count = shape.reduce((product, size) => product * size, 1)
    this.#seed += 1
    const scale = Math.sqrt(3 / inner)
    return this.#constant(
      tensor(
        'FP32',
        shape,
        seededFloats(count, this.#seed).map((value) => value * scale),
      ),
    )
  }

  #constant(value: Tensor): string {
    const name = this.#name()
    this.initializers[name] = value
    return name
  }

  #name(): string {
    this.#names += 1
    return `t${this.#names}`
  }
}
