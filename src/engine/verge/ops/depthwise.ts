import { countOf } from '../dims.ts'
import { activate, activationOf } from './activation.ts'
import { type Binding, type Bound, FLOATS, type Operator, PER_FLOAT } from './operator.ts'
import { optionalColumns } from './product.ts'
import { CONVOLUTION, planeOf, windowOf } from './window.ts'

export const depthwise: Operator = {
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
