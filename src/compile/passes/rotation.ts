import type { GraphView } from '../../onnx/graph.ts'
import type { ValueType } from '../../onnx/infer/types.ts'
import { intOf } from '../../onnx/make.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { bothWays, integersAt, isOp } from '../pattern.ts'

/** Rotary positions: pairs of channels, half a head apart, turned by an angle. Su et al., https://arxiv.org/abs/2104.09864. */
export interface Rotation {
  /** [batch, heads, sequence, size]. */
  readonly input: string
  /** Of all channels or of half of them; without the heads, or with one. */
  readonly cos: string
  readonly sin: string
}

/** x * cos + turned(x) * sin, with turned(x) = [-x2, x1] of the halves of x; or the operator that does it. */
export function rotationOf(
  view: GraphView,
  types: (value: string) => ValueType,
  node: NodeProto | undefined,
): Rotation | undefined {
  if (isOp(node, 'RotaryEmbedding')) {
    const [input = '', cos = '', sin = '', places = ''] = node.input
    const plain = intOf(node, 'interleaved', 0) === 0 && intOf(node, 'rotary_embedding_dim', 0) === 0
    return plain && places === '' && types(input).shape?.length === 4 ? { input, cos, sin } : undefined
  }
  if (!isOp(node, 'Add')) return undefined
  for (const [left, right] of bothWays(node)) {
    const [straight, crossed] = [view.producer(left), view.producer(right)]
    if (!isOp(straight, 'Mul') || !isOp(crossed, 'Mul')) continue
    for (const [input, cos] of bothWays(straight)) {
      const size = types(input).shape?.[3]
      if (types(input).shape?.length !== 4 || typeof size !== 'number') continue
      for (const [turned, sin] of bothWays(crossed)) {
        if (isTurned(view, turned, input, size)) return { input, cos, sin }
      }
    }
  }
  return undefined
}

function isTurned(view: GraphView, value: string, input: string, size: number): boolean {
  const concat = view.producer(value)
  if (!isOp(concat, 'Concat') || concat.input.length !== 2 || ![-1, 3].includes(intOf(concat, 'axis', 0))) return false
  const negated = view.producer(concat.input[0] ?? '')
  if (!isOp(negated, 'Neg') || size % 2 !== 0) return false
  return (
    isHalf(view, negated.input[0], { input, from: size / 2, to: size }) &&
    isHalf(view, concat.input[1], { input, from: 0, to: size / 2 })
  )
}

/** Whether a value is some of the last axis of another. */
function isHalf(
  view: GraphView,
  value: string | undefined,
  { input, from, to }: { readonly input: string; readonly from: number; readonly to: number },
): boolean {
  const node = view.producer(value ?? '')
  if (node?.input[0] !== input) return false
  if (isOp(node, 'Split')) {
    const parts = integersAt(view, node.input[1])
    const isEven = parts === undefined || parts.every((part) => part === to - from)
    return node.output.length === 2 && isEven && node.output[from === 0 ? 0 : 1] === value
  }
  if (!isOp(node, 'Slice')) return false
  const [starts, ends, axes, steps] = [1, 2, 3, 4].map((index) => integersAt(view, node.input[index])?.[0])
  if ((axes !== -1 && axes !== 3) || (steps !== undefined && steps !== 1)) return false
  const isBehind = from > 0
  return (
    (starts === from || (isBehind && starts === from - to)) &&
    (ends === to || (isBehind && ends !== undefined && ends > to))
  )
}
