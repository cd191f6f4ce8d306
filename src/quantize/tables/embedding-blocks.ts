import { halfBits } from '../../core/tensors.ts'
import { DataType, makeTensor } from '../../onnx/data.ts'
import { makeNode } from '../../onnx/make.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import { type BlockOptions, type Blocks, quantizeBlocks } from '../shared/blocks.ts'
import type { FloatWeights } from '../shared/floats.ts'
import type { Lookup } from '../shared/lookups.ts'
import { type Loss, nameOf } from '../shared/weights.ts'

/** Scales can be halves where the table's largest element lies between these: they then neither overflow nor lose. */
const HALVES = [2 ** -7, 60_000] as const

/** Whether a table's rows are long enough for four bits to be fewer than eight with the scales, and fill whole bytes. */
export function fillsBlocks({ columns }: Pick<Lookup, 'columns'>, options: BlockOptions): boolean {
  const { blockSize, symmetric, scales } = options
  const blocks = Math.ceil(columns / blockSize)
  const bytes = columns / 2 + (scales === 'fp16' ? 2 : 4) * blocks + (symmetric ? 0 : Math.ceil(blocks / 2))
  return columns % 2 === 0 && bytes < columns
}

/**
 * A table in four bits, by blocks along its rows: `GatherBlockQuantized`, an operator of ONNX Runtime's own. Its levels
 * are packed into bytes, which needs no 4-bit tensor types and so no newer version of ONNX.
 */
export class BlockTable {
  readonly to: 'int4' | 'uint4'
  readonly opsets = { 'com.microsoft': 1 }
  readonly loss: Loss
  readonly bytes: number
  /** Type of the rows as they come out. */
  readonly rowType: typeof DataType.FLOAT | typeof DataType.FLOAT16
  readonly #name: string
  readonly #columns: number
  readonly #options: BlockOptions
  readonly #blocks: Blocks

  constructor(
    { table, rows, columns }: Pick<Lookup, 'table' | 'rows' | 'columns'>,
    floats: FloatWeights,
    options: BlockOptions,
  ) {
    const half = options.scales === 'fp16' && fitHalves(floats)
    this.rowType = half ? DataType.FLOAT16 : DataType.FLOAT
    this.#name = table.name
    this.#columns = columns
    this.#options = options
    this.#blocks = quantizeBlocks({ floats, count: rows, length: columns, columns: false }, columns / 2, {
      ...options,
      scales: half ? 'fp16' : 'fp32',
    })
    const { levels, scales, zeroPoints } = this.#blocks
    this.to = options.symmetric ? 'int4' : 'uint4'
    this.loss = this.#blocks
    this.bytes = levels.length + (half ? 2 : 4) * scales.length + (zeroPoints?.length ?? 0)
  }

  /** The table, its scales, and its zero points where it has them. */
  initializers(fresh: (base: string) => string): TensorProto[] {
    const { levels, scales, zeroPoints } = this.#blocks
    const rows = levels.length / (this.#columns / 2)
    const add = (part: string, type: DataType, data: Uint8Array | Uint16Array | Float32Array): TensorProto =>
      makeTensor(fresh(`${this.#name}_${part}`), type, [rows, data.length / rows], data)
    const stored = this.rowType === DataType.FLOAT ? scales : halfBits(scales)
    return [
      add('Q4', DataType.UINT8, levels),
      add('scales', this.rowType, stored),
      ...(zeroPoints ? [add('zero_points', DataType.UINT8, zeroPoints)] : []),
    ]
  }

  lookup(node: NodeProto, names: readonly string[], fresh: (base: string) => string): NodeProto[] {
    const output = node.output[0] as string
    const rows = this.rowType === DataType.FLOAT ? output : fresh(`${output}_half`)
    const gather = this.gather(node, names, { indices: node.input[1] as string, rows }, fresh)
    return rows === output ? [gather] : [gather, castNode(node, rows, fresh)]
  }

  /** The node that looks rows up, of `rowType`. */
  gather(
    node: NodeProto,
    [levels = '', scales = '', ...zeroPoints]: readonly string[],
    { indices, rows }: { readonly indices: string; readonly rows: string },
    fresh: (base: string) => string,
  ): NodeProto {
    return makeNode({
      op: 'GatherBlockQuantized',
      domain: 'com.microsoft',
      name: fresh(`${nameOf(node)}_Q4`),
      inputs: [levels, indices, scales, ...zeroPoints],
      outputs: [rows],
      attributes: {
        bits: { int: 4 },
        block_size: { int: this.#options.blockSize },
        gather_axis: { int: 0 },
        quantize_axis: { int: 1 },
      },
    })
  }
}

function fitHalves(floats: FloatWeights): boolean {
  let peak = 0
  for (const { values } of floats.pieces()) {
    for (let index = 0; index < values.length; index++) peak = Math.max(peak, Math.abs(values[index] as number))
  }
  return peak >= HALVES[0] && peak <= HALVES[1]
}

/** What a node gives, made of a value of another type. */
export function castNode(node: NodeProto, value: string, fresh: (base: string) => string): NodeProto {
  return makeNode({
    op: 'Cast',
    name: fresh(`${nameOf(node)}_float`),
    inputs: [value],
    outputs: [node.output[0] as string],
    attributes: { to: { int: DataType.FLOAT } },
  })
}
