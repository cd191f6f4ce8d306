import type { GraphView } from '../../onnx/graph.ts'
import type { ValueType } from '../../onnx/infer/types.ts'
import { intOf, intsOf } from '../../onnx/make.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { bothWays, integersAt, isOp, scalarOf } from '../pattern.ts'
import { type Rotation, rotationOf } from './rotation.ts'

/** What is known of a value of the model's own graph, by its name. */
export type TypeOf = (value: string) => ValueType

/** Queries, keys or values as they are before they are split into heads. */
export interface Heads {
  /** [batch, sequence, channels]. */
  readonly source: string
  /** Where their channels begin in the source's, in channels. */
  readonly offset: number
  readonly count: number
  readonly size: number
  readonly scale: number
  /** Each head's channels are turned by its position. */
  readonly rotation: Rotation | undefined
}

/** Steps between a layer's product and the attention's: views, transpositions, a scale, a rotation. */
const MOST_STEPS = 8
const SPLIT = [0, 2, 1, 3]
/** The axis of queries, keys and values where they are packed. */
const PARTS = 2

/** A value [batch, sequence, heads * size] that is reshaped to heads and transposed as wanted, scaled on the way. */
export function headsOf(
  view: GraphView,
  types: TypeOf,
  start: string | undefined,
  wanted: readonly number[],
): Heads | undefined {
  let perm: readonly number[] = [0, 1, 2, 3]
  let scale = 1
  let rotation: Rotation | undefined
  let value = start ?? ''
  const turn = (by: readonly number[]): void => {
    perm = perm.map((axis) => by[axis] ?? -1)
  }
  for (let steps = 0; steps < MOST_STEPS; steps++) {
    const node = view.producer(value)
    const turned = isOp(node, 'Reshape') ? turnedInThree(view, types, node) : undefined
    const found = rotation === undefined ? rotationOf(view, types, node) : undefined
    const scaled = isOp(node, 'Div', 'Mul') ? scaledInput(view, node) : undefined
    if (isOp(node, 'Transpose')) {
      const own = intsOf(node, 'perm')
      if (own?.length !== 4) return undefined
      turn(own)
      value = node.input[0] ?? ''
    } else if (turned !== undefined) {
      turn([0, 1, 3, 2])
      value = turned
    } else if (scaled !== undefined) {
      scale *= scaled.by
      value = scaled.input
    } else if (found !== undefined) {
      // A rotation is of [batch, heads, sequence, size]: what comes after it turns these axes into those wanted.
      const after = wanted.map((axis) => SPLIT.indexOf(axis))
      if (perm.some((axis, place) => axis !== after[place])) return undefined
      rotation = found
      value = found.input
    } else {
      const split = splitOf(view, types, value)
      if (split?.isTurned) turn(SPLIT)
      if (split === undefined || perm.some((axis, place) => axis !== wanted[place])) return undefined
      return { ...split, scale, rotation }
    }
  }
  return undefined
}

interface Split extends Pick<Heads, 'source' | 'offset' | 'count' | 'size'> {
  /** [batch, heads, sequence, size], and not [batch, sequence, heads, size]. */
  readonly isTurned: boolean
}

/** Where a value is a view of channels as heads: of all, or of a third of them. */
function splitOf(view: GraphView, types: TypeOf, value: string): Split | undefined {
  const node = view.producer(value)
  if (isOp(node, 'Reshape')) {
    const source = node.input[0] ?? ''
    const [shape, flat] = [types(value).shape, types(source).shape]
    const [count, size] = shape?.slice(2) ?? []
    if (shape?.length !== 4 || flat?.length !== 3 || typeof count !== 'number' || typeof size !== 'number')
      return undefined
    if (flat[2] !== count * size) return undefined
    return { ...partOf(view, types, source, count * size), count, size, isTurned: false }
  }
  // [batch, sequence, 3, heads, size], its axes in whatever order, of which one part is taken.
  const part = takenPart(view, node)
  const turned = view.producer(part?.source ?? '')
  const perm = isOp(turned, 'Transpose') ? intsOf(turned, 'perm') : [0, 1, 2, 3, 4]
  const packed = isOp(turned, 'Transpose') ? view.producer(turned.input[0] ?? '') : turned
  if (part === undefined || perm?.[part.axis] !== PARTS || !isOp(packed, 'Reshape')) return undefined
  const [shape, flat] = [types(packed.output[0] ?? '').shape, types(packed.input[0] ?? '').shape]
  const [parts, count, size] = shape?.slice(2) ?? []
  if (shape?.length !== 5 || flat?.length !== 3 || parts !== 3) return undefined
  if (typeof count !== 'number' || typeof size !== 'number' || flat[2] !== 3 * count * size) return undefined
  const left = perm.filter((axis) => axis !== PARTS).map((axis) => (axis > PARTS ? axis - 1 : axis))
  const isTurned = left.join() === SPLIT.join()
  if (!isTurned && left.join() !== '0,1,2,3') return undefined
  return { source: packed.input[0] ?? '', offset: part.index * count * size, count, size, isTurned }
}

