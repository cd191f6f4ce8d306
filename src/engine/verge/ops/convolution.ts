import type { Kernels } from '../kernels.ts'
import { type Activation, activate, activationOf } from './activation.ts'
import { depthwise } from './depthwise.ts'
import { GRID, gridOf, rounding } from './grid.ts'
import {
  type Binding,
  type Bound,
  FLOATS,
  type Frame,
  type Operator,
  PER_FLOAT,
  roundUp,
  sameShape,
  type View,
} from './operator.ts'
import { blockRows, columnData, MOST_DEPTH, optionalColumns, TILE_BYTES, WEIGHTS_INT8 } from './product.ts'
import { CONVOLUTION, type Window, windowOf } from './window.ts'

interface Convolution extends Window {
  readonly groups: number
  /** Channels that a group of filters reads, and filters of a group. */
  readonly perGroup: number
  readonly own: number
  readonly filters: number
  readonly depth: number
  readonly places: number
  /** Whether a patch is one place, and results lie as their places do: then the picture counts as one row. */
  readonly pointwise: boolean
  readonly residual: View | undefined
  readonly activation: Activation
}

function convolutionOf(step: Binding, weight: View, residualAt: number): Convolution {
  const window = windowOf(step, false)
  const groups = step.number('groups')
  const [depth = 0, columns = 0] = weight.shape
  const filters = step.output().shape[1] ?? 0
  step.need(Number.isInteger(groups) && groups > 0, 'it has no groups')
  const perGroup = window.channels / groups
  const own = filters / groups
  step.need(Number.isInteger(perGroup) && Number.isInteger(own), 'its channels do not divide into its groups')
  step.need(
    columns === (groups === 1 ? filters : roundUp(own, 8) * groups),
    'its weight has other filters than its result',
  )
  step.need(
    depth > 0 && depth <= MOST_DEPTH && depth === perGroup * window.kernel[0] * window.kernel[1],
    'its weight does not fit its input',
  )
  const out = step.output()
  const residual = step.inputs[residualAt]
  step.need(residual === undefined || sameShape(residual.shape, out.shape), 'what it adds has another shape')
  const places = window.outHeight * window.outWidth
  const pointwise = [...window.kernel, ...window.strides].every((value) => value === 1) && !window.pads.some(Boolean)
  const row = pointwise ? { height: 1, width: places, outHeight: 1, outWidth: places } : {}
  return {
    ...window,
    ...row,
    pointwise,
    groups,
    perGroup,
    own,
    filters,
    depth,
    places,
    residual,
    activation: activationOf(step),
  }
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
    const groupBytes = roundUp(own, 8) * depth * (half === 1 ? 2 : 4)
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
  what: 'the same with 8-bit weights; the patch of each place is quantized to 7 bits on its own, or holds multiples of `grid` whose 8 bits, with `zero`, are multiplied exactly',
  inputs: [{ name: 'x', types: FLOATS }, ...WEIGHTS_INT8, { name: 'residual', types: FLOATS, optional: true }],
  outputs: [{ types: FLOATS }],
  attributes: { ...CONVOLUTION, ...GRID },
  bind(step: Binding): Bound {
    const [x, weight, out] = [step.input(0), step.input(1), step.output()]
    const { grid, zero } = gridOf(step)
    const conv = convolutionOf(step, weight, 5)
    const { depth, own, places, batch, filters } = conv
    const scales = columnData(step, 2, filters)
    const sums = columnData(step, 3, filters)
    const bias = optionalColumns(step, 4, filters)
    const packedDepth = roundUp(depth, 4)
    const size = blockRows(depth * 4, places)
    // Of one place each, patches are packed for the last strip alone.
    const packed = (conv.pointwise ? 4 : size) * depth * 4
    const ranges = packed + size * packedDepth * (grid === 0 ? 1 : 2)
    const tile = ranges + size * 16
    const [least, most] = ends(conv)
    const behind = rounding(conv.activation, grid === 0 || conv.residual !== undefined)
    const rest: Convolution = { ...conv, activation: behind.rest }
    return {
      cost:
        batch * places * filters * depth * (grid === 0 ? 1 : 2) +
        batch * places * (depth * 8 + filters * conv.activation.cost),
      scratch: tile + TILE_BYTES,
      run(kernels, frame, scratch) {
        walkPictures(
          conv,
          size,
          (picture, group, first, count) => {
            const from = inputAt(conv, x, frame, picture, group)
            const product = [
              weight.at(frame) + group * roundUp(own, 8) * packedDepth,
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
            ] as const
            // Four places of a picture are as good as a strip of patches where a patch is one place.
            const whole = conv.pointwise ? count - (count % 4) : 0
            const strips = (start: number, some: number, strip: number, apart: number, done: number) => {
              const to = scratch + packed + done * packedDepth * (grid === 0 ? 1 : 2)
              if (some === 0) return
              if (grid === 0) kernels.quantizeStrips(start, some, depth, strip, apart, to, scratch + ranges + done * 16)
              else kernels.gridStrips(start, some, depth, strip, apart, to, grid, zero)
            }
            strips(from + first * 4, whole, 16, places * 4, 0)
            if (whole < count) {
              pack(kernels, conv, from, scratch, first + whole, count - whole)
              strips(scratch, count - whole, depth * 16, 16, whole)
            }
            if (grid === 0) {
              kernels.productInt8(scratch + packed, scratch + ranges, ...product, 0)
            } else {
              kernels.productGrid(scratch + packed, grid, zero, ...product, behind.step)
            }
          },
          (picture) => finish(kernels, rest, outputAt(conv, out, frame, picture, 0), residualAt(conv, frame, picture)),
        )
      },
    }
  },
}

export const CONVOLUTIONS: readonly Operator[] = [convF32, convInt8, depthwise]
