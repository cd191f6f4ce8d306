import { countOf } from '../dims.ts'
import type { Kernels } from '../kernels.ts'
import { ACTIVATION, type Activation, activate, activationOf } from './activation.ts'
import {
  type AttributeRule,
  type Binding,
  type Bound,
  FLOATS,
  type Frame,
  INTEGERS,
  type Operator,
  PER_FLOAT,
  roundUp,
  sameShape,
  type View,
} from './operator.ts'
import { blockRows, columnData, MOST_DEPTH, optionalColumns, TILE_BYTES } from './product.ts'

/** Pairs are height, width; `pads` are top, left, bottom, right. Sequences are pictures one element high. */
const WINDOW: Readonly<Record<string, AttributeRule>> = {
  kernel: { type: 'numbers' },
  strides: { type: 'numbers', otherwise: [1, 1] },
  pads: { type: 'numbers', otherwise: [0, 0, 0, 0] },
  dilations: { type: 'numbers', otherwise: [1, 1] },
}

interface Window {
  readonly batch: number
  readonly channels: number
  readonly height: number
  readonly width: number
  readonly outHeight: number
  readonly outWidth: number
  readonly kernel: readonly [number, number]
  readonly strides: readonly [number, number]
  readonly pads: readonly [number, number, number, number]
  readonly dilations: readonly [number, number]
}

const MOST_WINDOW = 4_096

function windowOf(step: Binding, ceil: boolean): Window {
  const [x, out] = [step.input(0), step.output()]
  step.need(x.shape.length === 4 && out.shape.length === 4, 'its tensors are not of [batch, channel, height, width]')
  const [batch = 0, channels = 0, height = 0, width = 0] = x.shape
  const [outBatch = 0, , outHeight = 0, outWidth = 0] = out.shape
  const list = (name: string, length: number, least: number): readonly number[] => {
    const values = step.numbers(name)
    const fits = values.every((value) => Number.isInteger(value) && value >= least && value <= MOST_WINDOW)
    step.need(values.length === length && fits, `its ${name} are not ${length} whole numbers from ${least} on`)
    return values
  }
  const kernel = list('kernel', 2, 1) as readonly [number, number]
  const strides = list('strides', 2, 1) as readonly [number, number]
  const pads = list('pads', 4, 0) as readonly [number, number, number, number]
  const dilations = list('dilations', 2, 1) as readonly [number, number]
  const fits = ([height, width] as const).every((size, axis) => {
    const place = axis as 0 | 1
    const room = size + pads[place] + pads[axis === 0 ? 2 : 3] - (kernel[place] - 1) * dilations[place] - 1
    const steps = room / strides[place]
    const result = axis === 0 ? outHeight : outWidth
    const whole = Math.floor(steps) + 1
    return result === Math.max(0, whole) || (ceil && result === Math.ceil(steps) + 1)
  })
  step.need(outBatch === batch && fits, 'its result has another shape')
  return { batch, channels, height, width, outHeight, outWidth, kernel, strides, pads, dilations }
}

const CONVOLUTION: Readonly<Record<string, AttributeRule>> = {
  ...WINDOW,
  groups: { type: 'number', otherwise: 1 },
  ...ACTIVATION,
}

interface Convolution extends Window {
  readonly groups: number
  /** Channels that a group of filters reads, and filters of a group. */
  readonly perGroup: number
  readonly own: number
  readonly filters: number
  readonly depth: number
  readonly places: number
  readonly residual: View | undefined
  readonly activation: Activation
}

function convolutionOf(step: Binding, weight: View, residualAt: number): Convolution {
  const window = windowOf(step, false)
  const groups = step.number('groups')
  const [depth = 0, filters = 0] = weight.shape
  step.need(Number.isInteger(groups) && groups > 0, 'it has no groups')
  const perGroup = window.channels / groups
  const own = filters / groups
  step.need(Number.isInteger(perGroup) && Number.isInteger(own), 'its channels do not divide into its groups')
  step.need(groups === 1 || own % 8 === 0, 'its groups do not fill panels of eight filters')
  step.need(
    depth > 0 && depth <= MOST_DEPTH && depth === perGroup * window.kernel[0] * window.kernel[1],
    'its weight does not fit its input',
  )
  const out = step.output()
  step.need(out.shape[1] === filters, 'its result has another shape')
  const residual = step.inputs[residualAt]
  step.need(residual === undefined || sameShape(residual.shape, out.shape), 'what it adds has another shape')
  const places = window.outHeight * window.outWidth
  return { ...window, groups, perGroup, own, filters, depth, places, residual, activation: activationOf(step) }
}

