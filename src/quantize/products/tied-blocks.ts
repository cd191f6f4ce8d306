import { DataType, makeTensor } from '../../onnx/data.ts'
import { makeNode } from '../../onnx/make.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import type { Blocks } from '../shared/blocks.ts'
import { type Loss, nameOf } from '../shared/weights.ts'
import type { TiedLookup, TiedTable } from './ties.ts'

export interface TiedBlocksOptions {
  /** Name of the levels, [rows, blocks of a row, bytes of a block], without zero points. */
  readonly levels: string
  /** Columns of the table: whole blocks. */
  readonly columns: number
  readonly blockSize: number
  readonly bytes: number
}

/**
 * A product's weight in four bits, `MatMulNBits`, as a table for `GatherBlockQuantized`. Both hold a row of the table in
 * the same bytes; the scales have another shape there, and so are in the file twice.
 */
export class TiedBlocks implements TiedTable {
  readonly to = 'int4'
  readonly loss: Loss
  readonly bytes: number
  readonly opsets = { 'com.microsoft': 1 }
  readonly #options: TiedBlocksOptions
  readonly #scales: Float32Array<ArrayBuffer>
  /** Once they are in the file. */
  #scaleName: string | undefined

  constructor({ scales, ...loss }: Loss & Pick<Blocks, 'scales'>, options: TiedBlocksOptions) {
    this.loss = loss
    this.bytes = options.bytes
    this.#options = options
    this.#scales = scales
  }

  lookup(node: NodeProto, rank: number, fresh: (base: string) => string): TiedLookup {
    const { levels, columns, blockSize } = this.#options
    const output = node.output[0] as string
    const blocks = columns / blockSize
    const scales = this.#scaleName ?? fresh(`${levels}_scales`)
    const dims = [this.#scales.length / blocks, blocks, 1]
    const added = this.#scaleName === undefined ? [makeTensor(scales, DataType.FLOAT, dims, this.#scales)] : []
    this.#scaleName = scales
    // A 0 keeps the indices' dimension.
    const shape = BigInt64Array.from([...new Array<number>(rank).fill(0), columns], BigInt)
    const shapeName = fresh(`${output}_shape`)
    const rows = fresh(`${output}_blocks`)
    return {
      initializers: [...added, makeTensor(shapeName, DataType.INT64, [shape.length], shape)],
      nodes: [
        makeNode({
          op: 'GatherBlockQuantized',
          domain: 'com.microsoft',
          name: fresh(`${nameOf(node)}_Q4`),
          inputs: [levels, node.input[1] as string, scales],
          outputs: [rows],
          attributes: {
            bits: { int: 4 },
            block_size: { int: blockSize },
            gather_axis: { int: 0 },
            quantize_axis: { int: 2 },
          },
        }),
        makeNode({
          op: 'Reshape',
          name: fresh(`${nameOf(node)}_rows`),
          inputs: [rows, shapeName],
          outputs: [output],
        }),
      ],
    }
  }
}
