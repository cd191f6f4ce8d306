import { DataType } from '../data.ts'
import { attributeOf, intOf, intsOf } from '../make.ts'
import { lengthOf, listOf, productOf } from './lists.ts'
import { at, each, type Rule, type Rules } from './rule.ts'
import { broadcast, type Dim, firstType, meet, placeOf, sizeOf, typed, unknownDims } from './types.ts'

const reshape: Rule = (context) => {
  const data = at(context, 0)
  const wanted: readonly Dim[] | undefined = intsOf(context.node, 'shape') ?? at(context, 1).values
  if (wanted === undefined) {
    const rank = lengthOf(at(context, 1))
    return [typed(data.elementType, rank === undefined ? undefined : unknownDims(rank), data.values)]
  }
  const zeroIsZero = intOf(context.node, 'allowzero', 0) !== 0
  const shape = wanted.map((dim, index) => (dim === 0 && !zeroIsZero ? (data.shape?.[index] ?? null) : dim))
  const open = shape.indexOf(-1)
  if (open >= 0)
    shape[open] = quotient(
      data.shape,
      shape.filter((_, index) => index !== open),
    )
  return [typed(data.elementType, shape, data.values)]
}

/** What one dimension must be for the others to multiply out to `whole`. */
function quotient(whole: readonly Dim[] | undefined, others: readonly Dim[]): Dim {
  if (whole === undefined || others.includes(null)) return null
  const rest = [...whole]
  let divisor = 1
  for (const dim of others) {
    if (typeof dim === 'number') divisor *= dim
    else {
      const place = rest.indexOf(dim)
      if (place < 0) return null
      rest.splice(place, 1)
    }
  }
  const names = rest.filter((dim) => typeof dim !== 'number')
  const size = sizeOf(rest.filter((dim) => typeof dim === 'number')) ?? 0
  if (names.length === 0) return divisor > 0 && size % divisor === 0 ? size / divisor : null
  return names.length === 1 && size === divisor ? (names[0] ?? null) : null
}

const transpose: Rule = (context) => {
  const { elementType, shape, values } = at(context, 0)
  if (shape === undefined)
    return [
      typed(
        elementType,
        intsOf(context.node, 'perm')?.map(() => null),
      ),
    ]
  const order = intsOf(context.node, 'perm') ?? shape.map((_, index) => shape.length - 1 - index)
  return [
    typed(
      elementType,
      order.map((axis) => shape[axis] ?? null),
      shape.length < 2 ? values : undefined,
    ),
  ]
}

const concat: Rule = ({ node, inputs }) => {
  const elementType = firstType(...inputs)
  const known = inputs.find(({ shape }) => shape !== undefined)?.shape
  const axis = known && placeOf(intOf(node, 'axis', 1), known.length)
  if (known === undefined || axis === undefined) return [typed(elementType)]
  const shape = known.map((_, place): Dim => {
    const dims = inputs.map((input) => input.shape?.[place] ?? null)
    if (place !== axis) return dims.reduce(meet)
    if (dims.length === 1) return dims[0] ?? null
    return sizeOf(dims) === null ? null : (dims as number[]).reduce((sum, dim) => sum + dim, 0)
  })
  if (known.length !== 1 || sizeOf(shape) === null) return [typed(elementType, shape)]
  const values = inputs.flatMap((input) => input.values ?? unknownDims(Number(input.shape?.[0])))
  return [typed(elementType, shape, values)]
}

const squeeze: Rule = (context) => {
  const { elementType, shape, values } = at(context, 0)
  const axes = listOf(context, 'axes', 1)
  if (shape === undefined || axes === 'unknown') return [typed(elementType)]
  if (axes === undefined) {
    // Whether an open dimension is 1 is known only at run time.
    if (sizeOf(shape) === null) return [typed(elementType)]
    return [
      typed(
        elementType,
        shape.filter((dim) => dim !== 1),
        values,
      ),
    ]
  }
  const places = axes.map((axis) => placeOf(axis, shape.length))
  return [
    typed(
      elementType,
      shape.filter((_, index) => !places.includes(index)),
      values,
    ),
  ]
}

const unsqueeze: Rule = (context) => {
  const { elementType, shape, values } = at(context, 0)
  const axes = listOf(context, 'axes', 1)
  if (shape === undefined || axes === undefined) return [typed(elementType)]
  if (axes === 'unknown') {
    const count = lengthOf(at(context, 1))
    return [typed(elementType, count === undefined ? undefined : unknownDims(shape.length + count))]
  }
  const rank = shape.length + axes.length
  const places = axes.map((axis) => placeOf(axis, rank))
  const rest = [...shape]
  const result = Array.from({ length: rank }, (_, index): Dim => (places.includes(index) ? 1 : (rest.shift() ?? null)))
  return [typed(elementType, result, values)]
}

const flatten: Rule = (context) => {
  const { elementType, shape, values } = at(context, 0)
  if (shape === undefined) return [typed(elementType, [null, null])]
  const given = intOf(context.node, 'axis', 1)
  const axis = given < 0 ? given + shape.length : given
  return [typed(elementType, [productOf(shape.slice(0, axis)), productOf(shape.slice(axis))], values)]
}

const expand: Rule = (context) => {
  const { elementType, shape, values } = at(context, 0)
  const target = at(context, 1)
  const length = lengthOf(target)
  const wanted = target.values ?? (length === undefined ? undefined : unknownDims(length))
  const result = broadcast(shape, wanted)
  return [typed(elementType, result, sizeOf(result) === values?.length ? values : undefined)]
}

const tile: Rule = (context) => {
  const { elementType, shape } = at(context, 0)
  const repeats = at(context, 1).values
  return [
    typed(
      elementType,
      shape?.map((dim, index) => {
        const times = repeats?.[index] ?? null
        if (times === 1) return dim
        return typeof dim === 'number' && typeof times === 'number' ? dim * times : null
      }),
    ),
  ]
}

const shapeOp: Rule = (context) => {
  const { shape } = at(context, 0)
  if (shape === undefined) return [typed(DataType.INT64, [null])]
  const end = attributeOf(context.node, 'end') === undefined ? shape.length : intOf(context.node, 'end', 0)
  const part = shape.slice(intOf(context.node, 'start', 0), end)
  return [typed(DataType.INT64, [part.length], part)]
}

const depthToSpace =
  (inverse: boolean): Rule =>
  (context) => {
    const { elementType, shape } = at(context, 0)
    const block = intOf(context.node, 'blocksize', 1)
    const scale = (dim: Dim | undefined, factor: number): Dim =>
      typeof dim === 'number' && Number.isInteger(dim * factor) ? dim * factor : null
    const side = inverse ? 1 / block : block
    return [
      typed(elementType, [
        shape?.[0] ?? null,
        scale(shape?.[1], 1 / side ** 2),
        scale(shape?.[2], side),
        scale(shape?.[3], side),
      ]),
    ]
  }

export const shaping: Rules = {
  Reshape: reshape,
  Transpose: transpose,
  Concat: concat,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Flatten: flatten,
  Expand: expand,
  Tile: tile,
  Shape: shapeOp,
  Size: (context) => [typed(DataType.INT64, [], [sizeOf(at(context, 0).shape)])],
  ...each('DepthToSpace', depthToSpace(false)),
  ...each('SpaceToDepth', depthToSpace(true)),
}
