import { floatsOf } from '../../onnx/data.ts'
import { attributeOf, intsOf, stringOf } from '../../onnx/make.ts'
import { equal, minus, ONE, plus, type Size, size, ZERO } from '../size.ts'
import { axisOf } from './builder.ts'
import type { RuleContext, Rules } from './rule.ts'
import { cut } from './slicing.ts'
import { type Lowered, valueType } from './values.ts'

export const PADDING: Rules = {
  Pad: (context) => [padded(context)],
}

/** Widths before and behind, of the axes that have any. */
interface Widths {
  readonly axis: number
  readonly before: number
  readonly behind: number
}

function padded(context: RuleContext): Lowered {
  const { node, at, maybe, build } = context
  const value = at(0)
  const pads = intsOf(node, 'pads') ?? build.known(maybe(1))
  const rank = value.shape.length
  const axes = build.known(maybe(3))?.map((axis) => axisOf(axis, rank)) ?? value.shape.map((_, axis) => axis)
  if (pads === undefined || valueType(value.type) !== 'f32')
    throw build.decline('its widths are data, or it pads no floats')
  if (pads.some((width) => width < 0)) throw build.decline('it cuts by negative widths')
  const widths = axes.map(
    (axis, index): Widths => ({ axis, before: pads[index] ?? 0, behind: pads[index + axes.length] ?? 0 }),
  )
  const mode = stringOf(node, 'mode', 'constant')
  if (mode === 'constant') return filled(context, value, widths)
  if (mode !== 'reflect' && mode !== 'edge') throw build.decline(`it pads by "${mode}"`)
  const beside = mode === 'edge' ? edge : mirrored
  return widths.reduce((inner, width) => besides(context, inner, width, beside), value)
}

function filled({ node, maybe, build }: RuleContext, value: Lowered, widths: readonly Widths[]): Lowered {
  const given = maybe(2)
  if (given !== undefined && given.kind !== 'constant') throw build.decline('its value is data')
  const fill = given === undefined ? (attributeOf(node, 'value')?.f ?? 0) : (floatsOf(given.tensor)[0] ?? 0)
  const begins = value.shape.map(() => 0)
  const shape = [...value.shape]
  for (const { axis, before, behind } of widths) {
    begins[axis] = before
    shape[axis] = plus(shape[axis] ?? ZERO, size(before + behind))
  }
  return build.step({ op: 'pad', in: [build.operand(value)], type: value.type, shape, with: { begins, value: fill } })
}

type Beside = (context: RuleContext, value: Lowered, axis: number, width: number, isBehind: boolean) => Lowered

function besides(context: RuleContext, value: Lowered, { axis, before, behind }: Widths, beside: Beside): Lowered {
  const { build } = context
  const parts = [
    ...(before > 0 ? [beside(context, value, axis, before, false)] : []),
    value,
    ...(behind > 0 ? [beside(context, value, axis, behind, true)] : []),
  ]
  if (parts.length === 1) return value
  const shape = value.shape.map((dim, place) => (place === axis ? plus(dim, size(before + behind)) : dim))
  return build.step({
    op: 'concat',
    in: parts.map((part) => build.operand(part)),
    type: value.type,
    shape,
    with: { axis },
  })
}

/** What lies next to the edge, read backwards. */
const mirrored: Beside = ({ build }, value, axis, width, isBehind) => {
  const start = isBehind ? minus(value.shape[axis] ?? ONE, size(2)) : size(width)
  return cut(build, value, [{ axis, start, length: size(width), step: -1 }])
}

/** The element at the edge, repeated. */
const edge: Beside = ({ build }, value, axis, width, isBehind) => {
  const dim = value.shape[axis] ?? ONE
  const one = equal(dim, ONE)
    ? value
    : cut(build, value, [{ axis, start: isBehind ? minus(dim, ONE) : ZERO, length: ONE, step: 1 }])
  const shape: Size[] = value.shape.map((other, place) => (place === axis ? size(width) : other))
  return build.step({ op: 'expand', in: [build.operand(one)], type: value.type, shape })
}
