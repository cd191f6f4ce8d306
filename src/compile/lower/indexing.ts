import type { Operand } from '../../engine/verge/plan.ts'
import { DataType } from '../../onnx/data.ts'
import { intOf } from '../../onnx/make.ts'
import { equal, numberOf, ONE, plus, product, type Size, size, times, ZERO } from '../size.ts'
import { quantizeRows } from '../weights.ts'
import { axisAttribute, axisOf } from './builder.ts'
import { narrow, repeated } from './lazy.ts'
import { asRamp, flattened, readThrough } from './ramp.ts'
import type { RuleContext, Rules } from './rule.ts'
import { cut } from './slicing.ts'
import { storedMatrix } from './stored.ts'
import type { Lowered, Quantized, Ramp, Value } from './values.ts'
import { valueType } from './values.ts'

/** Operators that read elements by indices. */
export const INDEXING: Rules = {
  Gather: (context) => [gathered(context)],
  GatherND: (context) => [gatheredNd(context)],
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

function gathered({ node, at, lazy, build }: RuleContext): Value {
  const value = at(0)
  const index = lazy(1)
  const axis = axisAttribute(node, 0, value.shape.length)
  const ramp = axis === 0 && index.kind === 'ramp' ? readThrough(build, value, index, 1) : undefined
  if (ramp !== undefined) return ramp
  const indices = narrow(build, index)
  const list = build.sizes(value)
  const chosen = build.known(indices)
  if (list !== undefined && chosen !== undefined && value.shape.length === 1) {
    const values = chosen.map((place) => list[axisOf(place, list.length)])
    if (values.some((item) => item === undefined)) throw build.decline('it reads an element that does not exist')
    return { kind: 'sizes', values: values as Size[], type: value.type, shape: indices.shape }
  }
  const shapeFor = (shape: readonly Size[]): Size[] => [
    ...value.shape.slice(0, axis),
    ...shape,
    ...value.shape.slice(axis + 1),
  ]
  const shape = shapeFor(indices.shape)
  // One known index is a cut, which copies less often than it is no copy at all.
  const [only, ...others] = chosen ?? []
  if (only !== undefined && others.length === 0) {
    const dim = value.shape[axis] ?? ONE
    const start = only < 0 ? plus(dim, size(only)) : size(only)
    const part = build.reshaped(cut(build, value, [{ axis, start, length: ONE, step: 1 }]), shape)
    return repeated(build, part, shapeFor(index.shape))
  }
  const table = axis === 0 ? tableOf(build, value) : undefined
  const rows =
    table === undefined
      ? build.step({
          op: 'gather',
          in: [build.operand(value), build.operand(indices)],
          type: value.type,
          shape,
          with: { axis },
        })
      : build.step({
          op: 'gather-rows',
          in: [table.table, build.operand(indices), table.scales],
          type: value.type,
          shape,
          with: { scaled: table.scaled },
        })
  return repeated(build, rows, shapeFor(index.shape))
}

function gatheredNd({ node, at, lazy, build }: RuleContext): Value {
  const value = at(0)
  const index = lazy(1)
  const parts = index.kind === 'places' ? index.parts : columnsOf(build, index)
  if (parts === undefined || intOf(node, 'batch_dims', 0) !== 0)
    throw build.decline('its indices are data, or begin behind axes of their own')
  const ramps = parts.flatMap((part) => (part.kind === 'ramp' ? [part] : []))
  const last = parts.at(-1)
  if (last !== undefined && last.kind !== 'ramp' && ramps.length === parts.length - 1)
    return oneOfEach(build, value, ramps, last)
  const ramp = ramps.length === parts.length ? flattened(ramps, value.shape) : undefined
  const read = ramp && readThrough(build, value, ramp, parts.length)
  if (read === undefined) throw build.decline('its indices do not count through whole axes')
  return read
}

/** One row of each item of a batch, as CLIP takes the end of each text. */
function oneOfEach(build: RuleContext['build'], value: Lowered, ramps: readonly Ramp[], last: Lowered): Value {
  const axis = ramps.length
  const counting = flattened(ramps, value.shape)
  const whole = build.reshaped(value, [product(value.shape.slice(0, axis)), ...value.shape.slice(axis)])
  const rest = value.shape.slice(axis + 1)
  const isEach = counting?.shape.length === 1 && numberOf(counting.steps[0] ?? ZERO) === 1
  if (!isEach || numberOf(counting.start) !== 0 || !equal(whole.shape[0] ?? ZERO, counting.shape[0] ?? ONE))
    throw build.decline('its indices do not count through whole axes')
  const [count = ONE] = whole.shape
  const rows = build.reshaped(last, [count, ONE, ...rest.map(() => ONE)])
  const shape = [count, ONE, ...rest]
  const ids = build.plain(repeated(build, rows, shape))
  const picked = build.step({
    op: 'gather-elements',
    in: [build.operand(whole), build.operand(ids)],
    type: value.type,
    shape,
    with: { axis: 1 },
  })
  return build.reshaped(picked, [count, ...rest])
}

/** Indices that are constants, as those of each axis. */
function columnsOf(build: RuleContext['build'], index: Value): Ramp[] | undefined {
  const ramp = asRamp(build, index)
  const last = index.shape.length - 1
  const count = numberOf(index.shape[last] ?? ZERO)
  if (ramp === undefined || count === undefined) return undefined
  return Array.from({ length: count }, (_, column) => ({
    ...ramp,
    start: plus(ramp.start, times(ramp.steps[last] ?? ZERO, size(column))),
    steps: ramp.steps.slice(0, last),
    shape: ramp.shape.slice(0, last),
  }))
}

interface Table {
  readonly table: Operand
  readonly scales: Operand
  readonly scaled: 'rows' | 'columns'
}

interface RowsOfBytes {
  readonly values: Int8Array
  readonly scales: Float32Array
  readonly scaled: Table['scaled']
}

/** A constant table whose rows, or elements of eight bits, are read one by one, in the precision that it is stored in. */
function tableOf(build: RuleContext['build'], value: Lowered): Table | undefined {
  const [rows, width] = [...value.shape, ...(value.shape.length === 1 ? [ONE] : [])].map(numberOf)
  if ((value.kind !== 'constant' && value.kind !== 'quantized') || valueType(value.type) !== 'f32') return undefined
  if (value.shape.length > 2 || rows === undefined || width === undefined) return undefined
  if (value.kind === 'constant') {
    if (value.shape.length === 1) return undefined
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

function storedTable(value: Quantized, rows: number, width: number): RowsOfBytes | undefined {
  const stored = storedMatrix(value, rows, width)
  if (stored === undefined) return undefined
  const scaled = stored.scaled === 'rows' ? 'rows' : 'columns'
  const scales = Float32Array.from({ length: scaled === 'rows' ? rows : width }, (_, index) => stored.scaleOf(index))
  return { values: stored.values, scales, scaled }
}
