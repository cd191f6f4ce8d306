import type { RunCost } from '../../engine/engine.ts'

/** What one run of a size was measured at. */
export interface CostPoint {
  /** Elements of all inputs together. */
  readonly elements: number
  readonly units: number
}

/**
 * A cost that is linear in the size of the input, by least squares, with neither part below nothing: a model whose time
 * grows faster than its input gets all of its cost by the element. Rounded up to three digits, so that a cost never
 * falls short for its rounding.
 * @param points at least one; a single size gives a cost without a part by the element
 */
export function fitCost(points: readonly CostPoint[]): RunCost {
  const count = points.length
  const sum = (value: (point: CostPoint) => number): number => points.reduce((total, point) => total + value(point), 0)
  const meanElements = sum(({ elements }) => elements) / count
  const meanUnits = sum(({ units }) => units) / count
  const spread = sum(({ elements }) => (elements - meanElements) ** 2)
  if (spread === 0) return { base: roundUp(meanUnits), perElement: 0 }
  const slope = sum(({ elements, units }) => (elements - meanElements) * (units - meanUnits)) / spread
  const base = meanUnits - slope * meanElements
  if (slope < 0) return { base: roundUp(meanUnits), perElement: 0 }
  if (base < 0) {
    const throughOrigin = sum(({ elements, units }) => elements * units) / sum(({ elements }) => elements ** 2)
    return { base: 0, perElement: roundUp(throughOrigin) }
  }
  return { base: roundUp(base), perElement: roundUp(slope) }
}

function roundUp(value: number): number {
  if (!(value > 0)) return 0
  const unit = 10 ** (Math.floor(Math.log10(value)) - 2)
  return Number((Math.ceil(value / unit - 1e-9) * unit).toPrecision(3))
}
