import type { Attribute } from '../../engine/verge/plan.ts'
import { attributeOf, intOf, intsOf, stringOf } from '../../onnx/make.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { numberOf, ONE, over, plus, type Size, size } from '../size.ts'
import type { Builder } from './builder.ts'
import type { RuleContext, Rules } from './rule.ts'
import type { Lowered } from './values.ts'
import { valueType } from './values.ts'

/** Operators that slide a window over pictures; over sequences they are of pictures one element high. */
export const WINDOW: Rules = {
  MaxPool: (context) => [pool(context, 'max')],
  AveragePool: (context) => [pool(context, 'average')],
  GlobalAveragePool: (context) => [globalPool(context, 'average')],
  GlobalMaxPool: (context) => [globalPool(context, 'max')],
}

export interface Window {
  /** Height and width, as all that follow. */
  readonly kernel: readonly [number, number]
  readonly strides: readonly [number, number]
  readonly dilations: readonly [number, number]
  /** Top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number]
  /** The input as [batch, channels, height, width]. */
  readonly input: Lowered
  readonly output: readonly [Size, Size]
  /** Sequences come without a height. */
  readonly flat: boolean
}

export function windowOf({ node, at, build }: RuleContext, kernelShape: readonly number[] | undefined): Window {
  const value = at(0)
  const flat = value.shape.length === 3
  if ((value.shape.length !== 4 && !flat) || valueType(value.type) !== 'f32') {
    throw build.decline('its input is no picture and no sequence of floats')
  }
  const [batch = ONE, channels = ONE] = value.shape
  const input = flat ? build.reshaped(value, [batch, channels, ONE, value.shape[2] ?? ONE]) : value
  const pair = (name: string, otherwise: number): readonly [number, number] => two(intsOf(node, name), otherwise, flat)
  const kernel = kernelShape === undefined ? pair('kernel_shape', 1) : two(kernelShape, 1, flat)
  const strides = pair('strides', 1)
  const dilations = pair('dilations', 1)
  const auto = stringOf(node, 'auto_pad', 'NOTSET')
  const spans = [0, 1].map((axis) => (kernel[axis as 0] - 1) * dilations[axis as 0] + 1)
  const pads =
    auto === 'NOTSET' || auto === 'VALID'
      ? given(node, auto, flat)
      : same(build, { input, strides, spans, upper: auto === 'SAME_UPPER' })
  const ceil = intOf(node, 'ceil_mode', 0) !== 0
  const output = [0, 1].map((axis): Size => {
    const dim = input.shape[2 + axis] ?? ONE
    const padded = plus(dim, size((pads[axis] ?? 0) + (pads[axis + 2] ?? 0) - (spans[axis] ?? 1)))
    const steps = over(ceil ? plus(padded, size((strides[axis as 0] ?? 1) - 1)) : padded, size(strides[axis as 0] ?? 1))
    if (steps === undefined) throw build.decline('the size of its result is not known')
    // No window begins behind the picture and the padding before it.
    const known = numberOf(steps)
    const begin = (numberOf(dim) ?? 0) + (pads[axis] ?? 0)
    return ceil && known !== undefined && known * (strides[axis as 0] ?? 1) >= begin ? steps : plus(steps, ONE)
  }) as [Size, Size]
  if (ceil && build.symbols.length > 0 && output.some((dim) => numberOf(dim) === undefined))
    throw build.decline('it rounds sizes up')
  return { kernel, strides, dilations, pads, input, output, flat }
}

export function two(
  values: readonly number[] | undefined,
  otherwise: number,
  flat: boolean,
): readonly [number, number] {
  if (values === undefined) return [flat ? 1 : otherwise, otherwise]
  return flat ? [1, values[0] ?? otherwise] : [values[0] ?? otherwise, values[1] ?? otherwise]
}

function given(node: NodeProto, auto: string, flat: boolean): readonly [number, number, number, number] {
  const pads = auto === 'VALID' ? undefined : intsOf(node, 'pads')
  if (pads === undefined) return [0, 0, 0, 0]
  return flat ? [0, pads[0] ?? 0, 0, pads[1] ?? 0] : [pads[0] ?? 0, pads[1] ?? 0, pads[2] ?? 0, pads[3] ?? 0]
}

/** As many positions as the input has strides. */
function same(
  build: Builder,
  {
    input,
    strides,
    spans,
    upper,
  }: { input: Lowered; strides: readonly number[]; spans: readonly number[]; upper: boolean },
): readonly [number, number, number, number] {
  const totals = [0, 1].map((axis) => {
    const dim = numberOf(input.shape[2 + axis] ?? ONE)
    const [stride, span] = [strides[axis] ?? 1, spans[axis] ?? 1]
    if (dim === undefined && stride !== 1) throw build.decline('its padding depends on the size of the input')
    return Math.max(0, dim === undefined ? span - 1 : (Math.ceil(dim / stride) - 1) * stride + span - dim)
  })
  const [height, width] = totals.map((total) => (upper ? Math.floor(total / 2) : Math.ceil(total / 2)))
  return [height ?? 0, width ?? 0, (totals[0] ?? 0) - (height ?? 0), (totals[1] ?? 0) - (width ?? 0)]
}

export function windowAttributes({ kernel, strides, dilations, pads }: Window): Record<string, Attribute> {
  return { kernel, strides, dilations, pads }
}

/** The result as the operator names it: without the height that a sequence got. */
export function shaped(build: Builder, { flat }: Window, value: Lowered): Lowered {
  return flat ? build.reshaped(value, [value.shape[0] ?? ONE, value.shape[1] ?? ONE, value.shape[3] ?? ONE]) : value
}

function pool(context: RuleContext, kind: 'max' | 'average'): Lowered {
  const { node, build } = context
  if (node.output.slice(1).some((name) => name !== '')) throw build.decline('it gives the places of its maxima too')
  if (attributeOf(node, 'kernel_shape') === undefined) throw build.decline('it has no kernel')
  const window = windowOf(context, undefined)
  const { input, output } = window
  const result = build.step({
    op: 'pool',
    in: [build.operand(input)],
    type: input.type,
    shape: [input.shape[0] ?? ONE, input.shape[1] ?? ONE, ...output],
    with: { kind, ...windowAttributes(window), countPad: intOf(node, 'count_include_pad', 0) },
  })
  // The greatest of numbers on a grid is one of them.
  const kept = kind === 'max' && input.kind === 'buffer' && input.grid ? { ...result, grid: input.grid } : result
  return shaped(build, window, kept)
}

function globalPool({ at, build }: RuleContext, kind: 'max' | 'average'): Lowered {
  const value = at(0)
  if (value.shape.length < 3) throw build.decline('its input is no picture')
  const axes = value.shape.slice(2).map((_, index) => index + 2)
  return build.step({
    op: 'reduce',
    in: [build.operand(value)],
    type: value.type,
    shape: value.shape.map((dim, axis) => (axis < 2 ? dim : ONE)),
    with: { kind: kind === 'average' ? 'mean' : 'max', axes },
  })
}
