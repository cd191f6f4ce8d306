import type { Attribute, Operand } from '../../engine/verge/plan.ts'
import { attributeOf, intOf, intsOf, stringOf } from '../../onnx/make.ts'
import { fusedActivation, gridOf } from '../passes/fuse-activation.ts'
import { numberOf, ONE, plus, type Size, size, times } from '../size.ts'
import { packFloats, transposed } from '../weights.ts'
import type { StepFields } from './builder.ts'
import { floatWeight, int8Columns, int8Weight, isHalf, storedRows } from './matrix.ts'
import type { RuleContext, Rules } from './rule.ts'
import { type Constant, type InBuffer, type Lowered, type Quantized, valueType } from './values.ts'
import { shaped, two, type Window, windowAttributes, windowOf } from './window.ts'

/** Convolutions of pictures; of sequences as pictures one element high. */
export const CONVOLUTION: Rules = {
  Conv: (context) => [convolution(context)],
  ConvTranspose: (context) => [transposedConvolution(context)],
}

function convolution(context: RuleContext): Lowered {
  const { node, at, build } = context
  const weight = weightOf(context)
  const dims = weight.shape.map((dim) => numberOf(dim) ?? 0)
  const [outer = 0, perGroup = 0] = dims
  const window = windowOf(context, dims.slice(2))
  const groups = intOf(node, 'group', 1)
  const channels = numberOf(window.input.shape[1] ?? ONE)
  if (channels !== perGroup * groups || outer % groups !== 0) throw build.decline('its channels do not fit its weight')
  const shape = [window.input.shape[0] ?? ONE, size(outer), ...window.output]
  const step: Step = {
    window,
    weight,
    groups,
    perGroup,
    bias: biasOf(context, outer),
    residual: residualOf(context, shape),
    into: {
      type: at(0).type,
      shape,
      with: { ...windowAttributes(window), groups, ...(fusedActivation(node) as Record<string, Attribute>) },
    },
  }
  const result = (
    perGroup === 1 && outer === groups ? depthwise : weight.kind === 'quantized' && groups === 1 ? ofInt8 : ofFloats
  )(context, step, outer)
  return shaped(build, window, { ...result, ...gridOf(node) })
}

interface Step {
  readonly window: Window
  readonly weight: Constant | Quantized
  readonly groups: number
  /** Channels that a filter reads. */
  readonly perGroup: number
  readonly bias: Operand
  /** What is added to the result, or nothing. */
  readonly residual: readonly Operand[]
  readonly into: Pick<StepFields, 'type' | 'shape'> & { readonly with: Readonly<Record<string, Attribute>> }
}

function weightOf({ at, build }: RuleContext): Constant | Quantized {
  const weight = at(1)
  if (weight.kind !== 'constant' && weight.kind !== 'quantized') throw build.decline('its weight is no constant')
  return weight
}

function biasOf({ maybe, build }: RuleContext, outer: number): Operand {
  const bias = maybe(2)
  if (bias === undefined) return null
  if (bias.kind !== 'constant' && bias.kind !== 'quantized') throw build.decline('its bias is no constant')
  return { constant: build.floats(build.floatsOf(bias), [size(outer)]) }
}

function residualOf({ node, at, build }: RuleContext, shape: readonly Size[]): Operand[] {
  return node.input.length > 3 ? [build.operand(build.reshaped(at(3), shape))] : []
}

/** The grid that the input is known to lie on. */
function gridUnder({ input }: Window): InBuffer['grid'] {
  return input.kind === 'buffer' ? input.grid : undefined
}

function depthwise({ build }: RuleContext, { bias, into, weight, window }: Step, outer: number): InBuffer {
  const grid = into.with.step === undefined ? undefined : gridUnder(window)
  const whole = grid && weight.kind === 'quantized' ? storedRows(weight, outer) : undefined
  const shape = [size(outer), ONE, ...window.kernel.map(size)]
  const rows = { constant: build.floats(whole?.values ?? build.floatsOf(weight), shape) }
  const scales = whole ? [{ constant: build.floats(whole.scales, [size(outer)]) }] : []
  return build.step({
    op: 'conv-depthwise',
    in: [build.operand(window.input), rows, bias, ...scales],
    ...into,
    with: { ...into.with, ...(whole && grid && { grid: grid.step, zero: grid.zero }) },
  })
}

function ofInt8(
  { build }: RuleContext,
  { bias, into, perGroup, residual, weight, window }: Step,
  outer: number,
): InBuffer {
  const inner = perGroup * window.kernel[0] * window.kernel[1]
  const weights = int8Columns(build, { source: weight, transposed: true, inner, outer })
  const grid = gridUnder(window)
  return build.step({
    op: 'conv-int8',
    in: [build.operand(window.input), ...int8Weight(build, weights), bias, ...residual],
    ...into,
    with: { ...into.with, ...(grid && { grid: grid.step, zero: grid.zero }) },
  })
}

function ofFloats({ build }: RuleContext, { weight, ...step }: Step, outer: number): InBuffer {
  return floatStep(build, step, { values: build.floatsOf(weight), half: isHalf(weight), outer })
}

