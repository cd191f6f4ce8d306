import { CHECKED, checking, isChecked } from './guard.ts'
import {
  ANY,
  type Binding,
  type Bound,
  BYTES,
  type Operator,
  PER_ELEMENT,
  SIZE,
  sameShape,
  TYPE_CODE,
  type View,
} from './operator.ts'
import { broadcastShape, broadcastStrides, walk } from './strides.ts'
import { UNARY_CODE, UNARY_KINDS, type UnaryKind } from './unary-kinds.ts'

const LARGEST = 3.4028234663852886e38
const MOST_I32 = 2 ** 31 - 1

const OF_INTEGERS: readonly string[] = ['neg', 'abs', 'relu', 'sign', 'clip']
const SLOW: readonly string[] = [
  'log',
  'sin',
  'cos',
  'softplus',
  'mish',
  'exp',
  'gelu',
  'erf',
  'tanh',
  'sigmoid',
  'silu',
]

const unary: Operator = {
  name: 'unary',
  what: `\`kind\` of each element: ${UNARY_KINDS.join(', ')}; ${OF_INTEGERS.join(', ')} of i32 too; not of u8. \`checked\`: 1 refuses what i32 does not hold`,
  inputs: [{ name: 'x', types: ANY }],
  outputs: [{ types: ANY }],
  attributes: {
    kind: { type: 'choice', of: [...UNARY_KINDS, 'not'] },
    alpha: { type: 'number', otherwise: Number.NaN },
    beta: { type: 'number', otherwise: 0.5 },
    min: { type: 'number', otherwise: -LARGEST },
    max: { type: 'number', otherwise: LARGEST },
    ...CHECKED,
  },
  inPlace: [0],
  bind(step: Binding): Bound {
    const [x, out] = [step.input(0), step.output()]
    const kind = step.choice('kind')
    step.need(x.count === out.count && x.dtype === out.dtype, 'its result is not like its input')
    step.need((kind === 'not') === (x.dtype === 'u8'), `it is not computed on type ${x.dtype}`)
    step.need(x.dtype !== 'i32' || OF_INTEGERS.includes(kind), `it is not computed on type ${x.dtype}`)
    const { count } = x
    const cost = count * (SLOW.includes(kind) ? 40 : PER_ELEMENT)
    if (kind === 'not') return { cost, run: (kernels, frame) => kernels.notU8(x.at(frame), out.at(frame), count) }
    const code = UNARY_CODE[kind as UnaryKind]
    const [a, b] = kind === 'clip' ? ends(step, x) : [alphaOf(step, kind), step.number('beta')]
    if (x.dtype === 'i32') {
      return {
        cost,
        ...checking(step, (kernels, frame) => kernels.unaryI32(code, x.at(frame), out.at(frame), count, a, b)),
      }
    }
    return { cost, run: (kernels, frame) => kernels.unaryF32(code, x.at(frame), out.at(frame), count, a, b) }
  },
}

function ends(step: Binding, x: View): readonly [number, number] {
  const [min, max] = [step.number('min'), step.number('max')]
  if (x.dtype === 'i32') return [Math.max(-MOST_I32 - 1, min), Math.min(MOST_I32, max)]
  return [min <= -LARGEST ? Number.NEGATIVE_INFINITY : min, max >= LARGEST ? Number.POSITIVE_INFINITY : max]
}

function alphaOf(step: Binding, kind: string): number {
  const alpha = step.number('alpha')
  if (!Number.isNaN(alpha)) return alpha
  return kind === 'leaky-relu' ? 0.01 : kind === 'hard-sigmoid' ? 0.2 : 1
}

/** Whole numbers whose arithmetic is checked, as the kernels number them beside types. */
const CHECKED_TYPE = 3
/** What may be checked: the results of others are always right. */
const ARITHMETIC: readonly string[] = ['add', 'sub', 'mul', 'div', 'pow', 'mod', 'fmod']

/** In the order of `Binary` in `assembly/elementwise.ts`. */
const BINARY_KINDS = [
  'add',
  'sub',
  'mul',
  'div',
  'pow',
  'min',
  'max',
  'mod',
  'fmod',
  'equal',
  'less',
  'less-equal',
  'greater',
  'greater-equal',
  'and',
  'or',
  'xor',
  'prelu',
] as const
const COMPARISONS: readonly string[] = ['equal', 'less', 'less-equal', 'greater', 'greater-equal']
const LOGICAL: readonly string[] = ['and', 'or', 'xor', 'equal']