/** The tensor that channels are cut from, where they are. */
function partOf(
  view: GraphView,
  types: TypeOf,
  value: string,
  width: number,
): { readonly source: string; readonly offset: number } {
  const node = view.producer(value)
  const source = node?.input[0] ?? ''
  const whole = types(source).shape
  const isLast = (axis: number | undefined): boolean => axis === -1 || axis === 2
  if (whole?.length === 3 && whole[2] === 3 * width) {
    if (isOp(node, 'Split') && isLast(intOf(node, 'axis', 0))) {
      const parts = integersAt(view, node.input[1]) ?? intsOf(node, 'split') ?? []
      if (node.output.length === 3 && parts.every((part) => part === width))
        return { source, offset: node.output.indexOf(value) * width }
    }
    const cut = isOp(node, 'Slice') ? cutOf(view, node) : undefined
    if (cut !== undefined && isLast(cut.axis)) return { source, offset: fromEnd(cut.start, 3 * width) }
  }
  return { source: value, offset: 0 }
}

/** One part along an axis of three, without that axis. */
function takenPart(
  view: GraphView,
  node: NodeProto | undefined,
): { readonly source: string; readonly axis: number; readonly index: number } | undefined {
  if (isOp(node, 'Gather')) {
    const index = scalarOf(view, node.input[1])
    if (index === undefined) return undefined
    return { source: node.input[0] ?? '', axis: intOf(node, 'axis', 0), index: fromEnd(index, 3) }
  }
  if (!isOp(node, 'Squeeze')) return undefined
  const axes = intsOf(node, 'axes') ?? integersAt(view, node.input[1])
  const cut = view.producer(node.input[0] ?? '')
  const axis = fromFront(axes?.[0] ?? Number.NaN)
  if (axes?.length !== 1 || cut === undefined) return undefined
  const source = cut.input[0] ?? ''
  if (isOp(cut, 'Split') && fromFront(intOf(cut, 'axis', 0)) === axis && cut.output.length === 3)
    return { source, axis, index: cut.output.indexOf(node.input[0] ?? '') }
  const slice = isOp(cut, 'Slice') ? cutOf(view, cut) : undefined
  return slice !== undefined && fromFront(slice.axis) === axis
    ? { source, axis, index: fromEnd(slice.start, 3) }
    : undefined
}

/** Of five axes. */
function fromFront(axis: number): number {
  return fromEnd(axis, 5)
}

/** A place among so many, which may count from the end. */
function fromEnd(place: number, count: number): number {
  return place < 0 ? place + count : place
}

/** A cut along one axis from a constant place on. */
function cutOf(
  view: GraphView,
  node: NodeProto,
): { readonly axis: number; readonly start: number; readonly end: number } | undefined {
  const [starts, ends, axes, steps] = [1, 2, 3, 4].map((index) => integersAt(view, node.input[index]))
  const [start, end, axis] = [starts?.[0], ends?.[0], axes?.[0]]
  if (start === undefined || end === undefined || axis === undefined || axes?.length !== 1) return undefined
  return steps === undefined || steps[0] === 1 ? { axis, start, end } : undefined
}

/** A product with one number, or a quotient by it. */
export function scaledInput(
  view: GraphView,
  node: NodeProto,
): { readonly input: string; readonly by: number } | undefined {
  if (isOp(node, 'Div')) {
    const by = scalarOf(view, node.input[1])
    return by === undefined || by === 0 ? undefined : { input: node.input[0] ?? '', by: 1 / by }
  }
  for (const [input, factor] of bothWays(node)) {
    const by = scalarOf(view, factor)
    if (by !== undefined) return { input, by }
  }
  return undefined
}

/**
 * What a reshape ends that swaps the last two of four axes by way of three, as PyTorch's newer exporter does it with
 * keys: [b, h, s, d] to [b * h, s, d], transposed, to [b, h, d, s].
 */
function turnedInThree(view: GraphView, types: TypeOf, node: NodeProto): string | undefined {
  const transpose = view.producer(node.input[0] ?? '')
  if (!isOp(transpose, 'Transpose') || intsOf(transpose, 'perm')?.join() !== '0,2,1') return undefined
  const flatten = view.producer(transpose.input[0] ?? '')
  if (!isOp(flatten, 'Reshape')) return undefined
  const source = flatten.input[0] ?? ''
  const [from, to, flat] = [source, node.output[0] ?? '', flatten.output[0] ?? ''].map((name) => types(name).shape)
  if (from?.length !== 4 || to?.length !== 4 || flat?.length !== 3 || from.includes(null)) return undefined
  const kept = flat[1] === from[2] && flat[2] === from[3]
  const swapped = [0, 1, 3, 2].every((axis, place) => from[axis] === to[place])
  return kept && swapped ? source : undefined
}
