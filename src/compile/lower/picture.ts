import type { Attribute } from '../../engine/verge/plan.ts'
import { intOf, intsOf, stringOf } from '../../onnx/make.ts'
import { numberOf, ONE, over, product, type Size, size, times } from '../size.ts'
import { binaryStep } from './arithmetic.ts'
import { axisOf } from './builder.ts'
import { plainNorm } from './norm.ts'
import type { RuleContext, Rules } from './rule.ts'
import { type Lowered, valueType } from './values.ts'

/** Operators of pictures [batch, channel, height, width] that have no weights of their own. */
export const PICTURE: Rules = {
  Resize: (context) => [context.opset < 11 ? enlarged(context) : resized(context)],
  Upsample: (context) => [enlarged(context)],
  DepthToSpace: (context) => [depthToSpace(context)],
  SpaceToDepth: (context) => [spaceToDepth(context)],
  InstanceNormalization: (context) => [instanceNorm(context)],
}

function pictureOf({ at, build }: RuleContext): Lowered {
  const value = at(0)
  if (value.shape.length !== 4 || valueType(value.type) !== 'f32')
    throw build.decline('its input is no picture of floats')
  return value
}

const COORDINATES: Readonly<Record<string, string>> = {
  half_pixel: 'half-pixel',
  asymmetric: 'asymmetric',
  align_corners: 'align-corners',
  pytorch_half_pixel: 'pytorch-half-pixel',
}

/** As opsets before 11 have it, and Upsample. */
function enlarged(context: RuleContext): Lowered {
  const { node, maybe, build } = context
  const value = pictureOf(context)
  const scales = node.attribute.find(({ name }) => name === 'scales')?.floats ?? floatsAt(context, 1)
  if (maybe(1) === undefined && scales === undefined) throw build.decline('it has no scales')
  return pictureOfSize(context, value, {
    scales,
    sizes: undefined,
    mode: stringOf(node, 'mode', 'nearest'),
    with: { coordinates: 'asymmetric', rounding: 'floor' },
  })
}

function resized(context: RuleContext): Lowered {
  const { node, maybe, build } = context
  const value = pictureOf(context)
  const coordinates = COORDINATES[stringOf(node, 'coordinate_transformation_mode', 'half_pixel')]
  if (
    coordinates === undefined ||
    intOf(node, 'antialias', 0) !== 0 ||
    stringOf(node, 'keep_aspect_ratio_policy', 'stretch') !== 'stretch'
  )
    throw build.decline('it takes places that the engine does not compute')
  const axes = intsOf(node, 'axes')?.map((axis) => axisOf(axis, 4)) ?? [0, 1, 2, 3]
  const given = floatsAt(context, 2)
  const sizes = build.sizes(maybe(3))
  const all = <T>(list: readonly T[] | undefined, otherwise: (axis: number) => T): readonly T[] | undefined =>
    list &&
    [0, 1, 2, 3].map((axis) => (axes.includes(axis) ? (list[axes.indexOf(axis)] ?? otherwise(axis)) : otherwise(axis)))
  return pictureOfSize(context, value, {
    scales: given?.length ? all(given, () => 1) : undefined,
    sizes: all(sizes, (axis) => value.shape[axis] ?? ONE),
    mode: stringOf(node, 'mode', 'nearest'),
    with: { coordinates, rounding: stringOf(node, 'nearest_mode', 'round_prefer_floor').replaceAll('_', '-') },
  })
}

function floatsAt({ maybe, build }: RuleContext, index: number): readonly number[] | undefined {
  const value = maybe(index)
  if (value === undefined) return undefined
  if (value.kind !== 'constant' && value.kind !== 'quantized') throw build.decline('its scales are data')
  return [...build.floatsOf(value)]
}

interface Resizing {
  readonly scales: readonly number[] | undefined
  readonly sizes: readonly Size[] | undefined
  readonly mode: string
  readonly with: Readonly<Record<string, Attribute>>
}

