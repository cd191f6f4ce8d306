import { intOf, intsOf } from '../../onnx/make.ts'
import { equal, minus, numberOf, ONE, over, plus, type Size, size, times, ZERO } from '../size.ts'
import { axisAttribute, axisOf } from './builder.ts'
import type { RuleContext, Rules } from './rule.ts'
import { sizesOf } from './sizes.ts'
import type { Lowered } from './values.ts'

/** Operators that read a part of each axis. */
export const SLICING: Rules = {
  Slice: (context) => [sliced(context)],
  Split: (context) => splits(context),
}

const FARTHEST = 2 ** 31 - 1

interface Cut {
  readonly axis: number
  readonly start: Size
  readonly length: Size
  readonly step: number
}

function sliced(context: RuleContext): Lowered {
  const { node, at, maybe, build } = context
  const value = at(0)
  const list = (name: string, index: number): readonly Size[] | undefined =>
    intsOf(node, name)?.map(size) ?? build.sizes(maybe(index))
  const starts = list('starts', 1)
  const ends = list('ends', 2)
  if (starts === undefined || ends === undefined) throw build.decline('its ends are data')
  const axes =
    list('axes', 3)?.map((axis) => axisOf(numberOf(axis) ?? 0, value.shape.length)) ?? starts.map((_, axis) => axis)
  const steps = list('steps', 4)?.map(numberOf) ?? starts.map(() => 1)
  const cuts = starts.map((start, index): Cut => {
    const axis = axes[index] ?? 0
    return cutOf(context, {
      dim: value.shape[axis] ?? ONE,
      axis,
      start,
      end: ends[index] ?? ZERO,
      step: steps[index] ?? 0,
    })
  })
  const whole = build.sizes(value)
  if (value.kind === 'sizes' && whole !== undefined && value.shape.length === 1) {
    const [cut] = cuts
    const [start, length] = [numberOf(cut?.start ?? ZERO), numberOf(cut?.length ?? ZERO)]
    if (cut === undefined || start === undefined || length === undefined) throw build.decline('its ends are data')
    return sizesOf(
      Array.from({ length }, (_, index) => whole[start + index * cut.step] ?? ZERO),
      value.type,
    )
  }
  return cut(build, value, cuts)
}

function cutOf(
  { build }: RuleContext,
  { dim, axis, start, end, step }: { dim: Size; axis: number; start: Size; end: Size; step: number },
): Cut {
  if (step === -1 && numberOf(start) === -1 && (numberOf(end) ?? 0) <= -FARTHEST) {
    return { axis, start: minus(dim, ONE), length: dim, step }
  }
  if (step < 1) throw build.decline('it reads backwards, or its steps are data')
  const from = placed(start, dim)
  const to = placed(end, dim)
  if (from === undefined || to === undefined)
    throw build.decline('where it begins and ends depends on sizes that are not known')
  const length = over(plus(minus(to, from), size(step - 1)), size(step))
  if (length === undefined) throw build.decline('its length does not follow from its input')
  const number = numberOf(length)
  return { axis, start: from, length: number !== undefined && number < 0 ? ZERO : length, step }
}

/** A position, counted from the start; clamped where both are numbers, and taken to lie inside where it is a size. */
function placed(position: Size, dim: Size): Size | undefined {
  const number = numberOf(position)
  const most = numberOf(dim)
  if (number === undefined) return position
  if (number >= FARTHEST) return dim
  if (most !== undefined) return size(Math.max(0, Math.min(most, number < 0 ? number + most : number)))
  if (number < 0) return number <= -FARTHEST ? ZERO : plus(dim, size(number))
  // Beyond the end of a shorter tensor the operator would stop at its end.
  return number <= 1 ? position : undefined
}

export function cut(build: RuleContext['build'], value: Lowered, cuts: readonly Cut[]): Lowered {
  const shape = [...value.shape]
  const starts: Size[] = shape.map(() => ZERO)
  const steps = shape.map(() => 1)
  for (const { axis, start, length, step } of cuts) {
    shape[axis] = length
    starts[axis] = start
    steps[axis] = step
  }
  const same = shape.every((dim, axis) => equal(dim, value.shape[axis] ?? ZERO)) && steps.every((step) => step === 1)
  if (same) return value
  return build.step({
    op: 'slice',
    in: [build.operand(value)],
    type: value.type,
    shape,
    with: { starts: starts.map((start) => build.dim(start)), steps },
  })
}

function splits({ node, at, maybe, build }: RuleContext): Lowered[] {
  const value = at(0)
  const axis = axisAttribute(node, 0, value.shape.length)
  const dim = value.shape[axis] ?? ONE
  const count = intOf(node, 'num_outputs', node.output.length)
  const given = intsOf(node, 'split')?.map(size) ?? build.sizes(maybe(1))
  if (given === undefined && maybe(1) !== undefined) throw build.decline('its parts are data')
  const part = over(dim, size(count))
  const lengths =
    given ?? (part && equal(times(part, size(count)), dim) ? new Array<Size>(count).fill(part) : undefined)
  if (lengths === undefined) throw build.decline('its parts are not of one known size')
  let start = ZERO
  return lengths.map((length) => {
    const result = cut(build, value, [{ axis, start, length, step: 1 }])
    start = plus(start, length)
    return result
  })
}