/** @param values [outer, channels of a group, height, width] */
function floatStep(
  build: RuleContext['build'],
  { bias, groups, into, perGroup, residual, window }: Omit<Step, 'weight'>,
  { values, half, outer }: { readonly values: Float32Array; readonly half: boolean; readonly outer: number },
): InBuffer {
  const inner = perGroup * window.kernel[0] * window.kernel[1]
  const own = outer / groups
  // Filters of a group fill strips of eight, the last one up with zeros.
  const filled = groups === 1 ? own : Math.ceil(own / 8) * 8
  const all = new Float32Array(Math.ceil(filled / 8) * 8 * inner * groups)
  for (let group = 0; group < groups; group++) {
    const rows = values.slice(group * own * inner, (group + 1) * own * inner)
    all.set(packFloats(transposed(rows, own, inner), inner, own), group * filled * inner)
  }
  const operand = floatWeight(build, all, [inner, filled * groups], half)
  return build.step({ op: 'conv-f32', in: [build.operand(window.input), operand, bias, ...residual], ...into })
}

/** A convolution, with the filters turned round, of the input with zeros in between its elements. */
function transposedConvolution(context: RuleContext): Lowered {
  const { node, at, build } = context
  const weight = weightOf(context)
  const value = at(0)
  const flat = value.shape.length === 3
  if ((value.shape.length !== 4 && !flat) || valueType(value.type) !== 'f32')
    throw build.decline('its input is no picture and no sequence of floats')
  if (stringOf(node, 'auto_pad', 'NOTSET') !== 'NOTSET' || attributeOf(node, 'output_shape') !== undefined)
    throw build.decline('its padding follows from the size of its result')
  const groups = intOf(node, 'group', 1)
  const dims = weight.shape.map((dim) => numberOf(dim) ?? 0)
  const [channels = 0, own = 0] = dims
  const [batch = ONE, given = ONE] = value.shape
  if (numberOf(given) !== channels || channels % groups !== 0) throw build.decline('its channels do not fit its weight')
  const kernel = two(dims.slice(2), 1, flat)
  const strides = two(intsOf(node, 'strides'), 1, flat)
  const dilations = two(intsOf(node, 'dilations'), 1, flat)
  const more = flat ? [0, intsOf(node, 'output_padding')?.[0] ?? 0] : (intsOf(node, 'output_padding') ?? [0, 0])
  const cuts = intsOf(node, 'pads') ?? [0, 0, 0, 0]
  const [top = 0, left = 0, bottom = 0, right = 0] = flat ? [0, cuts[0], 0, cuts[1]] : cuts
  const span = kernel.map((count, axis) => (count - 1) * (dilations[axis as 0] ?? 1))
  const pads = [
    ...[top, left].map((cut, axis) => (span[axis] ?? 0) - cut),
    ...[bottom, right].map(
      (cut, axis) => (span[axis] ?? 0) - cut + (more[axis] ?? 0) - ((strides[axis as 0] ?? 1) - 1),
    ),
  ] as unknown as readonly [number, number, number, number]
  if (pads.some((pad) => pad < 0)) throw build.decline('it cuts off more than it adds')
  const input = spread(build, value, strides, flat)
  const output = [0, 1].map((axis): Size => {
    const around = (pads[axis as 0] ?? 0) + (pads[(axis + 2) as 0] ?? 0) - (span[axis] ?? 0)
    return plus(input.shape[2 + axis] ?? ONE, size(around))
  }) as [Size, Size]
  const window: Window = { kernel, strides: [1, 1], dilations, pads, input, output, flat }
  const outer = own * groups
  const step = {
    window,
    groups,
    perGroup: channels / groups,
    bias: biasOf(context, outer),
    residual: [],
    into: {
      type: value.type,
      shape: [batch, size(outer), ...output],
      with: { ...windowAttributes(window), groups, ...(fusedActivation(node) as Record<string, Attribute>) },
    },
  }
  const values = turned(build.floatsOf(weight), {
    groups,
    own,
    inner: channels / groups,
    places: kernel[0] * kernel[1],
  })
  return shaped(build, window, { ...floatStep(build, step, { values, half: isHalf(weight), outer }), ...gridOf(node) })
}

/** [groups · inner, own, places] to [groups · own, inner, places], with the places from the last to the first. */
function turned(
  values: Float32Array,
  {
    groups,
    inner,
    own,
    places,
  }: { readonly groups: number; readonly inner: number; readonly own: number; readonly places: number },
): Float32Array {
  const result = new Float32Array(values.length)
  for (let group = 0; group < groups; group++) {
    for (let channel = 0; channel < inner; channel++) {
      for (let filter = 0; filter < own; filter++) {
        const from = ((group * inner + channel) * own + filter) * places
        const to = ((group * own + filter) * inner + channel) * places
        for (let place = 0; place < places; place++) result[to + place] = values[from + places - 1 - place] as number
      }
    }
  }
  return result
}

/** A picture with `strides` - 1 zeros behind each of its rows and columns. */
function spread(
  build: RuleContext['build'],
  value: Lowered,
  strides: readonly [number, number],
  flat: boolean,
): Lowered {
  const [batch = ONE, channels = ONE, ...sizes] = value.shape
  const [height = ONE, width = ONE] = flat ? [ONE, ...sizes] : sizes
  if (strides.every((stride) => stride === 1)) return build.reshaped(value, [batch, channels, height, width])
  const apart = build.reshaped(value, [batch, channels, height, ONE, width, ONE])
  const wide = build.step({
    op: 'pad',
    in: [build.operand(apart)],
    type: value.type,
    shape: [batch, channels, height, size(strides[0]), width, size(strides[1])],
    with: { begins: [0, 0, 0, 0, 0, 0], value: 0 },
  })
  return build.reshaped(wide, [batch, channels, times(height, size(strides[0])), times(width, size(strides[1]))])
}
