import { countOf } from '../dims.ts'
import { activate, activationOf } from './activation.ts'
import { GRID, gridOf } from './grid.ts'
import { type Binding, type Bound, FLOATS, type Operator, PER_FLOAT } from './operator.ts'
import { optionalColumns } from './product.ts'
import { CONVOLUTION, planeOf, windowOf } from './window.ts'

export const depthwise: Operator = {
  name: 'conv-depthwise',
  what: 'convolution with one filter [C, 1, kh, kw] a channel, direct, in f32; plus bias; activation. With `scales`, filters are whole numbers, and x holds multiples of `grid`: sums are exact',
  inputs: [
    { name: 'x', types: FLOATS },
    { name: 'weight', types: FLOATS, constant: true },
    { name: 'bias', types: FLOATS, constant: true, optional: true },
    { name: 'scales', types: FLOATS, constant: true, optional: true },
  ],
  outputs: [{ types: FLOATS }],
  attributes: { ...CONVOLUTION, ...GRID },
  bind(step: Binding): Bound {
    const [x, weight, out] = [step.input(0), step.input(1), step.output()]
    const window = windowOf(step, false)
    const { batch, channels, height, width, outHeight, outWidth, kernel, strides, pads, dilations } = window
    const filter = kernel[0] * kernel[1]
    step.need(step.number('groups') === channels || step.number('groups') === 1, 'it has other groups than channels')
    step.need(weight.count === channels * filter && out.shape[1] === channels, 'its weight does not fit its input')
    const bias = optionalColumns(step, 2, channels)
    const scales = optionalColumns(step, 3, channels)
    const { grid } = gridOf(step)
    const activation = activationOf(step)
    step.need(
      (grid !== 0) === (scales !== undefined) &&
        (grid === 0 || (activation.step !== 0 && activation.code === undefined)),
      'its scales, its grid and its step do not come together',
    )
    const count = channels * outHeight * outWidth
    const plane = planeOf(window)
    step.need(countOf(plane) !== undefined, 'its padded pictures are larger than the engine takes')
    return {
      cost: batch * count * (filter * PER_FLOAT + activation.cost),
      scratch: plane[0] * plane[1] * 4,
      run(kernels, frame, scratch) {
        for (let picture = 0; picture < batch; picture++) {
          const to = out.at(frame) + picture * count * 4
          const sizes = [
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
          ] as const
          if (scales === undefined) {
            kernels.depthwise(...sizes)
            activate(kernels, activation, to, count)
          } else kernels.depthwiseGrid(...sizes, scales.at(frame), grid, activation.step)
        }
      },
    }
  },
}
