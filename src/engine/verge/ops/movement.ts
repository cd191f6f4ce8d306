import { bitsOf } from './making.ts'
import { ANY, type Binding, type Bound, type Operator, PER_ELEMENT, SIZE, sameShape, type View } from './operator.ts'
import { broadcastStrides, stridesOf, walk } from './strides.ts'

/** A strided copy of all elements of `shape`, from `start` elements behind x to `place` elements behind the result. */
function copying(
  step: Binding,
  { x, out, shape, from, to, start = 0, place = 0 }: CopySpec,
): { cost: number; run: Run } {
  const axes = walk(shape, [from, to])
  step.need(axes !== undefined, 'it moves along too many axes')
  const size = SIZE[out.dtype]
  const empty = shape.includes(0)
  return {
    cost: shape.reduce((count, dim) => count * dim, 1) * PER_ELEMENT,
    run(kernels, frame) {
      if (!empty) kernels.copy(x.at(frame) + start * size, out.at(frame) + place * size, size, ...axes)
    },
  }
}

type Run = NonNullable<Bound['run']>

interface CopySpec {
  readonly x: View
  readonly out: View
  readonly shape: readonly number[]
  readonly from: readonly number[]
  readonly to: readonly number[]
  readonly start?: number
  readonly place?: number
}

const sameType = (step: Binding): void =>
  step.need(step.input(0).dtype === step.output().dtype, 'its result is of another type')

const transpose: Operator = {
  name: 'transpose',
  what: 'axes in the order of `perm`',
  inputs: [{ name: 'x', types: ANY }],
  outputs: [{ types: ANY }],
  attributes: { perm: { type: 'numbers' } },
  bind(step: Binding): Bound {
    const [x, out] = [step.input(0), step.output()]
    sameType(step)
    const perm = step.numbers('perm')
    const axes = [...perm].sort((a, b) => a - b)
    step.need(
      perm.length === x.shape.length && axes.every((axis, index) => axis === index),
      'its order is not one of its axes',
    )
    const shape = perm.map((axis) => x.shape[axis] ?? 1)
    step.need(sameShape(shape, out.shape), 'its result has another shape')
    const own = stridesOf(x.shape)
    return copying(step, { x, out, shape, from: perm.map((axis) => own[axis] ?? 1), to: stridesOf(shape) })
  },
}

const slice: Operator = {
  name: 'slice',
  what: 'as many elements as the result has, from `starts` on, `steps` apart (negative ones go backwards)',
  inputs: [{ name: 'x', types: ANY }],
  outputs: [{ types: ANY }],
  attributes: { starts: { type: 'dims' }, steps: { type: 'numbers', otherwise: [] } },
  bind(step: Binding): Bound {
    const [x, out] = [step.input(0), step.output()]
    sameType(step)
    const starts = step.numbers('starts')
    const given = step.numbers('steps')
    const steps = given.length === 0 ? x.shape.map(() => 1) : given
    const rank = x.shape.length
    step.need(out.shape.length === rank && starts.length === rank && steps.length === rank, 'its axes do not fit')
    const inside = out.shape.every((size, axis) => {
      const [start = -1, stride = 0, dim = 0] = [starts[axis], steps[axis], x.shape[axis]]
      const end = start + (size - 1) * stride
      const whole = Number.isInteger(start) && Number.isInteger(stride) && stride !== 0
      return whole && (size === 0 || (start >= 0 && start < dim && end >= 0 && end < dim))
    })
    step.need(inside, `it reads outside of [${x.shape}]`)
    const own = stridesOf(x.shape)
    return copying(step, {
      x,
      out,
      shape: out.shape,
      from: own.map((stride, axis) => stride * (steps[axis] ?? 1)),
      to: stridesOf(out.shape),
      start: own.reduce((sum, stride, axis) => sum + stride * (starts[axis] ?? 0), 0),
    })
  },
}

const concat: Operator = {
  name: 'concat',
  what: 'tensors one after the other along `axis`',
  inputs: [{ name: 'x', types: ANY }],
  variadic: true,
  outputs: [{ types: ANY }],
  attributes: { axis: { type: 'number' } },
  bind(step: Binding): Bound {
    const out = step.output()
    const axis = step.number('axis')
    step.need(Number.isInteger(axis) && axis >= 0 && axis < out.shape.length, 'its axis does not exist')
    const to = stridesOf(out.shape)
    let begin = 0
    const copies = step.inputs.map((_, index) => {
      const x = step.input(index)
      step.need(x.dtype === out.dtype, 'its inputs are of different types')
      const size = x.shape[axis] ?? 0
      const fits =
        x.shape.length === out.shape.length && x.shape.every((dim, at) => at === axis || dim === out.shape[at])
      step.need(fits && begin + size <= (out.shape[axis] ?? 0), 'its inputs do not fit together')
      const place = begin * (to[axis] ?? 1)
      begin += size
      return copying(step, { x, out, shape: x.shape, from: stridesOf(x.shape), to, place })
    })
    step.need(begin === out.shape[axis], 'its result has another shape')
    return {
      cost: out.count * PER_ELEMENT,
      run(kernels, frame, scratch) {
        for (const { run } of copies) run(kernels, frame, scratch)
      },
    }
  },
}

const expand: Operator = {
  name: 'expand',
  what: 'x repeated to the shape of the result; of the same shape, a copy',
  inputs: [{ name: 'x', types: ANY }],
  outputs: [{ types: ANY }],
  bind(step: Binding): Bound {
    const [x, out] = [step.input(0), step.output()]
    sameType(step)
    const from = broadcastStrides(x.shape, out.shape)
    step.need(from !== undefined, `[${x.shape}] cannot be expanded to [${out.shape}]`)
    return copying(step, { x, out, shape: out.shape, from, to: stridesOf(out.shape) })
  },
}

const pad: Operator = {
  name: 'pad',
  what: '`value` around x: `begins` before it, and after it as the result has room',
  inputs: [{ name: 'x', types: ['f32', 'i32'] }],
  outputs: [{ types: ['f32', 'i32'] }],
  attributes: { begins: { type: 'numbers' }, value: { type: 'number', otherwise: 0 } },
  bind(step: Binding): Bound {
    const [x, out] = [step.input(0), step.output()]
    sameType(step)
    const begins = step.numbers('begins')
    const fits =
      begins.length === x.shape.length &&
      out.shape.length === x.shape.length &&
      begins.every((begin, axis) => {
        return Number.isInteger(begin) && begin >= 0 && begin + (x.shape[axis] ?? 0) <= (out.shape[axis] ?? -1)
      })
    step.need(fits, 'its result has no room for its input')
    const to = stridesOf(out.shape)
    const place = to.reduce((sum, stride, axis) => sum + stride * (begins[axis] ?? 0), 0)
    const { run } = copying(step, { x, out, shape: x.shape, from: stridesOf(x.shape), to, place })
    const bits = bitsOf(out, step.number('value'))
    return {
      cost: (out.count + x.count) * PER_ELEMENT,
      run(kernels, frame, scratch) {
        kernels.fill32(out.at(frame), out.count, bits)
        run(kernels, frame, scratch)
      },
    }
  },
}

export const MOVEMENT: readonly Operator[] = [transpose, slice, concat, expand, pad]
