import { DataType } from '../data.ts'
import { attributeOf, intOf, intsOf, stringOf } from '../make.ts'
import { listOf } from './lists.ts'
import { at, each, hasInput, type Rule, type RuleContext, type Rules } from './rule.ts'
import { type Dim, numbersOf, placeOf, typed, unknownDims, type ValueType } from './types.ts'

interface Windows {
  readonly kernel: readonly Dim[]
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
  readonly pads: readonly number[]
  readonly autoPad: string
}

function windowsOf({ node }: RuleContext, kernel: readonly Dim[]): Windows {
  const ones = kernel.map(() => 1)
  return {
    kernel,
    strides: intsOf(node, 'strides') ?? ones,
    dilations: intsOf(node, 'dilations') ?? ones,
    pads: intsOf(node, 'pads') ?? [...ones, ...ones].map(() => 0),
    autoPad: stringOf(node, 'auto_pad', 'NOTSET'),
  }
}

/** Places that a window takes along one axis. */
function placesOf(dim: Dim, windows: Windows, axis: number, up: boolean): Dim {
  const size = windows.kernel[axis] ?? null
  const stride = windows.strides[axis] ?? 1
  if (windows.autoPad.startsWith('SAME')) {
    return typeof dim === 'number' ? Math.ceil(dim / stride) : stride === 1 ? dim : null
  }
  if (typeof size !== 'number') return null
  const reach = (windows.dilations[axis] ?? 1) * (size - 1) + 1
  const valid = windows.autoPad === 'VALID'
  const before = valid ? 0 : (windows.pads[axis] ?? 0)
  const after = valid ? 0 : (windows.pads[axis + windows.kernel.length] ?? 0)
  if (typeof dim !== 'number') return stride === 1 && before + after === reach - 1 ? dim : null
  const steps = (dim + before + after - reach) / stride
  if (!up) return Math.max(0, Math.floor(steps) + 1)
  const places = Math.ceil(steps) + 1
  // A window that would begin in the padding behind the data is left out.
  return (places - 1) * stride >= dim + before ? places - 1 : places
}

/** Shape of a convolution of the data with a weight [out, in / group, ...kernel]; `last` where channels come last. */
export function convolved(context: RuleContext, data: ValueType, weight: ValueType): Dim[] | undefined {
  const kernel: readonly Dim[] | undefined = intsOf(context.node, 'kernel_shape') ?? weight.shape?.slice(2)
  const { shape } = data
  if (kernel === undefined || intOf(context.node, 'channels_last', 0) !== 0) return undefined
  const windows = windowsOf(context, kernel)
  const spatial = kernel.map((_, axis) => placesOf(shape?.[axis + 2] ?? null, windows, axis, false))
  return [shape?.[0] ?? null, weight.shape?.[0] ?? null, ...spatial]
}

const conv: Rule = (context) => [typed(at(context, 0).elementType, convolved(context, at(context, 0), at(context, 1)))]

const convTranspose: Rule = (context) => {
  const [data, weight] = [at(context, 0), at(context, 1)]
  const kernel: readonly Dim[] | undefined = intsOf(context.node, 'kernel_shape') ?? weight.shape?.slice(2)
  if (kernel === undefined) return [typed(data.elementType)]
  const { strides, dilations, pads, autoPad } = windowsOf(context, kernel)
  const wanted = intsOf(context.node, 'output_shape')
  const extra = intsOf(context.node, 'output_padding')
  const spatial = kernel.map((size, axis): Dim => {
    const given = wanted?.at(axis - kernel.length)
    if (given !== undefined) return given
    const dim = data.shape?.[axis + 2]
    const stride = strides[axis] ?? 1
    if (typeof dim !== 'number' || typeof size !== 'number') return null
    if (autoPad.startsWith('SAME')) return dim * stride
    const padding = autoPad === 'VALID' ? 0 : (pads[axis] ?? 0) + (pads[axis + kernel.length] ?? 0)
    return stride * (dim - 1) + (extra?.[axis] ?? 0) + (size - 1) * (dilations[axis] ?? 1) + 1 - padding
  })
  const channels = weight.shape?.[1]
  const group = intOf(context.node, 'group', 1)
  return [
    typed(data.elementType, [
      data.shape?.[0] ?? null,
      typeof channels === 'number' ? channels * group : null,
      ...spatial,
    ]),
  ]
}

