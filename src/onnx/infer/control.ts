import { DataType } from '../data.ts'
import { attributeOf, intOf, intsOf } from '../make.ts'
import { at, type Rule, type RuleContext, type Rules } from './rule.ts'
import { type Dim, join, numberOf, placeOf, sameShape, typed, UNKNOWN, type ValueType } from './types.ts'

/** Both branches, or the one that a known condition chooses. */
const either: Rule = (context) => {
  const condition = numberOf(at(context, 0))
  const [yes, no] = ['then_branch', 'else_branch'].map((name) => {
    const graph = attributeOf(context.node, name)?.g
    return graph ? context.inferGraph(graph, []) : []
  })
  if (condition !== undefined) return (condition === 0 ? no : yes) ?? []
  return context.node.output.map((_, index) => join(yes?.[index] ?? UNKNOWN, no?.[index] ?? UNKNOWN))
}

/** Rounds until what a loop carries no longer changes. Each round only forgets, so few are needed. */
const MOST_ROUNDS = 8

/**
 * Types of a body's outputs once those of what it carries around hold for every iteration. Carried values are inputs
 * and outputs of the body from the two places on.
 */
function settled(
  context: RuleContext,
  carried: readonly ValueType[],
  body: (carried: readonly ValueType[]) => readonly ValueType[],
  firstOutput: number,
): readonly ValueType[] {
  // Elements change from one iteration to the next, even where the shape stays.
  let state: readonly ValueType[] = carried.map(({ elementType, shape }) => typed(elementType, shape))
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const results = body(state)
    const next = state.map((before, index) => join(before, results[firstOutput + index] ?? UNKNOWN))
    if (next.every((type, index) => sameShape(type, state[index] ?? UNKNOWN))) return results
    state = next
  }
  return context.node.output.map(() => UNKNOWN)
}

/** A scan output: one slice an iteration, along the axis given. */
function stacked({ elementType, shape }: ValueType, axis = 0, length: Dim = null): ValueType {
  const place = shape && placeOf(axis, shape.length + 1)
  if (shape === undefined || place === undefined) return typed(elementType)
  return typed(elementType, [...shape.slice(0, place), length, ...shape.slice(place)])
}

const loop: Rule = (context) => {
  const body = attributeOf(context.node, 'body')?.g
  if (body === undefined) return []
  const carried = context.inputs.slice(2)
  const iteration = typed(DataType.INT64, [])
  const condition = typed(DataType.BOOL, [])
  const run = (state: readonly ValueType[]): readonly ValueType[] =>
    context.inferGraph(body, [iteration, condition, ...state])
  const results = settled(context, carried, run, 1).slice(1)
  return results.map((type, index) => (index < carried.length ? join(type, carried[index] ?? UNKNOWN) : stacked(type)))
}

const scan: Rule = (context) => {
  const body = attributeOf(context.node, 'body')?.g
  // Operator set 8 had a batch axis in front.
  if (body === undefined || context.opset < 9) return []
  const count = intOf(context.node, 'num_scan_inputs', 0)
  const axes = intsOf(context.node, 'scan_input_axes')
  const carried = context.inputs.slice(0, context.inputs.length - count)
  let length: Dim = null
  const slices = context.inputs.slice(carried.length).map(({ elementType, shape }, index): ValueType => {
    const place = shape && placeOf(axes?.[index] ?? 0, shape.length)
    if (shape === undefined || place === undefined) return typed(elementType)
    length ??= shape[place] ?? null
    return typed(
      elementType,
      shape.filter((_, axis) => axis !== place),
    )
  })
  const results = settled(context, carried, (state) => context.inferGraph(body, [...state, ...slices]), 0)
  const outputAxes = intsOf(context.node, 'scan_output_axes')
  return results.map((type, index) =>
    index < carried.length
      ? join(type, carried[index] ?? UNKNOWN)
      : stacked(type, outputAxes?.[index - carried.length] ?? 0, length),
  )
}

export const control: Rules = { If: either, Loop: loop, Scan: scan }
