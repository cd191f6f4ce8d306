import { lookingUp } from './guard.ts'
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

/** What both operators read that look along an axis: x as [outer, size, inner], by ids. */
interface Along {
  readonly x: View
  readonly ids: View
  readonly out: View
  readonly axis: number
  readonly outer: number
  readonly size: number
  readonly inner: number
}

function along(step: Binding): Along {
  const [x, ids, out] = [step.input(0), step.input(1), step.output()]
  step.need(x.dtype === out.dtype, 'its result is of another type')
  const axis = step.number('axis')
  step.need(Number.isInteger(axis) && axis >= 0 && axis < x.shape.length, 'its axis does not exist')
  const product = (from: number, to?: number) => x.shape.slice(from, to).reduce((sum, size) => sum * size, 1)
  return { x, ids, out, axis, outer: product(0, axis), size: x.shape[axis] ?? 0, inner: product(axis + 1) }
}

const ALONG: Pick<Operator, 'inputs' | 'outputs' | 'attributes'> = {
  inputs: [
    { name: 'x', types: ANY },
    { name: 'ids', types: INTEGERS },
  ],
  outputs: [{ types: ANY }],
  attributes: { axis: { type: 'number', otherwise: 0 } },
}

const gather: Operator = {
  name: 'gather',
  what: 'slices of x along `axis` by ids; negative ids count from the end',
  ...ALONG,
  bind(step: Binding): Bound {
    const { x, ids, out, outer, size, inner } = along(step)
    step.need(out.count === outer * ids.count * inner, 'its result has another shape')
    const bytes = inner * SIZE[x.dtype]
    return {
      cost: out.count * PER_ELEMENT,
      ...lookingUp(ids, size, (kernels, frame) =>
        kernels.gather(x.at(frame), ids.at(frame), out.at(frame), outer, size, ids.count, bytes),
      ),
    }
  },
}

const gatherElements: Operator = {
  name: 'gather-elements',
  what: 'elements of x along `axis` by ids of the shape of the result',
  ...ALONG,
  bind(step: Binding): Bound {
    const { x, ids, out, axis, outer, size, inner } = along(step)
    const fits = ids.shape.length === x.shape.length && x.shape.every((dim, at) => at === axis || dim === ids.shape[at])
    step.need(fits && sameShape(ids.shape, out.shape), 'its ids do not fit its input')
    const [count, bytes] = [ids.shape[axis] ?? 0, SIZE[x.dtype]]
    return {
      cost: out.count * PER_ELEMENT,
      ...lookingUp(ids, size, (kernels, frame) =>
        kernels.gatherElements(x.at(frame), ids.at(frame), out.at(frame), outer, size, count, inner, bytes),
      ),
    }
  },
}

/** What `gather-paged` ends in */
export const GATHER_ROWS: Operator = {
  name: 'gather-rows',
  what: 'rows of a table [V, D] by ids, as f32: of f32, f16, i8 with a scale for each row or column, or u4 with scales [V, D / `block`] and zero points of that shape (8 without); negative ids count from the end',
  inputs: [
    { name: 'table', types: ['f32', 'f16', 'i8', 'u4'], constant: true },
    { name: 'ids', types: INTEGERS },
    { name: 'scales', types: ['f32', 'f16'], constant: true, optional: true },
    { name: 'zeros', types: ['u4'], constant: true, optional: true },
  ],
  outputs: [{ types: FLOATS }],
  attributes: {
    scaled: { type: 'choice', of: ['rows', 'columns'], otherwise: 'rows' },
    block: { type: 'number', otherwise: 0 },
  },
  bind(step: Binding): Bound {
    const [table, ids, out] = [step.input(0), step.input(1), step.output()]
    const [, , scales, zeros] = step.inputs
    const [rows = 0, width = 0] = table.shape
    step.need(table.shape.length === 2, 'its table is not a matrix')
    step.need(out.count === ids.count * width, 'its result has another shape')
    if (table.dtype === 'u4') return rowsOfBlocks(step, { table, ids, out, scales, zeros })
    step.need((table.dtype === 'i8') === (scales !== undefined), 'a table of bytes has scales, and no other has')
    step.need(scales?.dtype !== 'f16' && zeros === undefined, 'its table has no scales in f16, and no zero points')
    const byRow = step.choice('scaled') === 'rows'
    step.need(scales === undefined || scales.count === (byRow ? rows : width), 'its table has another number of scales')
    return {
      cost: out.count * PER_ELEMENT,
      ...lookingUp(ids, rows, (kernels, frame) => {
        const [from, at, to] = [table.at(frame), ids.at(frame), out.at(frame)]
        if (table.dtype === 'f32') return kernels.gather(from, at, to, 1, rows, ids.count, width * 4)
        return kernels.gatherRows(from, scales?.at(frame) ?? 0, at, to, rows, ids.count, width, byRow ? 1 : 0)
      }),
    }
  },
}

interface BlockOperands {
  readonly table: View
  readonly ids: View
  readonly out: View
  readonly scales: View | undefined
  readonly zeros: View | undefined
}

/** A table of four bits, in blocks along its rows. */
function rowsOfBlocks(step: Binding, { table, ids, out, scales, zeros }: BlockOperands): Bound {
  const [rows = 0, width = 0] = table.shape
  const block = step.number('block')
  step.need(Number.isSafeInteger(block) && block > 0 && block < 2 ** 31 - width, 'its blocks have no size')
  const shape = [rows, Math.ceil(width / block)]
  step.need(scales !== undefined && sameShape(scales.shape, shape), 'its table has another number of scales')
  step.need(zeros === undefined || sameShape(zeros.shape, shape), 'its table has another number of zero points')
  const halves = scales.dtype === 'f16' ? 1 : 0
  return {
    cost: out.count * PER_ELEMENT,
    ...lookingUp(ids, rows, (kernels, frame) => {
      const [levels, factors, points] = [table.at(frame), scales.at(frame), zeros?.at(frame) ?? 0]
      return kernels.gatherBlocks(
        levels,
        factors,
        points,
        ids.at(frame),
        out.at(frame),
        rows,
        ids.count,
        width,
        block,
        halves,
      )
    }),
  }
}

/** What looks elements up by ids that are data. */
export const GATHER: readonly Operator[] = [gather, gatherElements, GATHER_ROWS]