/** What the product itself keeps its results to: nothing where something is added first. */
function ends({ residual, activation }: Convolution): readonly [number, number] {
  return residual === undefined
    ? [activation.least, activation.most]
    : [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
}

/** Adds the residual and applies the activation to the result of one picture. */
function finish(kernels: Kernels, conv: Convolution, out: number, residual: number): void {
  const { activation, filters, places } = conv
  if (conv.residual !== undefined) {
    kernels.addClamped(out, residual, out, filters * places, activation.least, activation.most)
  }
  activate(kernels, activation, out, filters * places)
}

/** Packs the patches of some places of one group's picture. */
function pack(kernels: Kernels, conv: Convolution, x: number, to: number, first: number, count: number): void {
  const { perGroup, height, width, outWidth, kernel, strides, pads, dilations } = conv
  const [top, left] = pads
  kernels.packPatches(
    x,
    to,
    first,
    count,
    perGroup,
    height,
    width,
    outWidth,
    ...kernel,
    ...strides,
    top,
    left,
    ...dilations,
  )
}

/** Calls `block` for blocks of places of every group of every picture, and `done` after each picture. */
function walkPictures(
  conv: Convolution,
  size: number,
  block: (picture: number, group: number, first: number, count: number) => void,
  done: (picture: number) => void,
): void {
  for (let picture = 0; picture < conv.batch; picture++) {
    for (let group = 0; group < conv.groups; group++) {
      for (let first = 0; first < conv.places; first += size) {
        block(picture, group, first, Math.min(size, conv.places - first))
      }
    }
    done(picture)
  }
}

function inputAt(
  { channels, perGroup, height, width }: Convolution,
  x: View,
  frame: Frame,
  picture: number,
  group: number,
) {
  return x.at(frame) + (picture * channels + group * perGroup) * height * width * 4
}

function outputAt(
  { filters, own, places }: Convolution,
  out: View,
  frame: Frame,
  picture: number,
  group: number,
): number {
  return out.at(frame) + (picture * filters + group * own) * places * 4
}

const convF32: Operator = {
  name: 'conv-f32',
  what: 'convolution of pictures with weights [C / groups · kh · kw, O] in f32, or stored in f16; plus bias, plus residual; activation',
  inputs: [
    { name: 'x', types: FLOATS },
    { name: 'weight', types: ['f32', 'f16'], layouts: ['columns-f32', 'columns-f16'], constant: true },
    { name: 'bias', types: FLOATS, constant: true, optional: true },
    { name: 'residual', types: FLOATS, optional: true },
  ],
  outputs: [{ types: FLOATS }],
  attributes: { ...CONVOLUTION, fast: { type: 'number', otherwise: 0 } },
  bind(step: Binding): Bound {
    const [x, weight, out] = [step.input(0), step.input(1), step.output()]
    const conv = convolutionOf(step, weight, 3)
    const { depth, own, places, batch, filters } = conv
    const bias = optionalColumns(step, 2, filters)
    const half = weight.layout === 'columns-f16' ? 1 : 0
    const fast = step.number('fast') === 0 ? 0 : 1
    const size = blockRows(depth * 4, places)
    const tile = size * depth * 4
    const groupBytes = own * depth * (half === 1 ? 2 : 4)
    const [least, most] = ends(conv)
    return {
      cost:
        batch * places * filters * depth * PER_FLOAT + batch * places * (depth * 4 + filters * conv.activation.cost),
      scratch: tile + TILE_BYTES + half * depth * 32,
      run(kernels, frame, scratch) {
        walkPictures(
          conv,
          size,
          (picture, group, first, count) => {
            pack(kernels, conv, inputAt(conv, x, frame, picture, group), scratch, first, count)
            kernels.productF32(
              scratch,
              weight.at(frame) + group * groupBytes,
              bias === undefined ? 0 : bias.at(frame) + group * own * 4,
              outputAt(conv, out, frame, picture, group) + first * 4,
              count,
              own,
              depth,
              4,
              places * 4,
              scratch + tile,
              least,
              most,
              fast,
              half,
            )
          },
          (picture) => finish(kernels, conv, outputAt(conv, out, frame, picture, 0), residualAt(conv, frame, picture)),
        )
      },
    }
  },
}

function residualAt({ residual, filters, places }: Convolution, frame: Frame, picture: number): number {
  return residual === undefined ? 0 : residual.at(frame) + picture * filters * places * 4
}

const convInt8: Operator = {
  name: 'conv-int8',
  what: 'the same with 8-bit weights; the patch of each place is quantized to 7 bits on its own',
  inputs: [
    { name: 'x', types: FLOATS },
    { name: 'weight', types: ['i8'], layouts: ['columns-int8'], constant: true },
    { name: 'scales', types: FLOATS, constant: true },
    { name: 'sums', types: INTEGERS, constant: true },
    { name: 'bias', types: FLOATS, constant: true, optional: true },
    { name: 'residual', types: FLOATS, optional: true },
  ],
  outputs: [{ types: FLOATS }],
  attributes: CONVOLUTION,
  bind(step: Binding): Bound {
    const [x, weight, out] = [step.input(0), step.input(1), step.output()]
    const conv = convolutionOf(step, weight, 5)
    const { depth, own, places, batch, filters } = conv
    const scales = columnData(step, 2, filters)
    const sums = columnData(step, 3, filters)
    const bias = optionalColumns(step, 4, filters)
    const packedDepth = roundUp(depth, 4)
    const size = blockRows(depth * 4, places)
    const packed = size * depth * 4
    const ranges = packed + size * packedDepth
    const tile = ranges + size * 16
    const [least, most] = ends(conv)
    return {
      cost: batch * places * filters * depth + batch * places * (depth * 8 + filters * conv.activation.cost),
      scratch: tile + TILE_BYTES,
      run(kernels, frame, scratch) {
        walkPictures(
          conv,
          size,
          (picture, group, first, count) => {
            pack(kernels, conv, inputAt(conv, x, frame, picture, group), scratch, first, count)
            kernels.quantizeStrips(scratch, count, depth, scratch + packed, scratch + ranges)
            kernels.productInt8(
              scratch + packed,
              scratch + ranges,
              weight.at(frame) + group * own * packedDepth,
              scales.at(frame) + group * own * 4,
              sums.at(frame) + group * own * 4,
              bias === undefined ? 0 : bias.at(frame) + group * own * 4,
              outputAt(conv, out, frame, picture, group) + first * 4,
              count,
              own,
              depth,
              4,
              places * 4,
              scratch + tile,
              least,
              most,
            )
          },
          (picture) => finish(kernels, conv, outputAt(conv, out, frame, picture, 0), residualAt(conv, frame, picture)),
        )
      },
    }
  },
}

/** Rows and columns of a channel with its padding, as far as vectors of four results read it. */
function planeOf({ height, width, outHeight, outWidth, kernel, strides, pads, dilations }: Window): [number, number] {
  const reach = (results: number, axis: 0 | 1) =>
    Math.max(0, results - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1
  return [
    Math.max(reach(outHeight, 0), height + pads[0]),
    Math.max(reach(roundUp(outWidth, 4), 1), width + pads[1]) + 8,
  ]
}

const depthwise: Operator = {
  name: 'conv-depthwise',
  what: 'convolution with one filter [C, 1, kh, kw] a channel, direct, in f32; plus bias; activation',
  inputs: [
    { name: 'x', types: FLOATS },
    { name: 'weight', types: FLOATS, constant: true },
    { name: 'bias', types: FLOATS, constant: true, optional: true },
  ],
  outputs: [{ types: FLOATS }],
  attributes: CONVOLUTION,
  bind(step: Binding): Bound {
    const [x, weight, out] = [step.input(0), step.input(1), step.output()]
    const window = windowOf(step, false)
    const { batch, channels, height, width, outHeight, outWidth, kernel, strides, pads, dilations } = window
    const filter = kernel[0] * kernel[1]
    step.need(step.number('groups') === channels || step.number('groups') === 1, 'it has other groups than channels')
    step.need(weight.count === channels * filter && out.shape[1] === channels, 'its weight does not fit its input')
    const bias = optionalColumns(step, 2, channels)
    const activation = activationOf(step)
    const count = channels * outHeight * outWidth
    const plane = planeOf(window)
    step.need(countOf(plane) !== undefined, 'its padded pictures are larger than the engine takes')
    return {
      cost: batch * count * (filter * PER_FLOAT + activation.cost),
      scratch: plane[0] * plane[1] * 4,
      run(kernels, frame, scratch) {
        for (let picture = 0; picture < batch; picture++) {
          const to = out.at(frame) + picture * count * 4
          kernels.depthwise(
            x.at(frame) + picture * channels * height * width * 4,
            weight.at(frame),
            bias?.at(frame) ?? 0,
            to,
            channels,
            height,
            width,
            outHeight,
            outWidth,
            ...kernel,
            ...strides,
            pads[0],
            pads[1],
            ...dilations,
            activation.least,
            activation.most,
            scratch,
            ...plane,
          )
          activate(kernels, activation, to, count)
        }
      },
    }
  },
}

const pool: Operator = {
  name: 'pool',
  what: 'the greatest (`kind`: max) or mean (average) value of each window; `countPad`: 1 counts the padding as zeros',
  inputs: [{ name: 'x', types: FLOATS }],
  outputs: [{ types: FLOATS }],
  attributes: {
    ...WINDOW,
    kind: { type: 'choice', of: ['max', 'average'] },
    countPad: { type: 'number', otherwise: 0 },
  },
  bind(step: Binding): Bound {
    const [x, out] = [step.input(0), step.output()]
    const window = windowOf(step, true)
    const { batch, channels, height, width, outHeight, outWidth, kernel, strides, pads, dilations } = window
    step.need(out.shape[1] === channels, 'its result has another shape')
    const mode = step.choice('kind') === 'max' ? 0 : step.number('countPad') === 0 ? 1 : 2
    return {
      cost: out.count * kernel[0] * kernel[1] * 10,
      run: (kernels, frame) =>
        kernels.pool(
          mode,
          x.at(frame),
          out.at(frame),
          batch * channels,
          height,
          width,
          outHeight,
          outWidth,
          ...kernel,
          ...strides,
          ...pads,
          ...dilations,
        ),
    }
  },
}

const COORDINATES = ['half-pixel', 'asymmetric', 'align-corners', 'pytorch-half-pixel'] as const
const ROUNDINGS = ['round-prefer-floor', 'round-prefer-ceil', 'floor', 'ceil'] as const

const resize: Operator = {
  name: 'resize',
  what: `pictures to the size of the result: \`mode\` nearest or linear; \`coordinates\` ${COORDINATES.join(', ')}; \`rounding\` ${ROUNDINGS.join(', ')}; \`scales\` of height and width where they are not the quotients of the sizes`,
  inputs: [{ name: 'x', types: FLOATS }],
  outputs: [{ types: FLOATS }],
  attributes: {
    mode: { type: 'choice', of: ['nearest', 'linear'] },
    coordinates: { type: 'choice', of: COORDINATES, otherwise: 'half-pixel' },
    rounding: { type: 'choice', of: ROUNDINGS, otherwise: 'round-prefer-floor' },
    scales: { type: 'numbers', otherwise: [] },
  },
  bind(step: Binding): Bound {
    const [x, out] = [step.input(0), step.output()]
    step.need(x.shape.length === 4 && out.shape.length === 4, 'its tensors are not of [batch, channel, height, width]')
    step.need(sameShape(x.shape.slice(0, 2), out.shape.slice(0, 2)), 'its result has another shape')
    const [batch = 0, channels = 0, height = 0, width = 0] = x.shape
    const [outHeight = 0, outWidth = 0] = out.shape.slice(2)
    step.need((height > 0 && width > 0) || out.count === 0, 'it enlarges nothing')
    const [sy = outHeight / height, sx = outWidth / width] = step.numbers('scales')
    step.need(out.count === 0 || (sy > 0 && sx > 0), 'its scales are not above 0')
    const linear = step.choice('mode') === 'linear' ? 1 : 0
    const coordinates = COORDINATES.indexOf(step.choice('coordinates') as (typeof COORDINATES)[number])
    const rounding = ROUNDINGS.indexOf(step.choice('rounding') as (typeof ROUNDINGS)[number])
    return {
      cost: out.count * 20,
      run(kernels, frame) {
        if (out.count === 0) return
        const [from, to] = [x.at(frame), out.at(frame)]
        kernels.resize(
          linear,
          coordinates,
          rounding,
          from,
          to,
          batch * channels,
          height,
          width,
          outHeight,
          outWidth,
          sy,
          sx,
        )
      },
    }
  },
}

export const CONVOLUTIONS: readonly Operator[] = [convF32, convInt8, depthwise, pool, resize]
