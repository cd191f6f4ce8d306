import {
  ANY,
  type Binding,
  type Bound,
  FLOATS,
  INTEGERS,
  type Operator,
  PER_ELEMENT,
  SIZE,
  sameShape,
  type View,
} from './operator.ts'
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

function bitsOf({ dtype }: View, value: number): number {
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
    step.need(Number.isInteger(start) && Number.isInteger(apart), 'its ends are no whole numbers')
    return { cost: out.count, run: (kernels, frame) => kernels.iota(out.at(frame), out.count, start | 0, apart | 0) }
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
    step.need(
      values.every((value) => Number.isInteger(value) && Math.abs(value) < 2 ** 31),
      'a size is too large',
    )
    return {
      cost: values.length,
      run(kernels, frame) {
        const at = out.at(frame)
        for (const [index, value] of values.entries()) kernels.fill32(at + index * 4, 1, value)
      },
    }
  },
}

const gather: Operator = {
  name: 'gather',
  what: 'slices of x along `axis` by ids; negative ids count from the end',
  inputs: [
    { name: 'x', types: ANY },
    { name: 'ids', types: INTEGERS },
  ],
  outputs: [{ types: ANY }],
  attributes: { axis: { type: 'number', otherwise: 0 } },
  bind(step: Binding): Bound {
    const [x, ids, out] = [step.input(0), step.input(1), step.output()]
    sameType(step)
    const axis = step.number('axis')
    step.need(Number.isInteger(axis) && axis >= 0 && axis < x.shape.length, 'its axis does not exist')
    const product = (from: number, to?: number) => x.shape.slice(from, to).reduce((sum, size) => sum * size, 1)
    const [outer, size, inner] = [product(0, axis), x.shape[axis] ?? 0, product(axis + 1)]
    step.need(out.count === outer * ids.count * inner, 'its result has another shape')
    return {
      cost: out.count * PER_ELEMENT,
      lookUp: {
        ids,
        size,
        run: (kernels, frame) =>
          kernels.gather(x.at(frame), ids.at(frame), out.at(frame), outer, size, ids.count, inner * SIZE[x.dtype]),
      },
    }
  },
}

const gatherElements: Operator = {
  name: 'gather-elements',
  what: 'elements of x along `axis` by ids of the shape of the result',
  inputs: [
    { name: 'x', types: ANY },
    { name: 'ids', types: INTEGERS },
  ],
  outputs: [{ types: ANY }],
  attributes: { axis: { type: 'number', otherwise: 0 } },
  bind(step: Binding): Bound {
    const [x, ids, out] = [step.input(0), step.input(1), step.output()]
    sameType(step)
    const axis = step.number('axis')
    step.need(Number.isInteger(axis) && axis >= 0 && axis < x.shape.length, 'its axis does not exist')
    const fits = ids.shape.length === x.shape.length && x.shape.every((dim, at) => at === axis || dim === ids.shape[at])
    step.need(fits && sameShape(ids.shape, out.shape), 'its ids do not fit its input')
    const product = (from: number, to?: number) => x.shape.slice(from, to).reduce((sum, size) => sum * size, 1)
    const [outer, size, inner] = [product(0, axis), x.shape[axis] ?? 0, product(axis + 1)]
    return {
      cost: out.count * PER_ELEMENT,
      lookUp: {
        ids,
        size,
        run: (kernels, frame) =>
          kernels.gatherElements(
            x.at(frame),
            ids.at(frame),
            out.at(frame),
            outer,
            size,
            ids.shape[axis] ?? 0,
            inner,
            SIZE[x.dtype],
          ),
      },
    }
  },
}

const gatherRows: Operator = {
  name: 'gather-rows',
  what: 'rows of a table [V, D] by ids, as f32: of f32, f16, or i8 with a scale for each row or column; negative ids count from the end',
  inputs: [
    { name: 'table', types: ['f32', 'f16', 'i8'], constant: true },
    { name: 'ids', types: INTEGERS },
    { name: 'scales', types: FLOATS, constant: true, optional: true },
  ],
  outputs: [{ types: FLOATS }],
  attributes: { scaled: { type: 'choice', of: ['rows', 'columns'], otherwise: 'rows' } },
  bind(step: Binding): Bound {
    const [table, ids, out] = [step.input(0), step.input(1), step.output()]
    const scales = step.inputs[2]
    const [rows = 0, width = 0] = table.shape
    step.need(table.shape.length === 2, 'its table is not a matrix')
    step.need(out.count === ids.count * width, 'its result has another shape')
    step.need((table.dtype === 'i8') === (scales !== undefined), 'a table of bytes has scales, and no other has')
    const byRow = step.choice('scaled') === 'rows'
    step.need(scales === undefined || scales.count === (byRow ? rows : width), 'its table has another number of scales')
    return {
      cost: out.count * PER_ELEMENT,
      lookUp: {
        ids,
        size: rows,
        run(kernels, frame) {
          const [from, at, to] = [table.at(frame), ids.at(frame), out.at(frame)]
          if (table.dtype === 'f32') return kernels.gather(from, at, to, 1, rows, ids.count, width * 4)
          return kernels.gatherRows(from, scales?.at(frame) ?? 0, at, to, rows, ids.count, width, byRow ? 1 : 0)
        },
      },
    }
  },
}

export const MOVEMENT: readonly Operator[] = [
  transpose,
  slice,
  concat,
  expand,
  pad,
  fill,
  range,
  dims,
  gather,
  gatherElements,
  gatherRows,
]
