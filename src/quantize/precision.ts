import { countOf, DataType } from '../onnx/data.ts'
import { type GraphView, graphsOf } from '../onnx/graph.ts'
import { intOf } from '../onnx/make.ts'
import type { ModelProto, NodeProto } from '../onnx/schema/onnx_pb.js'
import { quantizedOps } from './quantized-ops.ts'
import { LEAST_ELEMENTS } from './shared/weights.ts'
import type { Dtype } from './types.ts'

const FOUR_BITS: ReadonlySet<number> = new Set([DataType.INT4, DataType.UINT4, DataType.INT2, DataType.UINT2])

/** Operators of ONNX Runtime whose weights are blocks of a few bits: 4 where `bits` says nothing else. */
const BLOCKS: ReadonlySet<string> = new Set(['MatMulNBits', 'GatherBlockQuantized', 'QMoE'])

/**
 * The precision that a model really has, by its graph, and not by what it is called: `q4` with one layer in 4 bits or
 * fewer, else `q8` with one in 8, else `fp16` where anything is
 * in half floats, else `fp32`.
 */
export function precisionOf(model: ModelProto): Extract<Dtype, 'fp32' | 'fp16' | 'q8' | 'q4'> {
  const views = graphsOf(model)
  if (views.some((view) => view.graph.node.some((node) => isFourBits(node, view)))) return 'q4'
  if (quantizedOps(model).length > 0 || views.some(storesBytes)) return 'q8'
  return views.some(hasHalves) ? 'fp16' : 'fp32'
}

/** Whether any weight is stored, or any value computed, in half floats. */
function hasHalves({ graph }: GraphView): boolean {
  // A scalar is a constant of the graph, and no weight.
  const weights = graph.initializer.some(({ dataType, dims }) => isHalf(dataType) && dims.some((size) => size > 1n))
  return weights || graph.node.some((node) => node.opType === 'Cast' && isHalf(intOf(node, 'to', 0)))
}

function isHalf(dataType: number): boolean {
  return dataType === DataType.FLOAT16 || dataType === DataType.BFLOAT16
}

/** Whether weights are stored in 8 bits for operators of floats: a table's rows are looked up first, and scaled then. */
function storesBytes({ graph }: GraphView): boolean {
  return graph.initializer.some(
    (tensor) =>
      (tensor.dataType === DataType.INT8 || tensor.dataType === DataType.UINT8) && countOf(tensor) >= LEAST_ELEMENTS,
  )
}

function isFourBits(node: NodeProto, view: GraphView): boolean {
  if (node.opType === 'MatMulBnb4' || node.opType === 'MatMulFpQ4') return true
  if (BLOCKS.has(node.opType)) return intOf(node, 'bits', 4) <= 4
  if (node.opType !== 'DequantizeLinear') return false
  const stored = node.input[0] === undefined ? undefined : view.constant(node.input[0])
  return stored !== undefined && FOUR_BITS.has(stored.dataType)
}

/** Names of one precision: 8 bits are called by how they are signed, too, and 4 bits by what is beside them. */
const SAME: Readonly<Record<string, string>> = { int8: 'q8', uint8: 'q8', q4f16: 'q4', bnb4: 'q4' }

/** What a model that is called `named` is held to: its name where that says what it is, else what it is. */
export function heldTo(named: string, real: ReturnType<typeof precisionOf>): string {
  return (Object.hasOwn(SAME, named) ? SAME[named] : named) === real ? named : real
}
