import { ACTIVATION, type Activation, activate, activationOf, stepOf } from './activation.ts'
import {
  type AttributeRule,
  type Binding,
  type Bound,
  FLOATS,
  type Operator,
  PER_ELEMENT,
  roundUp,
} from './operator.ts'
import { blockRows, columnData, optionalColumns, productSizes, TILE_BYTES, WEIGHTS_INT8 } from './product.ts'

/** Of an input: its elements are whole numbers 0..255 less `zero`, times `grid`. */
export const GRID: Readonly<Record<string, AttributeRule>> = {
  grid: { type: 'number', otherwise: 0 },
  zero: { type: 'number', otherwise: 0 },
}

export function gridOf(binding: Binding): { readonly grid: number; readonly zero: number } {
  const [grid, zero] = [stepOf(binding, 'grid'), binding.number('zero')]
  binding.need(Number.isInteger(zero) && zero >= 0 && zero <= 255, 'its zero is no whole number of 8 bits')
  return { grid, zero }
}

/** Whether a product on a grid rounds its results by itself, and what is left to do behind it. */
export function rounding(activation: Activation, more: boolean): { readonly step: number; readonly rest: Activation } {
  if (more || activation.code !== undefined) return { step: 0, rest: activation }
  return { step: activation.step, rest: { ...activation, step: 0 } }
}

const grid: Operator = {
  name: 'grid',
  what: 'each element, kept to min..max, as the nearest multiple of `step`, ties to even: what eight bits would hold',
  inputs: [{ name: 'x', types: FLOATS }],
  outputs: [{ types: FLOATS }],
  attributes: { step: { type: 'number' }, min: { type: 'number' }, max: { type: 'number' } },
  inPlace: [0],
  bind(binding: Binding): Bound {
    const [x, out] = [binding.input(0), binding.output()]
    const step = stepOf(binding, 'step')
    binding.need(step !== 0 && x.count === out.count, 'its result is not like its input')
    return {
      cost: x.count * PER_ELEMENT,
      run: (kernels, frame) =>
        kernels.roundTo(x.at(frame), out.at(frame), x.count, step, binding.number('min'), binding.number('max')),
    }
  },
}

const linearGrid: Operator = {
  name: 'linear-grid',
  what: 'x [..., K] of multiples of `grid`, whose 8 bits, with `zero`, are multiplied exactly, times 8-bit weights [K, N]; plus bias; activation',
  inputs: [{ name: 'x', types: FLOATS }, ...WEIGHTS_INT8],
  outputs: [{ types: FLOATS }],
  attributes: { ...ACTIVATION, ...GRID },
  bind(binding: Binding): Bound {
    const [x, weight, out] = [binding.input(0), binding.input(1), binding.output()]
    const { rows, depth, columns } = productSizes(binding, x, weight)
    const { grid: own, zero } = gridOf(binding)
    binding.need(own !== 0, 'it has no grid')
    const [scales, sums] = [columnData(binding, 2, columns), columnData(binding, 3, columns)]
    const bias = optionalColumns(binding, 4, columns)
    const activation = activationOf(binding)
    const { rest, step } = rounding(activation, false)
    const block = blockRows(depth * 4, rows)
    const bits = block * depth * 4
    const tile = bits + block * roundUp(depth, 4) * 2
    return {
      cost: 2 * rows * depth * columns + rows * columns * activation.cost,
      scratch: tile + TILE_BYTES,
      run(kernels, frame, scratch) {
        for (let row = 0; row < rows; row += block) {
          const count = Math.min(block, rows - row)
          const target = out.at(frame) + row * columns * 4
          kernels.packRows(x.at(frame) + row * depth * 4, count, depth, depth * 4, scratch, 1)
          kernels.gridStrips(scratch, count, depth, depth * 16, 16, scratch + bits, own, zero)
          kernels.productGrid(
            scratch + bits,
            own,
            zero,
            weight.at(frame),
            scales.at(frame),
            sums.at(frame),
            bias?.at(frame) ?? 0,
            target,
            count,
            columns,
            depth,
            columns * 4,
            4,
            scratch + tile,
            activation.least,
            activation.most,
            step,
          )
          activate(kernels, rest, target, count * columns)
        }
      },
    }
  },
}

/** What a statically quantized model does to its activations, and computes of them. */
export const GRIDS: readonly Operator[] = [grid, linearGrid]
