import { CHECKED, checking } from './guard.ts'
import { type Binding, type Bound, FLOATS, INTEGERS, type Operator, PER_ELEMENT } from './operator.ts'

function norm(name: string, centred: 0 | 1): Operator {
  return {
    name,
    what: `${centred ? 'layer norm' : 'RMS norm'} of the last axis of x, or of x + skip; a second result is x + skip`,
    inputs: [
      { name: 'x', types: FLOATS },
      { name: 'skip', types: FLOATS, optional: true },
      { name: 'gamma', types: FLOATS, optional: true },
      ...(centred ? [{ name: 'beta', types: FLOATS, optional: true } as const] : []),
    ],
    outputs: [{ types: FLOATS }, { types: FLOATS, optional: true }],
    attributes: { epsilon: { type: 'number', otherwise: 1e-5 } },
    bind(step: Binding): Bound {
      const [x, out] = [step.input(0), step.output()]
      const [, skip, gamma, beta] = step.inputs
      const sum = step.outputs[1]
      const depth = x.shape.at(-1) ?? 0
      step.need(depth > 0, 'it has nothing to normalize')
      step.need(out.count === x.count && (sum === undefined || sum.count === x.count), 'its result has another shape')
      step.need(
        [gamma, beta].every((data) => data === undefined || data.count === depth),
        'its factors do not fit',
      )
      const rows = x.count / depth
      // A skip that is shorter is added again and again: positions to each text of a batch.
      const period = skip === undefined ? rows : skip.count / depth
      step.need(
        skip === undefined || (skip.shape.at(-1) === depth && (period === 0 ? rows === 0 : rows % period === 0)),
        'what it adds has another shape',
      )
      const epsilon = step.number('epsilon')
      return {
        cost: x.count * 4 * PER_ELEMENT,
        run(kernels, frame) {
          for (let row = 0; row < rows; row += period) {
            const at = row * depth * 4
            kernels.normRows(
              x.at(frame) + at,
              skip?.at(frame) ?? 0,
              gamma?.at(frame) ?? 0,
              beta?.at(frame) ?? 0,
              out.at(frame) + at,
              sum === undefined ? 0 : sum.at(frame) + at,
              period,
              depth,
              epsilon,
              centred,
            )
          }
        },
      }
    },
  }
}

function softmax(name: string, logarithm: 0 | 1): Operator {
  return {
    name,
    what: `${logarithm ? 'logarithm of the softmax' : 'softmax'} of the last axis`,
    inputs: [{ name: 'x', types: FLOATS }],
    outputs: [{ types: FLOATS }],
    inPlace: [0],
    bind(step: Binding): Bound {
      const [x, out] = [step.input(0), step.output()]
      const depth = x.shape.at(-1) ?? 1
      step.need(out.count === x.count, 'its result has another shape')
      const rows = depth === 0 ? 0 : x.count / depth
      return {
        cost: x.count * 30,
        run: (kernels, frame) => kernels.softmaxRows(x.at(frame), out.at(frame), rows, depth, logarithm),
      }
    },
  }
}

/** In the order of `Reduce` in `assembly/norm.ts`. */
const REDUCE_KINDS = ['sum', 'mean', 'max', 'min', 'l2', 'sum-square', 'prod', 'l1'] as const
const OF_INTEGERS: readonly string[] = ['sum', 'max', 'min', 'prod']

/** Reduced axes that lie beside one another, as [outer, axis, inner]. */
function middle(step: Binding, shape: readonly number[], axes: readonly number[]): readonly [number, number, number] {
  const inside = axes.every((axis) => Number.isInteger(axis) && axis >= 0 && axis < shape.length)
  step.need(inside && axes.length > 0, 'its axes do not exist')
  // Axes of one element reduce to themselves.
  const real = [...new Set(axes)].filter((axis) => shape[axis] !== 1).sort((a, b) => a - b)
  const [first = axes[0] ?? 0] = real
  const last = real.at(-1) ?? first
  step.need(
    shape.every((size, axis) => axis < first || axis > last || size === 1 || axes.includes(axis)),
    'its axes do not lie side by side',
  )
  const product = (from: number, to: number) => shape.slice(from, to).reduce((sum, size) => sum * size, 1)
  return [product(0, first), product(first, last + 1), product(last + 1, shape.length)]
}

