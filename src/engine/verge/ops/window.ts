import { ACTIVATION } from './activation.ts'
import { type AttributeRule, type Binding, roundUp } from './operator.ts'

/** Pairs are height, width; `pads` are top, left, bottom, right. Sequences are pictures one element high. */
export const WINDOW: Readonly<Record<string, AttributeRule>> = {
  kernel: { type: 'numbers' },
  strides: { type: 'numbers', otherwise: [1, 1] },
  pads: { type: 'numbers', otherwise: [0, 0, 0, 0] },
  dilations: { type: 'numbers', otherwise: [1, 1] },
}

export interface Window {
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

export function windowOf(step: Binding, ceil: boolean): Window {
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

/** Rows and columns of a channel with its padding, as far as vectors of four results read it. */
export function planeOf({
  height,
  width,
  outHeight,
  outWidth,
  kernel,
  strides,
  pads,
  dilations,
}: Window): [number, number] {
  const reach = (results: number, axis: 0 | 1) =>
    Math.max(0, results - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1
  return [
    Math.max(reach(outHeight, 0), height + pads[0]),
    Math.max(reach(roundUp(outWidth, 4), 1), width + pads[1]) + 8,
  ]
}

/** What convolutions of all kinds take beside their window. */
export const CONVOLUTION: Readonly<Record<string, AttributeRule>> = {
  ...WINDOW,
  groups: { type: 'number', otherwise: 1 },
  ...ACTIVATION,
}
