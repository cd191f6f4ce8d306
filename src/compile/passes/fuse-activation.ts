import type { GraphView } from '../../onnx/graph.ts'
import { floatOf, intOf, makeAttribute, stringOf } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { AttributeProto, NodeProto } from '../../onnx/schema/onnx_pb.js'
import { isFused, isOp, scalarOf, soleReader, Taken } from '../pattern.ts'

/** An activation that alone reads a product or a convolution becomes a part of it: attributes `activation`, `min`, `max`, and
 * `step` and `zero` of the grid that its result is rounded to. */
export const fuseActivation: Pass = {
  name: 'fuse-activation',
  repeat: true,
  *propose(view) {
    const taken = new Taken()
    for (const node of view.graph.node) {
      if (!isFused(node, 'Linear') && !isOp(node, 'Conv')) continue
      const reader = soleReader(view, node.output[0])
      const activation = reader && activationOf(view, reader)
      if (reader === undefined || activation === undefined) continue
      const merged = mergedActivation(node, activation)
      if (merged === undefined || !taken.take(node, reader)) continue
      yield {
        what: `fuse ${reader.name} into ${node.name}`,
        remove: [node, reader],
        add: [{ ...node, output: [...reader.output], attribute: [...without(node), ...merged] }],
      }
    }
  },
}

interface Activation {
  readonly kind: string
  /** The grid that follows, as `Grid` has it. */
  readonly grid?: readonly AttributeProto[]
  readonly min?: number
  readonly max?: number
}

const INFINITY = 3.4028234663852886e38

function activationOf(view: GraphView, node: NodeProto): Activation | undefined {
  if (isFused(node, 'Gelu') || isOp(node, 'Gelu')) {
    const kind = geluKind(node)
    return kind === 'quick-gelu' ? undefined : { kind }
  }
  if (isFused(node, 'Grid')) {
    const grid = node.attribute.filter(({ name }) => name === 'step' || name === 'zero')
    return { kind: 'clip', min: floatOf(node, 'min', 0), max: floatOf(node, 'max', 0), grid }
  }
  if (isOp(node, 'Relu')) return { kind: 'clip', min: 0, max: INFINITY }
  if (isOp(node, 'Tanh')) return { kind: 'tanh' }
  if (isOp(node, 'Sigmoid')) return { kind: 'sigmoid' }
  if (isOp(node, 'HardSwish')) return { kind: 'hard-swish' }
  const ends = clipOf(view, node)
  return ends && { kind: 'clip', ...ends }
}

/** The ends of a Clip whose ends are constants. */
export function clipOf(view: GraphView, node: NodeProto): { readonly min: number; readonly max: number } | undefined {
  if (!isOp(node, 'Clip')) return undefined
  const [, least = '', most = ''] = node.input
  const old = node.attribute.some(({ name }) => name === 'min' || name === 'max')
  const min = least === '' ? floatOf(node, 'min', -INFINITY) : scalarOf(view, least)
  const max = most === '' ? floatOf(node, 'max', INFINITY) : scalarOf(view, most)
  if (min === undefined || max === undefined || (old && (least !== '' || most !== ''))) return undefined
  return { min, max }
}

/** What a GELU, or the compiler's own node for curves like it, is called in a plan. */
export function geluKind(node: NodeProto): string {
  const names = new Map([
    ['tanh', 'gelu-tanh'],
    ['quick', 'quick-gelu'],
    ['silu', 'silu'],
  ])
  return names.get(stringOf(node, 'approximate', 'none')) ?? 'gelu'
}

const NAMES = ['activation', 'min', 'max', 'step', 'zero']

function without(node: NodeProto): AttributeProto[] {
  return node.attribute.filter(({ name }) => !NAMES.includes(name))
}

/** One range after another is one range; nothing else follows an activation. */
function mergedActivation(node: NodeProto, { grid = [], kind, min, max }: Activation): AttributeProto[] | undefined {
  // What is rounded already would have to be rounded again.
  if (floatOf(node, 'step', 0) !== 0) return undefined
  const own = stringOf(node, 'activation', 'none')
  if (kind !== 'clip') return own === 'none' ? [makeAttribute('activation', { string: kind })] : undefined
  if (own !== 'none' && own !== 'clip') return undefined
  const low = own === 'clip' ? floatOf(node, 'min', 0) : -INFINITY
  const high = own === 'clip' ? floatOf(node, 'max', 0) : INFINITY
  const clamp = (value: number): number => Math.min(max ?? INFINITY, Math.max(min ?? -INFINITY, value))
  return [
    makeAttribute('activation', { string: 'clip' }),
    makeAttribute('min', { float: clamp(low) }),
    makeAttribute('max', { float: clamp(high) }),
    ...grid,
  ]
}

/** What a fused node does with its result: `clip` with its ends for a Relu or a range. */
export function fusedActivation(node: NodeProto): {
  readonly activation: string
  readonly min?: number
  readonly max?: number
  readonly step?: number
} {
  const activation = stringOf(node, 'activation', 'none')
  if (activation !== 'clip') return { activation }
  const step = floatOf(node, 'step', 0)
  return { activation, min: floatOf(node, 'min', 0), max: floatOf(node, 'max', 0), ...(step !== 0 && { step }) }
}

/** The grid that the result of a node lies on, where it is rounded to one. */
export function gridOf(node: NodeProto): { readonly grid?: { readonly step: number; readonly zero: number } } {
  const step = floatOf(node, 'step', 0)
  return step === 0 ? {} : { grid: { step, zero: intOf(node, 'zero', 0) } }
}

/** Whether a product's weight is stored as rows. */
export function isTransposed(node: NodeProto): boolean {
  return intOf(node, 'transposed', 0) !== 0
}
