import type { Attribute, Operand } from '../../engine/verge/plan.ts'
import { attributeOf, intOf, intsOf, stringOf } from '../../onnx/make.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { fusedActivation, gridOf } from '../passes/fuse-activation.ts'
import { numberOf, ONE, over, plus, type Size, size } from '../size.ts'
import { packFloats, transposed } from '../weights.ts'
import type { Builder, StepFields } from './builder.ts'
import { floatWeight, int8Columns, int8Weight, isHalf, storedRows } from './matrix.ts'
import type { RuleContext, Rules } from './rule.ts'
import type { Lowered } from './values.ts'
import { valueType } from './values.ts'

/** Operators that slide a window over pictures; over sequences they are of pictures one element high. */
export const WINDOW: Rules = {
  Conv: (context) => [convolution(context)],
  MaxPool: (context) => [pool(context, 'max')],
  AveragePool: (context) => [pool(context, 'average')],
  GlobalAveragePool: (context) => [globalPool(context, 'average')],
  GlobalMaxPool: (context) => [globalPool(context, 'max')],
}

interface Window {
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

function windowOf({ node, at, build }: RuleContext, kernelShape: readonly number[] | undefined): Window {
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
    return plus(steps, ONE)
  }) as [Size, Size]
  if (ceil && build.symbols.length > 0 && output.some((dim) => numberOf(dim) === undefined))
    throw build.decline('it rounds sizes up')
  return { kernel, strides, dilations, pads, input, output, flat }
}

function two(values: readonly number[] | undefined, otherwise: number, flat: boolean): readonly [number, number] {
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

function attributes({ kernel, strides, dilations, pads }: Window): Record<string, Attribute> {
  return { kernel, strides, dilations, pads }
}

/** The result as the operator names it: without the height that a sequence got. */
function shaped(build: Builder, { flat }: Window, value: Lowered): Lowered {
  return flat ? build.reshaped(value, [value.shape[0] ?? ONE, value.shape[1] ?? ONE, value.shape[3] ?? ONE]) : value
}

function convolution(context: RuleContext): Lowered {
  return { ...convolved(context), ...gridOf(context.node) } as Lowered
}

function convolved(context: RuleContext): Lowered {
  const { node, at, maybe, build } = context
  const weight = at(1)
  const dims = weight.shape.map((dim) => numberOf(dim) ?? 0)
  const [outer = 0, perGroup = 0] = dims
  if (weight.kind !== 'constant' && weight.kind !== 'quantized') throw build.decline('its weight is no constant')
  const window = windowOf(context, dims.slice(2))
  const groups = intOf(node, 'group', 1)
  const channels = numberOf(window.input.shape[1] ?? ONE)
  if (channels !== perGroup * groups || outer % groups !== 0) throw build.decline('its channels do not fit its weight')
  const values = build.floatsOf(weight)
  const bias = maybe(2)
  if (bias !== undefined && bias.kind !== 'constant' && bias.kind !== 'quantized')
    throw build.decline('its bias is no constant')
  const added: Operand = bias === undefined ? null : { constant: build.floats(build.floatsOf(bias), [size(outer)]) }
  const into: Pick<StepFields, 'type' | 'shape'> & { readonly with: Readonly<Record<string, Attribute>> } = {
    type: window.input.type,
    shape: [window.input.shape[0] ?? ONE, size(outer), ...window.output],
    with: { ...attributes(window), groups, ...(fusedActivation(node) as Record<string, Attribute>) },
  }
  const source = build.operand(window.input)
  if (perGroup === 1 && outer === groups) {
    const shape = [size(outer), ONE, ...window.kernel.map(size)]
    const grid = window.input.kind === 'buffer' && into.with.step !== undefined ? window.input.grid : undefined
    const whole = grid && weight.kind === 'quantized' ? storedRows(weight, outer) : undefined
    const rows = { constant: build.floats(whole?.values ?? values, shape) }
    const scales = whole ? [{ constant: build.floats(whole.scales, [size(outer)]) }] : []
    return shaped(
      build,
      window,
      build.step({
        op: 'conv-depthwise',
        in: [source, rows, added, ...scales],
        ...into,
        with: { ...into.with, ...(whole && grid && { grid: grid.step, zero: grid.zero }) },
      }),
    )
  }
  const inner = perGroup * window.kernel[0] * window.kernel[1]
  const own = outer / groups
  const columns = Array.from({ length: groups }, (_, group) =>
    transposed(values.subarray(group * own * inner, (group + 1) * own * inner).slice(), own, inner),
  )
  if (groups > 1 && own % 8 !== 0) throw build.decline('its groups do not fill the strips of eight columns')
  if (weight.kind === 'quantized' && groups === 1) {
    const weights = int8Columns(build, { source: weight, transposed: true, inner, outer })
    const grid = window.input.kind === 'buffer' ? window.input.grid : undefined
    return shaped(
      build,
      window,
      build.step({
        op: 'conv-int8',
        in: [source, ...int8Weight(build, weights), added],
        ...into,
        with: { ...into.with, ...(grid && { grid: grid.step, zero: grid.zero }) },
      }),
    )
  }
  const packed = columns.map((group) => packFloats(group, inner, own))
  const all = new Float32Array(packed.reduce((sum, { length }) => sum + length, 0))
  let start = 0
  for (const part of packed) {
    all.set(part, start)
    start += part.length
  }
  const operand = floatWeight(build, all, [inner, outer], isHalf(weight))
  return shaped(build, window, build.step({ op: 'conv-f32', in: [source, operand, added], ...into }))
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
    with: { kind, ...attributes(window), countPad: intOf(node, 'count_include_pad', 0) },
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
