import { elementCount } from '../../../core/tensors.ts'
import type { ConstantType, Operand } from '../plan.ts'
import { GATHER_ROWS } from './gather.ts'
import {
  type Binding,
  type Bound,
  type BroughtRows,
  BYTES,
  INTEGERS,
  type Operator,
  roundUp,
  rowsBytes,
  type View,
} from './operator.ts'

/** Name of the operator. */
export const GATHER_PAGED = 'gather-paged'
/** How many operands it has before those of `gather-rows`. */
export const OWN = 2
const IDS = 1
/** Places of operands. */
export const PLACE = { order: 0, digests: 1, table: OWN, ids: OWN + IDS } as const
const ALIGNMENT = 64

/** Which operands have a row for each row of the table: a record in a page is a row of each, in this order. */
export function recordParts(operands: readonly (Operand | View | undefined)[], scaled: unknown): readonly number[] {
  return operands.flatMap((operand, place) => {
    const { name } = GATHER_ROWS.inputs[place - OWN] ?? {}
    const isPart = place >= OWN && name !== 'ids' && !(name === 'scales' && scaled === 'columns')
    return isPart && operand !== null && operand !== undefined ? [place] : []
  })
}

/** Bytes of one row of a constant. */
export function partBytes(dtype: ConstantType, [, ...row]: readonly number[]): number {
  return rowsBytes(dtype, row)
}

interface Part {
  readonly place: number
  /** The hot rows. */
  readonly view: View
  /** Of a row. */
  readonly bytes: number
  /** In a record of a page. */
  readonly at: number
  /** In the scratch, where the rows of all ids lie one after the other. */
  readonly offset: number
}

/** The lookup reads the rows of its ids, which were put one after the other, by the ids 0, 1, 2 and so on. */
const gatherPaged: Operator = {
  name: GATHER_PAGED,
  what: '`gather-rows` from a table [V, D] whose first rows, in the order of places, are `table`; the others are in pages of `rowsPerPage` rows in the pages file, from `offset` on. `order` [V] has the place of each id, `digests` [pages, 32] the SHA-256 of each page; the ids are an input',
  inputs: [
    { name: 'order', types: INTEGERS, constant: true },
    { name: 'digests', types: BYTES, constant: true },
    ...GATHER_ROWS.inputs,
  ],
  outputs: GATHER_ROWS.outputs,
  attributes: { ...GATHER_ROWS.attributes, rowsPerPage: { type: 'number' }, offset: { type: 'number' } },
  bind(step: Binding): Bound {
    const ids = step.input(PLACE.ids)
    const { count } = ids
    const parts: Part[] = []
    let [at, offset] = [0, roundUp(count * 4, ALIGNMENT)]
    for (const place of recordParts(step.inputs, step.choice('scaled'))) {
      const view = step.input(place)
      const bytes = partBytes(view.dtype, view.shape)
      parts.push({ place, view, bytes, at, offset })
      at += bytes
      offset += roundUp(count * bytes, ALIGNMENT)
    }
    const inputs = [...step.inputs]
    inputs[PLACE.ids] = { ...ids, at: inScratch(0) }
    for (const { place, view, offset } of parts) {
      const shape = [count, ...view.shape.slice(1)]
      inputs[place] = { ...view, shape, count: elementCount(shape), at: inScratch(offset) }
    }
    const { cost, guarded } = GATHER_ROWS.bind(withInputs(step, inputs.slice(OWN)))
    return {
      cost,
      scratch: offset,
      run(kernels, frame, scratch) {
        kernels.iota(scratch, count, 0, 1)
        guarded?.run(kernels, { ...frame, scratch })
      },
      bring(rows, memory, frame, scratch) {
        const bytes = new Uint8Array(memory)
        for (const part of parts) copyRows(part, rows, bytes, part.view.at(frame), scratch + part.offset)
      },
    }
  },
}

function inScratch(offset: number): View['at'] {
  return ({ scratch = 0 }) => scratch + offset
}

function withInputs(step: Binding, inputs: Binding['inputs']): Binding {
  const input = (index: number): View => {
    const view = inputs[index]
    step.need(view !== undefined, `operand ${index + OWN} is missing`)
    return view
  }
  return { ...step, inputs, input }
}

/** @param from the hot rows @param to where the rows of all ids come */
function copyRows(
  { bytes: size, at }: Part,
  { slots, cold, recordBytes }: BroughtRows,
  bytes: Uint8Array,
  from: number,
  to: number,
): void {
  for (const slot of slots) {
    if (slot >= 0) {
      const row = from + slot * size
      bytes.copyWithin(to, row, row + size)
    } else {
      const record = ~slot * recordBytes + at
      bytes.set(cold.subarray(record, record + size), to)
    }
    to += size
  }
}

/** What looks rows up in tables that are not all in the image. */
export const PAGED: readonly Operator[] = [gatherPaged]
