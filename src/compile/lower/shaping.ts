import type { Operand } from '../../engine/verge/plan.ts'
import { DataType, floatsOf, integersOf } from '../../onnx/data.ts'
import { attributeOf, intOf, intsOf } from '../../onnx/make.ts'
import { equal, minus, numberOf, ONE, over, plus, product, type Size, size, times, toDim, ZERO } from '../size.ts'
import { quantizeRows } from '../weights.ts'
import { broadcast } from './broadcast.ts'
import { axisAttribute, axisOf } from './builder.ts'
import type { RuleContext, Rules } from './rule.ts'
import type { Lowered, Quantized, Sizes } from './values.ts'
import { valueType } from './values.ts'

/** Operators that move elements, or only name them in another way. */
export const SHAPING: Rules = {
  Identity: ({ at }) => [at(0)],
  Dropout: ({ node, at, maybe, build }) => {
    const training = maybe(2)
    const off = training === undefined || (training.kind === 'constant' && integersOf(training.tensor)[0] === 0)
    if (!off || node.output.slice(1).some((name) => name !== '')) throw build.decline('it drops elements at random')
    return [at(0)]
  },
  Shape: ({ node, at }) => {
    const { shape } = at(0)
    const end = intOf(node, 'end', shape.length)
    return [sizesOf(shape.slice(intOf(node, 'start', 0), end))]
  },
  Size: ({ at }) => [{ kind: 'sizes', values: [product(at(0).shape)], type: DataType.INT64, shape: [] }],
  Reshape: (context) => [context.build.reshaped(context.at(0), reshapedTo(context))],
  Flatten: ({ node, at, build }) => {
    const value = at(0)
    const axis = axisAttribute(node, 1, value.shape.length)
    return [build.reshaped(value, [product(value.shape.slice(0, axis)), product(value.shape.slice(axis))])]
  },
  Squeeze: ({ node, at, maybe, build }) => {
    const value = at(0)
    const given = intsOf(node, 'axes') ?? build.known(maybe(1))
    if (given === undefined && maybe(1) !== undefined) throw build.decline('its axes are data')
    const axes = given?.map((axis) => axisOf(axis, value.shape.length))
    return [
      build.reshaped(
        value,
        value.shape.filter((dim, axis) => !(axes ? axes.includes(axis) : numberOf(dim) === 1)),
      ),
    ]
  },
  Unsqueeze: ({ node, at, maybe, build }) => {
    const value = at(0)
    const axes = intsOf(node, 'axes') ?? build.known(maybe(1))
    if (axes === undefined) throw build.decline('its axes are not constant')
    const rank = value.shape.length + axes.length
    const added = new Set(axes.map((axis) => axisOf(axis, rank)))
    const rest = value.shape[Symbol.iterator]()
    return [
      build.reshaped(
        value,
        Array.from({ length: rank }, (_, axis) => (added.has(axis) ? ONE : (rest.next().value ?? ONE))),
      ),
    ]
  },
  Transpose: ({ node, at, build }) => {
    const value = at(0)
    const perm = intsOf(node, 'perm') ?? value.shape.map((_, axis) => value.shape.length - 1 - axis)
    const shape = perm.map((axis) => value.shape[axis] ?? ONE)
    // Nothing moves where only axes of one element change places.
    const order = perm.filter((axis) => numberOf(value.shape[axis] ?? ONE) !== 1)
    if (order.every((axis, place) => place === 0 || axis > (order[place - 1] ?? 0)))
      return [build.reshaped(value, shape)]
    return [build.step({ op: 'transpose', in: [build.operand(value)], type: value.type, shape, with: { perm } })]
  },
  Concat: ({ node, build, at }) => {
    const values = node.input.map((_, index) => at(index))
    const [first] = values
    if (first === undefined) throw build.decline('it has no inputs')
    const axis = axisAttribute(node, 0, first.shape.length)
    const listed = values.map((value) => build.sizes(value))
    if (first.shape.length === 1 && listed.every((sizes) => sizes !== undefined)) {
      return [
        sizesOf(
          listed.flatMap((sizes) => sizes ?? []),
          first.type,
        ),
      ]
    }
    const shape = first.shape.map((dim, place) =>
      place === axis ? values.map((value) => value.shape[axis] ?? ONE).reduce(plus) : dim,
    )
    return [
      build.step({
        op: 'concat',
        in: values.map((value) => build.operand(value)),
        type: first.type,
        shape,
        with: { axis },
      }),
    ]
  },
  Slice: (context) => [sliced(context)],
  Split: (context) => splits(context),
  Gather: (context) => [gathered(context)],
  Expand: ({ at, build }) => {
    const value = at(0)
    const target = build.sizes(at(1))
    if (target === undefined) throw build.decline('its shape is data')
    return [expanded(build, value, broadcast(build, value.shape, target))]
  },
  ConstantOfShape: ({ node, at, build }) => {
    const shape = build.sizes(at(0))
    if (shape === undefined) throw build.decline('its shape is data')
    const tensor = attributeOf(node, 'value')?.t
    const type = tensor?.dataType ?? DataType.FLOAT
    if (valueType(type) === 'i32') {
      const count = numberOf(product(shape))
      const value = size(tensor ? (integersOf(tensor)[0] ?? 0) : 0)
      if (count !== undefined && shape.length <= 1 && count <= 64) {
        return [{ kind: 'sizes', values: new Array<Size>(count).fill(value), type, shape }]
      }
      const one: Sizes = { kind: 'sizes', values: [value], type, shape: shape.map(() => ONE) }
      return [expanded(build, one, shape)]
    }
    if (valueType(type) !== 'f32')
      throw build.decline('it makes a tensor that is neither of floats nor of whole numbers')
    const constant = build.floats(
      Float32Array.of(tensor ? (floatsOf(tensor)[0] ?? 0) : 0),
      shape.map(() => ONE),
    )
    return [build.step({ op: 'expand', in: [{ constant }], type, shape })]
  },
  Range: ({ at, build }) => {
    const [start, limit, delta] = [0, 1, 2].map((index) => build.sizes(at(index))?.[0])
    const step = delta && numberOf(delta)
    if (start === undefined || limit === undefined || step !== 1)
      throw build.decline('its ends are data, or its step is not 1')
    const count = minus(limit, start)
    const numbers = numberOf(count)
    if (numbers !== undefined && numbers <= 64) {
      return [sizesOf(Array.from({ length: numbers }, (_, index) => plus(start, size(index))))]
    }
    return [build.step({ op: 'range', in: [], type: DataType.INT64, shape: [count], with: { start: [toDim(start)] } })]
  },
  Pad: (context) => [padded(context)],
  GatherElements: ({ node, at, build }) => {
    const [value, indices] = [at(0), at(1)]
    const axis = axisAttribute(node, 0, value.shape.length)
    const fits = indices.shape.every((dim, place) => place === axis || equal(dim, value.shape[place] ?? ZERO))
    if (!fits) throw build.decline('its indices have another shape than its input')
    return [
      build.step({
        op: 'gather-elements',
        in: [build.operand(value), build.operand(indices)],
        type: value.type,
        shape: indices.shape,
        with: { axis },
      }),
    ]
  },
}

