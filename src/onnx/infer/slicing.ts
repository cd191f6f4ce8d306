import { intOf } from '../make.ts'
import { lengthOf, listOf } from './lists.ts'
import { at, type Rule, type Rules } from './rule.ts'
import { type Dim, placeOf, typed, unknownDims } from './types.ts'

const split: Rule = (context) => {
  const { elementType, shape, values } = at(context, 0)
  const count = context.node.output.length
  const axis = shape && placeOf(intOf(context.node, 'axis', 0), shape.length)
  if (shape === undefined || axis === undefined) return context.node.output.map(() => typed(elementType))
  const given = listOf(context, 'split', 1)
  const whole = shape[axis] ?? null
  let start = 0
  return context.node.output.map((_, index) => {
    let size: Dim = null
    if (Array.isArray(given)) size = given[index] ?? null
    else if (given === undefined && typeof whole === 'number') {
      const part = Math.ceil(whole / count)
      size = Math.max(0, Math.min(part, whole - index * part))
    }
    const part = shape.length === 1 && size !== null ? values?.slice(start, start + Number(size)) : undefined
    start += Number(size)
    return typed(
      elementType,
      shape.map((dim, place) => (place === axis ? size : dim)),
      part,
    )
  })
}

const slice: Rule = (context) => {
  const { elementType, shape, values } = at(context, 0)
  if (shape === undefined) return [typed(elementType)]
  const starts = listOf(context, 'starts', 1)
  const ends = listOf(context, 'ends', 2)
  const steps = listOf(context, 'steps', 4)
  const count = [1, 2].map((index) => lengthOf(at(context, index))).find((length) => length !== undefined)
  const every = Array.from({ length: count ?? shape.length }, (_, index) => index)
  const axes = listOf(context, 'axes', 3) ?? (Array.isArray(starts) ? starts.map((_, index) => index) : every)
  if (axes === 'unknown') return [typed(elementType, unknownDims(shape.length))]
  const result: Dim[] = [...shape]
  let picked: readonly Dim[] | undefined = shape.length === 1 ? values : undefined
  for (const [index, given] of axes.entries()) {
    const axis = placeOf(given, shape.length)
    if (axis === undefined) return [typed(elementType, unknownDims(shape.length))]
    const dim = shape[axis] ?? null
    const start = Array.isArray(starts) ? starts[index] : undefined
    const end = Array.isArray(ends) ? ends[index] : undefined
    const step = steps === undefined ? 1 : Array.isArray(steps) ? steps[index] : undefined
    if (start === 0 && step === 1 && end !== undefined && end >= 2 ** 31 - 1) continue
    const named = ends === 'unknown' ? at(context, 2).values?.[index] : undefined
    // A table of positions that is cut to the length of a text, which is no longer than the table.
    if (start === 0 && step === 1 && typeof dim === 'number' && typeof named === 'string') {
      result[axis] = named
      picked = undefined
      continue
    }
    if (typeof dim !== 'number' || start === undefined || end === undefined || !step) {
      result[axis] = null
      picked = undefined
      continue
    }
    const range = sliceRange(dim, start, end, step)
    result[axis] = range.length
    picked &&= range.map((place) => picked?.[place] ?? null)
  }
  return [typed(elementType, result, picked)]
}

/** Indices that a slice takes of a dimension. */
function sliceRange(dim: number, start: number, end: number, step: number): ArrayLike<number> & number[] {
  const lowest = step > 0 ? 0 : -1
  const highest = step > 0 ? dim : dim - 1
  const clamp = (value: number, low: number): number =>
    Math.min(highest, Math.max(low, value < 0 ? value + dim : value))
  const from = clamp(start, 0)
  const to = clamp(end, lowest)
  const length = Math.max(0, Math.ceil((to - from) / step))
  return Array.from({ length }, (_, index) => from + index * step)
}

export const slicing: Rules = { Split: split, Slice: slice }