const reduce: Operator = {
  name: 'reduce',
  what: `\`kind\` over \`axes\`, which lie side by side: ${REDUCE_KINDS.join(', ')}; ${OF_INTEGERS.join(', ')} of i32 too. \`checked\`: 1 refuses results that i32 does not hold`,
  inputs: [{ name: 'x', types: ['f32', 'i32'] }],
  outputs: [{ types: ['f32', 'i32'] }],
  attributes: { kind: { type: 'choice', of: REDUCE_KINDS }, axes: { type: 'numbers' }, ...CHECKED },
  bind(step: Binding): Bound {
    const [x, out] = [step.input(0), step.output()]
    const kind = step.choice('kind')
    step.need(
      x.dtype === out.dtype && (x.dtype === 'f32' || OF_INTEGERS.includes(kind)),
      `it is not computed on type ${x.dtype}`,
    )
    const [outer, axis, inner] = middle(step, x.shape, step.numbers('axes'))
    step.need(out.count === outer * inner, 'its result has another shape')
    const code = REDUCE_KINDS.indexOf(kind as (typeof REDUCE_KINDS)[number])
    const cost = x.count * PER_ELEMENT
    if (x.dtype === 'f32') {
      return {
        cost,
        run: (kernels, frame) => kernels.reduceF32(code, x.at(frame), out.at(frame), outer, axis, inner),
      }
    }
    return {
      cost,
      ...checking(step, (kernels, frame) => kernels.reduceI32(code, x.at(frame), out.at(frame), outer, axis, inner)),
    }
  },
}

const argument: Operator = {
  name: 'argument',
  what: 'place of the greatest element (`kind`: max) or of the smallest (min) of `axis`, the first of equal ones',
  inputs: [{ name: 'x', types: ['f32', 'i32'] }],
  outputs: [{ types: INTEGERS }],
  attributes: { kind: { type: 'choice', of: ['max', 'min'] }, axis: { type: 'number' } },
  bind(step: Binding): Bound {
    const [x, out] = [step.input(0), step.output()]
    const [outer, axis, inner] = middle(step, x.shape, [step.number('axis')])
    step.need(out.count === outer * inner && (axis > 0 || out.count === 0), 'its result has another shape')
    const least = step.choice('kind') === 'min' ? 1 : 0
    return {
      cost: x.count * PER_ELEMENT,
      run(kernels, frame) {
        const kernel = x.dtype === 'f32' ? 'argument' : 'argumentI32'
        kernels[kernel](x.at(frame), out.at(frame), outer, axis, inner, least)
      },
    }
  },
}

const cumulative: Operator = {
  name: 'cumulative-sum',
  what: 'running sums of i32 along `axis`. `checked`: 1 refuses sums that i32 does not hold',
  inputs: [{ name: 'x', types: INTEGERS }],
  outputs: [{ types: INTEGERS }],
  attributes: { axis: { type: 'number' }, ...CHECKED },
  bind(step: Binding): Bound {
    const [x, out] = [step.input(0), step.output()]
    const axis = step.number('axis')
    step.need(Number.isInteger(axis) && axis >= 0 && axis < x.shape.length, 'its axis does not exist')
    step.need(out.count === x.count, 'its result has another shape')
    const product = (from: number, to?: number) => x.shape.slice(from, to).reduce((sum, size) => sum * size, 1)
    const [outer, inner] = [product(0, axis), product(axis + 1)]
    return {
      cost: x.count * PER_ELEMENT,
      ...checking(step, (kernels, frame) =>
        kernels.cumulativeI32(x.at(frame), out.at(frame), outer, x.shape[axis] ?? 0, inner),
      ),
    }
  },
}

export const NORMS: readonly Operator[] = [
  norm('layer-norm', 1),
  norm('rms-norm', 0),
  softmax('softmax', 0),
  softmax('log-softmax', 1),
  reduce,
  argument,
  cumulative,
]
