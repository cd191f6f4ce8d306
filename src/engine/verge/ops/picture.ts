import { type Binding, type Bound, FLOATS, type Operator, sameShape } from './operator.ts'
import { WINDOW, windowOf } from './window.ts'

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
    // Where a scale changes no size, ONNX Runtime gives the picture as it is.
    const isSame = outHeight === height && outWidth === width
    const [sy = outHeight / height, sx = outWidth / width] = isSame ? [1, 1] : step.numbers('scales')
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

/** Operators of pictures that have no weights. */
export const PICTURES: readonly Operator[] = [pool, resize]