/** Pools over windows; their second output, where there is one, holds indices. */
export const pool: Rule = (context) => {
  const { elementType, shape } = at(context, 0)
  const kernel = intsOf(context.node, 'kernel_shape')
  if (kernel === undefined || intOf(context.node, 'channels_last', 0) !== 0) return [typed(elementType)]
  const windows = windowsOf(context, kernel)
  const up = intOf(context.node, 'ceil_mode', 0) !== 0
  const result = [
    shape?.[0] ?? null,
    shape?.[1] ?? null,
    ...kernel.map((_, axis) => placesOf(shape?.[axis + 2] ?? null, windows, axis, up)),
  ]
  return [typed(elementType, result), typed(DataType.INT64, result)]
}

/** Everything behind the channels becomes 1. */
export const globalPool: Rule = (context) => {
  const { elementType, shape } = at(context, 0)
  if (intOf(context.node, 'channels_last', 0) !== 0) {
    return [
      typed(
        elementType,
        shape?.map((dim, axis) => (axis === 0 || axis === shape.length - 1 ? dim : 1)),
      ),
    ]
  }
  return [
    typed(
      elementType,
      shape?.map((dim, axis) => (axis < 2 ? dim : 1)),
    ),
  ]
}

const pad: Rule = (context) => {
  const { elementType, shape } = at(context, 0)
  if (shape === undefined) return [typed(elementType)]
  const pads = listOf(context, 'pads', 1)
  const axes = listOf(context, 'axes', 3)
  if (!Array.isArray(pads) || axes === 'unknown') return [typed(elementType, unknownDims(shape.length))]
  const result: Dim[] = [...shape]
  const places = axes?.map((axis) => placeOf(axis, shape.length) ?? 0) ?? shape.map((_, axis) => axis)
  for (const [index, axis] of places.entries()) {
    const more = (pads[index] ?? 0) + (pads[index + places.length] ?? 0)
    const dim = result[axis] ?? null
    result[axis] = more === 0 ? dim : typeof dim === 'number' ? dim + more : null
  }
  return [typed(elementType, result)]
}

/** `Resize` and `Upsample`: by scales, or to sizes. */
const resize: Rule = (context) => {
  const { elementType, shape } = at(context, 0)
  if (shape === undefined) return [typed(elementType)]
  const old = context.opset < 11
  const scales = attributeOf(context.node, 'scales')?.floats ?? numbersOf(at(context, old ? 1 : 2))
  const sizes = old || !hasInput(context, 3) ? undefined : at(context, 3).values
  const places = (intsOf(context.node, 'axes') ?? shape.map((_, axis) => axis)).map((axis) =>
    placeOf(axis, shape.length),
  )
  const stretched = stringOf(context.node, 'keep_aspect_ratio_policy', 'stretch') === 'stretch'
  return [
    typed(
      elementType,
      shape.map((dim, axis) => {
        const index = places.indexOf(axis)
        if (index < 0) return dim
        if (sizes !== undefined) return stretched ? (sizes[index] ?? null) : null
        const scale = scales?.length === places.length ? scales[index] : undefined
        if (scale === 1) return dim
        return typeof dim === 'number' && scale !== undefined ? Math.floor(Math.fround(dim * scale)) : null
      }),
    ),
  ]
}

const roiAlign: Rule = (context) => [
  typed(at(context, 0).elementType, [
    at(context, 1).shape?.[0] ?? null,
    at(context, 0).shape?.[1] ?? null,
    intOf(context.node, 'output_height', 1),
    intOf(context.node, 'output_width', 1),
  ]),
]

const gridSample: Rule = (context) => {
  const [data, grid] = [at(context, 0), at(context, 1)]
  if (grid.shape === undefined) return [typed(data.elementType)]
  return [typed(data.elementType, [data.shape?.[0] ?? null, data.shape?.[1] ?? null, ...grid.shape.slice(1, -1)])]
}

export const windows: Rules = {
  Conv: conv,
  ConvTranspose: convTranspose,
  ...each('MaxPool AveragePool LpPool', pool),
  ...each('GlobalMaxPool GlobalAveragePool GlobalLpPool', globalPool),
  Pad: pad,
  ...each('Resize Upsample', resize),
  RoiAlign: roiAlign,
  GridSample: gridSample,
}
