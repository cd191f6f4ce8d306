import { DataType, makeTensor } from '../../onnx/data.ts'
import { makeNode } from '../../onnx/make.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import type { FloatWeights } from '../shared/floats.ts'
import type { Lookup } from '../shared/lookups.ts'
import { type Int8Matrix, quantizeMatrix } from '../shared/scales.ts'
import { type Loss, nameOf } from '../shared/weights.ts'

/** Rows shorter than this share scales by column: one each would take more than an eighth of the row. */
const LEAST_ROW = 32

const OPTIONS = { weightType: 'int8', symmetric: true, reduceRange: false } as const

/** Bytes of a table in int8, with its scales. */
export function bytesInEight(rows: number, columns: number): number {
  return rows * columns + 4 * (columns >= LEAST_ROW ? rows : columns)
}

/** A table in int8 with a scale for each row, or for each column where rows are short. In ONNX's own operators. */
export class Int8Table {
  readonly to = 'int8'
  readonly opsets = {}
  readonly loss: Loss
  readonly bytes: number
  readonly #table: TensorProto
  readonly #matrix: Int8Matrix
  readonly #byRow: boolean

  constructor({ rows, columns, table }: Lookup, floats: FloatWeights) {
    this.#table = table
    this.#byRow = columns >= LEAST_ROW
    this.#matrix = quantizeMatrix(floats, [rows, columns], this.#byRow ? 'row' : 'column', OPTIONS)
    this.loss = this.#matrix
    this.bytes = bytesInEight(rows, columns)
  }

  /** The table and its scales. */
  initializers(fresh: (base: string) => string): TensorProto[] {
    const { dims, name } = this.#table
    const { data, scales } = this.#matrix
    const shape = dims.map(Number)
    const scaleShape = this.#byRow ? [scales.length, 1] : shape.slice(1)
    return [
      makeTensor(fresh(`${name}_quantized`), DataType.INT8, shape, data),
      makeTensor(fresh(`${name}_scale`), DataType.FLOAT, scaleShape, scales),
    ]
  }

  lookup(node: NodeProto, [data = '', scale = '']: readonly string[], fresh: (base: string) => string): NodeProto[] {
    const output = node.output[0] as string
    const indices = node.input[1] as string
    const nodes: NodeProto[] = []
    const add = (op: string, part: string, inputs: readonly string[], result: string, to?: DataType): string => {
      const attributes = to === undefined ? {} : { to: { int: to } }
      nodes.push(makeNode({ op, inputs, outputs: [result], name: fresh(`${nameOf(node)}_${part}`), attributes }))
      return result
    }
    const rows = add('Gather', 'rows', [data, indices], fresh(`${output}_rows`))
    const floats = add('Cast', 'float', [rows], fresh(`${output}_float`), DataType.FLOAT)
    const scales = this.#byRow ? add('Gather', 'scales', [scale, indices], fresh(`${output}_scale`)) : scale
    add('Mul', 'scaled', [floats, scales], output)
    return nodes
  }
}
