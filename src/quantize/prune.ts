import { DataType, dimsOf, makeTensor, rawBytesOf } from '../onnx/data.ts'
import { OnnxError, safeName } from '../onnx/errors.ts'
import type { GraphView } from '../onnx/graph.ts'
import type { Pass, Patch } from '../onnx/pass.ts'
import type { NodeProto, TensorProto } from '../onnx/schema/onnx_pb.js'
import { FloatWeights } from './shared/floats.ts'
import { decibels } from './shared/metrics.ts'
import type { QuantizePassOptions } from './types.ts'

export interface PruneOptions extends QuantizePassOptions {
  /** Share of each weight's elements that become zero, from 0 to 1. */
  readonly sparsity: number
}

/** Inputs of operators that are weights and not statistics, shapes or biases. */
const WEIGHTS: Readonly<Record<string, readonly number[]>> = {
  Conv: [1],
  ConvTranspose: [1],
  Gemm: [0, 1],
  MatMul: [0, 1],
  LSTM: [1, 2],
  GRU: [1, 2],
  RNN: [1, 2],
  Gather: [0],
}

/**
 * Sets the smallest elements of each weight to zero, by magnitude (S. Han et al., "Learning both Weights and Connections
 * for Efficient Neural Networks", 2015, without its retraining). Nothing gets smaller or faster by it until the file is
 * compressed: zeros compress.
 * @throws OnnxError bad_options, bad_weights
 */
export function prune({ sparsity, select, record, skip }: PruneOptions): Pass {
  if (!(sparsity >= 0 && sparsity < 1)) {
    throw new OnnxError('bad_options', `The pruned share must be from 0 to less than 1, not ${sparsity}.`)
  }
  return {
    name: 'prune',
    *propose(view) {
      const seen = new Set<string>()
      for (const node of view.graph.node) {
        if (node.domain !== '' || select?.(node, view) === false) continue
        for (const index of WEIGHTS[node.opType] ?? []) {
          const weight = node.input[index] ?? ''
          const tensor = view.constant(weight)
          if (tensor === undefined || seen.has(weight)) continue
          seen.add(weight)
          // Lists are biases, statistics and scales.
          if (tensor.dataType !== DataType.FLOAT || tensor.dims.length < 2) continue
          const reason = refusal(view, weight, select)
          if (reason !== undefined) {
            skip?.({ node: node.name, op: node.opType, reason })
            continue
          }
          const { zeroed, patch, elements, decibels: sqnrDb } = pruned(node, tensor, sparsity)
          if (zeroed === 0) continue
          record?.({
            node: node.name,
            op: node.opType,
            weight,
            to: `fp32, ${Math.round((zeroed / elements) * 100)} % zeros`,
            elements,
            bytesBefore: elements * 4,
            bytesAfter: elements * 4,
            sqnrDb,
          })
          yield patch
        }
      }
    },
  }
}

/** Why a weight is left as it is, although its node is selected. */
function refusal(view: GraphView, weight: string, select: QuantizePassOptions['select']): string | undefined {
  // A graph changes its own constants only.
  if (!view.ownsConstant(weight)) return 'its weight belongs to the graph around it'
  const other = view.uses(weight).find(({ node }) => select?.(node, view) === false)
  return other && `its weight is read by "${safeName(other.node.name)}" as well, which is excluded`
}

interface Pruned {
  readonly patch: Patch
  readonly zeroed: number
  readonly elements: number
  readonly decibels: number | null
}

function pruned(node: NodeProto, tensor: TensorProto, sparsity: number): Pruned {
  const floats = new FloatWeights(rawBytesOf(tensor))
  const values = new Float32Array(floats.length)
  for (const { start, values: piece } of floats.pieces()) values.set(piece, start)
  const bits = new Uint32Array(values.buffer)
  if (bits.some((word) => (word & MAGNITUDE) > INFINITY_BITS)) {
    throw new OnnxError(
      'bad_weights',
      `"${safeName(tensor.name)}" holds elements that are not numbers. Export the model again.`,
      { node: node.name },
    )
  }
  const wanted = Math.floor(values.length * sparsity)
  const { threshold, below } = rank(bits, wanted)
  // Of those as large as the threshold only as many go as are missing: of equal weights, all would.
  let atThreshold = wanted - below
  let [zeroed, signal, noise] = [0, 0, 0]
  for (let index = 0; index < values.length; index++) {
    const magnitude = (bits[index] as number) & MAGNITUDE
    const power = (values[index] as number) ** 2
    signal += power
    if (magnitude > threshold || (magnitude === threshold && atThreshold-- <= 0)) continue
    if (magnitude > 0) zeroed++
    noise += power
    values[index] = 0
  }
  return {
    patch: {
      what: `prune ${tensor.name}`,
      initializers: [makeTensor(tensor.name, DataType.FLOAT, dimsOf(tensor), values)],
    },
    zeroed,
    elements: values.length,
    decibels: noise === 0 ? null : decibels(signal, noise),
  }
}

/** A float's bits without its sign grow with its magnitude. */
const MAGNITUDE = 0x7fffffff
const INFINITY_BITS = 0x7f800000

/**
 * The magnitude of the element that comes at this place when all are in order, and how many are smaller. Counts the
 * upper halves of the words, then the lower ones of those at the place: exact, and without sorting millions.
 */
function rank(bits: Uint32Array, place: number): { readonly threshold: number; readonly below: number } {
  if (place === 0) return { threshold: -1, below: 0 }
  const upper = new Uint32Array(1 << 16)
  for (const word of bits) upper[(word & MAGNITUDE) >>> 16] = (upper[(word & MAGNITUDE) >>> 16] as number) + 1
  const high = reach(upper, place, 0)
  const lower = new Uint32Array(1 << 16)
  for (const word of bits) {
    if ((word & MAGNITUDE) >>> 16 === high.at) lower[word & 0xffff] = (lower[word & 0xffff] as number) + 1
  }
  const low = reach(lower, place, high.below)
  return { threshold: high.at * 65_536 + low.at, below: low.below }
}

/** The first count with which the sum reaches `place`, and the sum before it. */
function reach(counts: Uint32Array, place: number, start: number): { readonly at: number; readonly below: number } {
  let below = start
  for (const [at, count] of counts.entries()) {
    if (below + count >= place) return { at, below }
    below += count
  }
  return { at: counts.length - 1, below }
}
