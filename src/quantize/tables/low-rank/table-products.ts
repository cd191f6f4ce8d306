import { create } from '@bufbuild/protobuf'
import { type Tensor, tensor } from '../../../core/tensors.ts'
import type { Engine, Session } from '../../../engine/engine.ts'
import { DataType, makeTensor } from '../../../onnx/data.ts'
import { OnnxError } from '../../../onnx/errors.ts'
import { makeFloatValue, makeNode } from '../../../onnx/make.ts'
import {
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  OperatorSetIdProtoSchema,
  type TensorProto,
} from '../../../onnx/schema/onnx_pb.js'
import type { FloatWeights } from '../../shared/floats.ts'
import { loadGraph } from '../../shared/run-graph.ts'

/** A table's floats, and what computes with them. */
export interface TableProducts {
  readonly floats: FloatWeights
  readonly columns: number
  readonly engine: Engine
  readonly signal: AbortSignal
  /** Told how many rows are done. */
  readonly progress?: (rows: number) => void
}

/** Rows that are multiplied at once: sums of single precision stay short, and a block of 1,024 columns takes 16 MiB. */
const ROWS = 4096
const IR_VERSION = 8n
const OPSET = 13n

/**
 * What each two columns of a table have in common: `tableᵀ table`, [columns, columns]. Blocks are summed in double
 * precision.
 */
export async function columnProducts(products: TableProducts): Promise<Float64Array> {
  const { columns } = products
  const sums = new Float64Array(columns * columns)
  const nodes = [
    makeNode({
      op: 'Transpose',
      inputs: ['x'],
      outputs: ['turned'],
      name: 'turn',
      attributes: { perm: { ints: [1, 0] } },
    }),
    makeNode({ op: 'MatMul', inputs: ['turned', 'x'], outputs: ['y'], name: 'multiply' }),
  ]
  const scale = scaleOf(products.floats)
  const model = graph(nodes, [], [columns, columns], columns)
  const add = (block: Float32Array): void => {
    for (let index = 0; index < sums.length; index++) sums[index] = (sums[index] as number) + (block[index] as number)
  }
  await overBlocks(products, model, add, scale)
  return sums.map((sum) => sum / scale / scale)
}

/** A power of two that brings the largest element near 1: squares in single precision would be 0 or infinite of others. */
function scaleOf(floats: FloatWeights): number {
  let most = 0
  for (const { values } of floats.pieces()) for (const value of values) most = Math.max(most, Math.abs(value))
  return most === 0 ? 1 : 2 ** -Math.floor(Math.log2(most))
}

/** A table's rows along other axes: `table axes`, [rows, rank]. @param axes [columns, rank] */
export async function rowsAlong(products: TableProducts, axes: Float32Array, rank: number): Promise<Float32Array> {
  const { columns, floats } = products
  const rows = new Float32Array((floats.length / columns) * rank)
  const nodes = [makeNode({ op: 'MatMul', inputs: ['x', 'axes'], outputs: ['y'], name: 'multiply' })]
  const initializers = [makeTensor('axes', DataType.FLOAT, [columns, rank], axes)]
  let at = 0
  await overBlocks(products, graph(nodes, initializers, ['n', rank], columns), (block) => {
    rows.set(block, at)
    at += block.length
  })
  return rows
}

async function overBlocks(
  { floats, columns, engine, signal, progress }: TableProducts,
  model: ModelProto,
  use: (result: Float32Array) => void,
  scale = 1,
): Promise<void> {
  const session = await loadGraph(engine, model, signal)
  try {
    for (let start = 0; start < floats.length; start += ROWS * columns) {
      signal.throwIfAborted()
      const values = floats.read(start, Math.min(ROWS * columns, floats.length - start)).map((value) => value * scale)
      use(await resultOf(session, tensor('FP32', [values.length / columns, columns], values), signal))
      progress?.((start + values.length) / columns)
    }
  } finally {
    session.dispose()
  }
}

async function resultOf(session: Session, x: Tensor, signal: AbortSignal): Promise<Float32Array> {
  const y = (await session.run(new Map([['x', x]]), { signal })).get('y')
  if (y?.datatype !== 'FP32') throw new OnnxError('invalid_graph', 'The engine gave no product of a table.')
  return y.data
}

function graph(
  nodes: readonly NodeProto[],
  initializers: readonly TensorProto[],
  shape: readonly (number | string)[],
  columns: number,
): ModelProto {
  return create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    opsetImport: [create(OperatorSetIdProtoSchema, { domain: '', version: OPSET })],
    graph: create(GraphProtoSchema, {
      name: 'table',
      node: [...nodes],
      initializer: [...initializers],
      input: [makeFloatValue('x', ['n', columns])],
      output: [makeFloatValue('y', shape)],
    }),
  })
}
