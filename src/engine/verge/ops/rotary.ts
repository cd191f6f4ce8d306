import { type Binding, type Bound, FLOATS, type Operator, PER_ELEMENT } from './operator.ts'

export const ROTARY: Operator = {
  name: 'rotary',
  what: 'x1 · cos − x2 · sin and x2 · cos + x1 · sin of the halves x1, x2 of each head, with cos and sin [B or 1, S or 1, headSize or its half]; `offset` says where the heads begin in x [B, S, ...]',
  inputs: [
    { name: 'x', types: FLOATS },
    { name: 'cos', types: FLOATS },
    { name: 'sin', types: FLOATS },
  ],
  outputs: [{ types: FLOATS }],
  attributes: { heads: { type: 'number' }, headSize: { type: 'number' }, offset: { type: 'number', otherwise: 0 } },
  bind(step: Binding): Bound {
    const [x, cos, sin, out] = [step.input(0), step.input(1), step.input(2), step.output()]
    const [heads, size, offset] = [step.number('heads'), step.number('headSize'), step.number('offset')]
    step.need(
      [x, cos, sin, out].every(({ shape }) => shape.length === 3),
      'its tensors are not of [batch, position, channel]',
    )
    step.need(
      [heads, size, offset].every(Number.isInteger) && heads > 0 && size > 0 && size % 2 === 0,
      'it has no pairs',
    )
    const [batch = 0, length = 0, channels = 0] = x.shape
    const width = heads * size
    step.need(width <= 65_536 && offset >= 0 && offset + width <= channels, 'its heads lie outside its tensor')
    step.need(
      out.shape[0] === batch && out.shape[1] === length && out.shape[2] === width,
      'its result has another shape',
    )
    const [angleBatch = 0, angleLength = 0, angles = 0] = cos.shape
    const fits = (angleBatch === 1 || angleBatch === batch) && (angleLength === 1 || angleLength === length)
    const isHalf = angles * 2 === size
    step.need(fits && (isHalf || angles === size), 'its angles do not fit its channels')
    step.need(
      sin.shape.every((dim, axis) => dim === cos.shape[axis]),
      'its sines have another shape than its cosines',
    )
    return {
      cost: out.count * PER_ELEMENT,
      run(kernels, frame) {
        for (let item = 0; item < batch; item++) {
          const angle = angleBatch === 1 ? 0 : item * angleLength * angles * 4
          kernels.rotateRows(
            x.at(frame) + (item * length * channels + offset) * 4,
            cos.at(frame) + angle,
            sin.at(frame) + angle,
            out.at(frame) + item * length * width * 4,
            length,
            heads,
            size,
            channels * 4,
            angleLength === 1 ? 0 : angles * 4,
            isHalf ? 0 : size * 2,
          )
        }
      },
    }
  },
}
