import { DataType } from '../data.ts'
import { intOf, stringOf } from '../make.ts'
import { at, each, type Rule, type RuleContext, type Rules } from './rule.ts'
import { broadcast, type Dim, firstType, typed, unknownDims, type ValueType } from './types.ts'

/** Shape of a product of stacks of matrices, as numpy's matmul has it. */
export function product(left: readonly Dim[] | undefined, right: readonly Dim[] | undefined): Dim[] | undefined {
  if (left === undefined || right === undefined || left.length === 0 || right.length === 0) return undefined
  const batch = broadcast(left.slice(0, -2), right.slice(0, -2)) ?? []
  const rows = left.length === 1 ? [] : [left.at(-2) ?? null]
  const columns = right.length === 1 ? [] : [right.at(-1) ?? null]
  return [...batch, ...rows, ...columns]
}

/** The last two dimensions changed over. */
function turned(shape: readonly Dim[] | undefined, turn: boolean): readonly Dim[] | undefined {
  if (!turn || shape === undefined || shape.length < 2) return shape
  return [...shape.slice(0, -2), shape.at(-1) ?? null, shape.at(-2) ?? null]
}

/** A product of the inputs at two places, of the type given or of the first one's. */
export const productOfInputs =
  (left: number, right: number, result?: DataType): Rule =>
  (context) => [
    typed(
      result ?? firstType(at(context, left), at(context, right)),
      product(at(context, left).shape, at(context, right).shape),
    ),
  ]

/** `Gemm`, also of quantized matrices: its left and right inputs are at the places given. */
export const gemm =
  (left: number, right: number): Rule =>
  (context) => {
    const a = turned(at(context, left).shape, intOf(context.node, 'transA', 0) !== 0)
    const b = turned(at(context, right).shape, intOf(context.node, 'transB', 0) !== 0)
    return [typed(at(context, left).elementType, [a?.[0] ?? null, b?.[1] ?? null])]
  }

const fusedMatMul: Rule = (context) => {
  const a = turned(at(context, 0).shape, intOf(context.node, 'transA', 0) !== 0)
  const b = turned(at(context, 1).shape, intOf(context.node, 'transB', 0) !== 0)
  const plain = intOf(context.node, 'transBatchA', 0) === 0 && intOf(context.node, 'transBatchB', 0) === 0
  return [typed(firstType(at(context, 0), at(context, 1)), plain ? product(a, b) : undefined)]
}

/** Sizes of the letters of an equation such as `bij,bjk->bik`; undefined for those with an ellipsis. */
const einsum: Rule = (context) => {
  const elementType = firstType(...context.inputs)
  const equation = stringOf(context.node, 'equation', '').replaceAll(' ', '')
  if (equation.includes('.')) return [typed(elementType)]
  const [terms = '', result] = equation.split('->')
  const sizes = new Map<string, Dim>()
  for (const [place, term] of terms.split(',').entries()) {
    for (const [axis, letter] of [...term].entries()) {
      const dim = at(context, place).shape?.[axis] ?? null
      const known = sizes.get(letter)
      // A dimension of 1 stretches to the other's.
      if (known === undefined || known === null || known === 1) sizes.set(letter, dim)
    }
  }
  const letters = terms.replaceAll(',', '')
  const once = [...new Set(letters)].filter((letter) => letters.split(letter).length === 2).sort()
  const output = result === undefined ? once : [...result]
  return [
    typed(
      elementType,
      output.map((letter) => sizes.get(letter) ?? null),
    ),
  ]
}

/** `Attention` of operator set 23: heads in an axis of their own, or folded into the last. Keys and values follow. */
const attention: Rule = (context) => {
  const [query, key, value] = [at(context, 0), at(context, 1), at(context, 2)]
  const { shape, elementType } = query
  const others = [key.elementType, value.elementType, elementType].map((type) => typed(type, unknownDims(4)))
  if (shape?.length === 4) return [typed(elementType, [...shape.slice(0, 3), value.shape?.[3] ?? null]), ...others]
  if (shape?.length !== 3) return [typed(elementType), ...others]
  const heads = intOf(context.node, 'q_num_heads', 0)
  const valueHeads = intOf(context.node, 'kv_num_heads', 0)
  const width = value.shape?.[2]
  const known = typeof width === 'number' && valueHeads > 0
  const last = known ? (heads * width) / valueHeads : null
  return [typed(elementType, [shape[0] ?? null, shape[1] ?? null, last]), ...others]
}

/** Recurrent layers: all steps' outputs, then the last state (and an LSTM's last cell). */
const recurrent =
  (states: number): Rule =>
  (context) => {
    const { node } = context
    const { elementType, shape } = at(context, 0)
    const batchFirst = intOf(node, 'layout', 0) !== 0
    const steps = shape?.[batchFirst ? 1 : 0] ?? null
    const batch = shape?.[batchFirst ? 0 : 1] ?? null
    const hidden = sizeOfHidden(context)
    const directions = stringOf(node, 'direction', 'forward') === 'bidirectional' ? 2 : 1
    const all = batchFirst ? [batch, steps, directions, hidden] : [steps, directions, batch, hidden]
    const last = typed(elementType, batchFirst ? [batch, directions, hidden] : [directions, batch, hidden])
    return [typed(elementType, all), ...new Array<ValueType>(states).fill(last)]
  }

function sizeOfHidden(context: RuleContext): Dim {
  const given = intOf(context.node, 'hidden_size', 0)
  return given > 0 ? given : (at(context, 2).shape?.[2] ?? null)
}

export const matrix: Rules = {
  MatMul: productOfInputs(0, 1),
  Gemm: gemm(0, 1),
  MatMulInteger: productOfInputs(0, 1, DataType.INT32),
  Einsum: einsum,
  Attention: attention,
  LSTM: recurrent(2),
  ...each('GRU RNN', recurrent(1)),
}

export const fusedMatrix: Rules = {
  ...each('FusedMatMul TransposeMatMul', fusedMatMul),
  FusedGemm: gemm(0, 1),
}