function sizesOf(values: readonly Size[], type: DataType = DataType.INT64): Sizes {
  return { kind: 'sizes', values, type, shape: [size(values.length)] }
}

function reshapedTo({ node, at, maybe, build }: RuleContext): Size[] {
  const value = at(0)
  const target = build.sizes(maybe(1)) ?? intsOf(node, 'shape')?.map(size)
  if (target === undefined) throw build.decline('its shape is data')
  const keep = intOf(node, 'allowzero', 0) === 0
  const dims = target.map((dim, axis) => (keep && numberOf(dim) === 0 ? (value.shape[axis] ?? ZERO) : dim))
  const open = dims.findIndex((dim) => numberOf(dim) === -1)
  if (open === -1) return dims
  const rest = over(product(value.shape), product(dims.filter((_, axis) => axis !== open)))
  if (rest === undefined) throw build.decline('the size of its open dimension does not follow from its input')
  return dims.map((dim, axis) => (axis === open ? rest : dim))
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

function cut(build: RuleContext['build'], value: Lowered, cuts: readonly Cut[]): Lowered {
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
    with: { starts: starts.map(toDim), steps },
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

function gathered({ node, at, build }: RuleContext): Lowered {
  const value = at(0)
  const indices = at(1)
  const axis = axisAttribute(node, 0, value.shape.length)
  const list = build.sizes(value)
  const chosen = build.known(indices)
  if (list !== undefined && chosen !== undefined && value.shape.length === 1) {
    const values = chosen.map((index) => list[axisOf(index, list.length)])
    if (values.some((item) => item === undefined)) throw build.decline('it reads an element that does not exist')
    return { kind: 'sizes', values: values as Size[], type: value.type, shape: indices.shape }
  }
  const shape = [...value.shape.slice(0, axis), ...indices.shape, ...value.shape.slice(axis + 1)]
  // One known index is a cut, which copies less often than it is no copy at all.
  const [only, ...others] = chosen ?? []
  if (only !== undefined && others.length === 0) {
    const dim = value.shape[axis] ?? ONE
    const start = only < 0 ? plus(dim, size(only)) : size(only)
    return build.reshaped(cut(build, value, [{ axis, start, length: ONE, step: 1 }]), shape)
  }
  const table = axis === 0 ? tableOf(build, value) : undefined
  if (table !== undefined) {
    return build.step({
      op: 'gather-rows',
      in: [table.table, build.operand(indices), table.scales],
      type: value.type,
      shape,
      with: { scaled: table.scaled },
    })
  }
  return build.step({
    op: 'gather',
    in: [build.operand(value), build.operand(indices)],
    type: value.type,
    shape,
    with: { axis },
  })
}

interface Table {
  readonly table: Operand
  readonly scales: Operand
  readonly scaled: 'rows' | 'columns'
}

/** A constant table whose rows are read one by one, in the precision that it is stored in. */
function tableOf(build: RuleContext['build'], value: Lowered): Table | undefined {
  const [rows, width] = value.shape.map(numberOf)
  if ((value.kind !== 'constant' && value.kind !== 'quantized') || valueType(value.type) !== 'f32') return undefined
  if (value.shape.length !== 2 || rows === undefined || width === undefined) return undefined
  if (value.kind === 'constant') {
    const half = value.type === DataType.FLOAT16
    const floats = build.floatsOf(value)
    const data = half ? Float16Array.from(floats) : floats
    const table = { constant: build.image.add(half ? 'f16' : 'f32', 'rows', [rows, width], data) }
    return { table, scales: null, scaled: 'rows' }
  }
  const { values, scales, scaled } = storedTable(value, rows, width) ?? {
    ...quantizeRows(build.floatsOf(value), rows, width),
    scaled: 'rows',
  }
  return {
    table: { constant: build.image.add('i8', 'rows', [rows, width], values) },
    scales: { constant: build.image.add('f32', 'rows', [scales.length], scales) },
    scaled,
  }
}

/** Eight bits as they are stored, where no zero point takes them out of their range. */
function storedTable(
  { tensor, scale, zero, axis }: Quantized,
  rows: number,
  width: number,
): { values: Int8Array; scales: Float32Array; scaled: 'rows' | 'columns' } | undefined {
  if (tensor.dataType !== DataType.INT8 && tensor.dataType !== DataType.UINT8) return undefined
  const scales = floatsOf(scale)
  const zeros = zero ? integersOf(zero) : []
  const scaled = axis === 0 && scales.length > 1 ? 'rows' : 'columns'
  const count = scaled === 'rows' ? rows : width
  if (scales.length !== 1 && scales.length !== count) return undefined
  const values = new Int8Array(rows * width)
  for (const [index, value] of integersOf(tensor).entries()) {
    const channel = scaled === 'rows' ? Math.floor(index / width) : index % width
    const centred = value - (zeros[zeros.length === 1 ? 0 : channel] ?? 0)
    if (centred < -128 || centred > 127) return undefined
    values[index] = centred
  }
  const all = Float32Array.from({ length: count }, (_, index) => scales[scales.length === 1 ? 0 : index] ?? 1)
  return { values, scales: all, scaled }
}

function expanded(build: RuleContext['build'], value: Lowered, shape: readonly Size[]): Lowered {
  const before = [...new Array<Size>(Math.max(0, shape.length - value.shape.length)).fill(ONE), ...value.shape]
  if (shape.every((dim, axis) => equal(dim, before[axis] ?? ONE))) return build.reshaped(value, shape)
  return build.step({ op: 'expand', in: [build.operand(value)], type: value.type, shape })
}

function padded({ node, at, maybe, build }: RuleContext): Lowered {
  const value = at(0)
  const mode = attributeOf(node, 'mode')
  if (mode !== undefined && new TextDecoder().decode(mode.s) !== 'constant')
    throw build.decline('it pads by reflection or by the edge')
  const pads = intsOf(node, 'pads') ?? build.known(maybe(1))
  const rank = value.shape.length
  const given = maybe(2)
  const axes = build.known(maybe(3))?.map((axis) => axisOf(axis, rank)) ?? value.shape.map((_, axis) => axis)
  if (pads === undefined || valueType(value.type) !== 'f32')
    throw build.decline('its widths are data, or it pads no floats')
  if (given !== undefined && given.kind !== 'constant') throw build.decline('its value is data')
  const fill = given === undefined ? (attributeOf(node, 'value')?.f ?? 0) : (floatsOf(given.tensor)[0] ?? 0)
  const begins = value.shape.map(() => 0)
  const shape = [...value.shape]
  for (const [index, axis] of axes.entries()) {
    begins[axis] = pads[index] ?? 0
    shape[axis] = plus(shape[axis] ?? ZERO, size((pads[index] ?? 0) + (pads[index + axes.length] ?? 0)))
  }
  if (pads.some((width) => width < 0)) throw build.decline('it cuts by negative widths')
  return build.step({ op: 'pad', in: [build.operand(value)], type: value.type, shape, with: { begins, value: fill } })
}