const binary: Operator = {
  name: 'binary',
  what: `\`kind\` of two tensors that broadcast: ${BINARY_KINDS.join(', ')} (and, or, xor of u8; comparisons give u8; prelu of f32). \`checked\`: 1 refuses results that i32 does not hold, and division by 0; without it they wrap around`,
  inputs: [
    { name: 'a', types: ANY },
    { name: 'b', types: ANY },
  ],
  outputs: [{ types: ANY }],
  attributes: { kind: { type: 'choice', of: BINARY_KINDS }, ...CHECKED },
  inPlace: [0, 1],
  bind(step: Binding): Bound {
    const [a, b, out] = [step.input(0), step.input(1), step.output()]
    const kind = step.choice('kind')
    step.need(a.dtype === b.dtype, 'its inputs are of different types')
    step.need(a.dtype !== 'u8' || LOGICAL.includes(kind), `it is not computed on type ${a.dtype}`)
    step.need(a.dtype === 'u8' || !['and', 'or', 'xor'].includes(kind), `it is not computed on type ${a.dtype}`)
    step.need(kind !== 'prelu' || a.dtype === 'f32', `it is not computed on type ${a.dtype}`)
    step.need(out.dtype === (COMPARISONS.includes(kind) ? 'u8' : a.dtype), 'its result is of another type')
    const shape = broadcastShape(a.shape, b.shape)
    step.need(shape !== undefined, `dimensions of [${a.shape}] and [${b.shape}] do not fit together`)
    step.need(sameShape(shape, out.shape), 'its result has another shape')
    const left = broadcastStrides(a.shape, shape)
    const right = broadcastStrides(b.shape, shape)
    const axes = left && right && walk(shape, [left, right])
    step.need(axes !== undefined, 'it broadcasts along too many axes')
    const code = BINARY_KINDS.indexOf(kind as (typeof BINARY_KINDS)[number])
    const checked = isChecked(step)
    step.need(!checked || (a.dtype === 'i32' && ARITHMETIC.includes(kind)), 'it has nothing to check')
    const type = checked ? CHECKED_TYPE : (TYPE_CODE[a.dtype] ?? 0)
    const size = SIZE[out.dtype]
    return {
      cost: out.count * (kind === 'pow' || kind.endsWith('mod') ? 40 : PER_ELEMENT),
      ...checking(step, (kernels, frame) =>
        kernels.binary(code, type, size, a.at(frame), b.at(frame), out.at(frame), ...axes),
      ),
    }
  },
}

const where: Operator = {
  name: 'where',
  what: 'condition ? a : b, of three tensors that broadcast',
  inputs: [
    { name: 'condition', types: BYTES },
    { name: 'a', types: ANY },
    { name: 'b', types: ANY },
  ],
  outputs: [{ types: ANY }],
  bind(step: Binding): Bound {
    const [condition, a, b, out] = [step.input(0), step.input(1), step.input(2), step.output()]
    step.need(a.dtype === b.dtype && a.dtype === out.dtype, 'its inputs are of different types')
    const pair = broadcastShape(a.shape, b.shape)
    const shape = pair && broadcastShape(condition.shape, pair)
    step.need(shape !== undefined && sameShape(shape, out.shape), 'its inputs do not broadcast to its result')
    const strides = [condition, a, b].map((view) => broadcastStrides(view.shape, shape) ?? [])
    const axes = walk(shape, strides)
    step.need(axes !== undefined, 'it broadcasts along too many axes')
    const size = SIZE[out.dtype]
    return {
      cost: out.count * PER_ELEMENT,
      run: (kernels, frame) =>
        kernels.select(size, condition.at(frame), a.at(frame), b.at(frame), out.at(frame), ...axes),
    }
  },
}

const cast: Operator = {
  name: 'cast',
  what: 'f32, i32 or u8 to another of them; floats are cut off, and limited to what i32 holds; to u8: whether it is not 0. `checked`: 1 refuses floats that only 64 bits hold',
  inputs: [{ name: 'x', types: ANY }],
  outputs: [{ types: ANY }],
  attributes: CHECKED,
  bind(step: Binding): Bound {
    const [x, out] = [step.input(0), step.output()]
    step.need(x.count === out.count, 'its result has another shape')
    const { count } = x
    const [from, to] = [TYPE_CODE[x.dtype] ?? 0, TYPE_CODE[out.dtype] ?? 0]
    const axes = walk([count], [[1], [1]]) ?? []
    const size = SIZE[x.dtype]
    const cost = count * PER_ELEMENT
    if (from === to) return { cost, run: (kernels, frame) => kernels.copy(x.at(frame), out.at(frame), size, ...axes) }
    return { cost, ...checking(step, (kernels, frame) => kernels.cast(from, to, x.at(frame), out.at(frame), count)) }
  },
}

export const ELEMENTWISE: readonly Operator[] = [unary, binary, where, cast]
