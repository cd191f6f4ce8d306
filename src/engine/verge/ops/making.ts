import { ANY, type Binding, type Bound, INTEGERS, type Operator, type View } from './operator.ts'

/** A number as the 32 bits of an element. */
export function bitsOf({ dtype }: View, value: number): number {
  if (dtype !== 'f32') return value | 0
  return new Int32Array(Float32Array.of(value).buffer)[0] ?? 0
}

const fill: Operator = {
  name: 'fill',
  what: '`value` in every element',
  inputs: [],
  outputs: [{ types: ANY }],
  attributes: { value: { type: 'number' } },
  bind(step: Binding): Bound {
    const out = step.output()
    const value = step.number('value')
    const bits = bitsOf(out, value)
    return {
      cost: out.count,
      run(kernels, frame) {
        if (out.dtype === 'u8') kernels.fill8(out.at(frame), out.count, value === 0 ? 0 : 1)
        else kernels.fill32(out.at(frame), out.count, bits)
      },
    }
  },
}

const range: Operator = {
  name: 'range',
  what: 'whole numbers from `start` on, `step` apart',
  inputs: [],
  outputs: [{ types: INTEGERS }],
  attributes: { start: { type: 'dims' }, step: { type: 'number', otherwise: 1 } },
  bind(step: Binding): Bound {
    const out = step.output()
    const [start = 0] = step.numbers('start')
    const apart = step.number('step')
    const last = start + Math.max(0, out.count - 1) * apart
    step.need(Number.isInteger(start) && Number.isInteger(apart), 'its ends are no whole numbers')
    step.needHeld(start, last)
    return { cost: out.count, run: (kernels, frame) => kernels.iota(out.at(frame), out.count, start, apart) }
  },
}

const dims: Operator = {
  name: 'dims',
  what: '`values`, which depend on the sizes of the inputs, as i32',
  inputs: [],
  outputs: [{ types: INTEGERS }],
  attributes: { values: { type: 'dims' } },
  bind(step: Binding): Bound {
    const out = step.output()
    const values = step.numbers('values')
    step.need(out.count === values.length && values.length <= 64, 'its result has another shape')
    step.need(values.every(Number.isInteger), 'a size is no whole number')
    step.needHeld(...values)
    return {
      cost: values.length,
      run(kernels, frame) {
        const at = out.at(frame)
        for (const [index, value] of values.entries()) kernels.fill32(at + index * 4, 1, value)
      },
    }
  },
}

/** What makes elements of nothing but attributes and sizes. */
export const MAKING: readonly Operator[] = [fill, range, dims]