function pictureOfSize({ build }: RuleContext, value: Lowered, { mode, scales, sizes, with: how }: Resizing): Lowered {
  if (mode !== 'nearest' && mode !== 'linear') throw build.decline(`it interpolates by "${mode}"`)
  const outer = scales
    ? scales.slice(0, 2).every((scale) => scale === 1)
    : sizes?.slice(0, 2).every((dim, axis) => dim.key === value.shape[axis]?.key)
  if (outer !== true) throw build.decline('it changes batch or channels, or its sizes are data')
  const shape = value.shape.map((dim, axis): Size => {
    if (axis < 2) return dim
    if (scales === undefined) return sizes?.[axis] ?? ONE
    return scaled(build, dim, scales[axis] ?? 1)
  })
  return build.step({
    op: 'resize',
    in: [build.operand(value)],
    type: value.type,
    shape,
    with: { mode, ...how, ...(scales && { scales: scales.slice(2) }) },
  })
}

function scaled(build: RuleContext['build'], dim: Size, scale: number): Size {
  const number = numberOf(dim)
  // Multiplied in floats, as ONNX Runtime does: ten times 0.7 is 7.
  if (number !== undefined) return size(Math.floor(Math.fround(number * scale)))
  if (Number.isInteger(scale)) return times(dim, size(scale))
  const part = Number.isInteger(1 / scale) ? over(dim, size(1 / scale)) : undefined
  if (part === undefined) throw build.decline('the size of its result does not follow from its input')
  return part
}

function turned(build: RuleContext['build'], value: Lowered, perm: readonly number[]): Lowered {
  const shape = perm.map((axis) => value.shape[axis] ?? ONE)
  return build.step({ op: 'transpose', in: [build.operand(value)], type: value.type, shape, with: { perm } })
}

function depthToSpace(context: RuleContext): Lowered {
  const { node, build } = context
  const value = pictureOf(context)
  const block = size(intOf(node, 'blocksize', 1))
  const [batch = ONE, channels = ONE, height = ONE, width = ONE] = value.shape
  const left = over(channels, times(block, block))
  if (left === undefined) throw build.decline('its channels are not known')
  const isDepthFirst = stringOf(node, 'mode', 'DCR') === 'DCR'
  const apart = build.reshaped(
    value,
    isDepthFirst ? [batch, block, block, left, height, width] : [batch, left, block, block, height, width],
  )
  const side = turned(build, apart, isDepthFirst ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3])
  return build.reshaped(side, [batch, left, times(height, block), times(width, block)])
}

function spaceToDepth(context: RuleContext): Lowered {
  const { node, build } = context
  const value = pictureOf(context)
  const block = size(intOf(node, 'blocksize', 1))
  const [batch = ONE, channels = ONE, height = ONE, width = ONE] = value.shape
  const [rows, columns] = [over(height, block), over(width, block)]
  if (rows === undefined || columns === undefined) throw build.decline('its blocks are not known')
  const apart = build.reshaped(value, [batch, channels, rows, block, columns, block])
  const deep = turned(build, apart, [0, 3, 5, 1, 2, 4])
  return build.reshaped(deep, [batch, product([channels, block, block]), rows, columns])
}

/** A layer norm of each channel's elements, then a factor and a summand for each channel. */
function instanceNorm(context: RuleContext): Lowered {
  const { at, build } = context
  const value = at(0)
  const [batch = ONE, channels = ONE, ...rest] = value.shape
  if (rest.length === 0 || valueType(value.type) !== 'f32') throw build.decline('it has no elements for a channel')
  const rows = build.reshaped(value, [batch, channels, product(rest)])
  const normed = plainNorm(context, rows)
  const [factor, summand] = [1, 2].map((index) => build.reshaped(at(index), [channels, ONE]))
  if (factor === undefined || summand === undefined) return normed
  const scaledRows = binaryStep(build, normed, factor, { kind: 'mul', type: value.type })
  return build.reshaped(binaryStep(build, scaledRows, summand, { kind: 'add', type: value.type }), value.shape)
}
