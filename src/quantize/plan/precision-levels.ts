import { OnnxError, safeName } from '../../onnx/errors.ts'

/** Precisions that a layer's weights can be kept in, the smallest first. */
const PRECISIONS = ['q4', 'int8', 'fp32'] as const
export type Precision = (typeof PRECISIONS)[number]

/** Precision by name of node. */
export type PrecisionPlan = ReadonlyMap<string, Precision>

/** A weight that a node reads, and the bytes that it takes in each precision that it can have. */
export interface PlanLayer {
  readonly node: string
  readonly weight: string
  readonly bytes: { readonly [P in Precision]?: number } & { readonly fp32: number }
}

export interface PrecisionLevel {
  readonly precision: Precision
  readonly bytes: number
}

/** Nodes that share weights, and so have one precision. Their levels rise in precision and in bytes; `fp32` is last. */
export interface Unit {
  readonly nodes: readonly string[]
  readonly levels: readonly PrecisionLevel[]
}

/** A unit's step to a higher level. */
export interface Move {
  readonly unit: number
  /** Index of the level that it leads to. */
  readonly to: number
  readonly bytes: number
  /** Output error that it takes away, by the estimate. */
  readonly gain: number
}

/**
 * Units from layers: those that share a node or a weight are joined.
 * @param lowest levels below this precision are left out
 * @throws OnnxError bad_options for sizes that are none
 */
export function unitsOf(layers: readonly PlanLayer[], lowest: Precision): Unit[] {
  for (const { node, bytes } of layers) {
    if (Object.values(bytes).every((size) => Number.isSafeInteger(size) && size >= 0)) continue
    throw new OnnxError('bad_options', `The sizes of layer "${safeName(node)}" are no whole numbers of bytes.`, {
      node,
    })
  }
  return joined(layers).map((members) => ({
    nodes: [...new Set(members.map(({ node }) => node))],
    levels: levelsOf(members, PRECISIONS.slice(PRECISIONS.indexOf(lowest))),
  }))
}

/** Layers in groups; two with the same node or the same weight are in the same. In the order of their first layers. */
function joined(layers: readonly PlanLayer[]): PlanLayer[][] {
  const groups = new Set<PlanLayer[]>()
  const holder = new Map<string, PlanLayer[]>()
  for (const layer of layers) {
    const holders = [holder.get(`node ${layer.node}`), holder.get(`weight ${layer.weight}`)]
    const [group = [], ...others] = [...new Set(holders.filter((known) => known !== undefined))]
    for (const other of others) {
      group.push(...other)
      groups.delete(other)
    }
    group.push(layer)
    groups.add(group)
    for (const { node, weight } of group) holder.set(`node ${node}`, group).set(`weight ${weight}`, group)
  }
  return [...groups]
}

function levelsOf(members: readonly PlanLayer[], precisions: readonly Precision[]): PrecisionLevel[] {
  const levels: PrecisionLevel[] = []
  for (const precision of [...precisions].reverse()) {
    // A weight that several nodes read is stored once.
    const sizes = new Map<string, number>()
    for (const { weight, bytes } of members) {
      sizes.set(weight, Math.max(sizes.get(weight) ?? 0, bytes[precision] ?? Number.POSITIVE_INFINITY))
    }
    const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0)
    // What is not smaller than the next precision has nothing for its loss.
    if (bytes < (levels[0]?.bytes ?? Number.POSITIVE_INFINITY)) levels.unshift({ precision, bytes })
  }
  return levels
}

/** Index of the level of a precision, or of the next higher one that the unit has. */
export function levelAt({ levels }: Unit, precision: Precision): number {
  const index = levels.findIndex((level) => PRECISIONS.indexOf(level.precision) >= PRECISIONS.indexOf(precision))
  return index === -1 ? levels.length - 1 : index
}

/**
 * Steps from the lowest levels up to `ceiling`, most error taken away a byte first. A unit's steps lie on the lower
 * convex hull of its error over its bytes, so that each comes before the next of the same unit, and every beginning of
 * the list is the best use of its bytes for errors that add up (the greedy solution of the multiple-choice knapsack's
 * relaxation: P. Sinha and A. A. Zoltners, 1979).
 * @param errors output error by unit and level; 0 at the last
 */
export function movesOf(
  units: readonly Unit[],
  errors: readonly (readonly number[])[],
  ceiling: Precision = 'fp32',
): Move[] {
  const moves: Move[] = []
  for (const [unit, { levels }] of units.entries()) {
    const top = levelAt(units[unit] as Unit, ceiling)
    const own: Move[] = []
    for (let at = 0; at < top; ) {
      const next = levels
        .slice(at + 1, top + 1)
        .map((level, offset) => ({
          unit,
          to: at + 1 + offset,
          bytes: level.bytes - (levels[at] as PrecisionLevel).bytes,
          gain: Math.max(0, errorOf(errors, unit, at) - errorOf(errors, unit, at + 1 + offset)),
        }))
        .reduce((best, move) => (slope(move) > slope(best) ? move : best))
      own.push(next)
      at = next.to
    }
    moves.push(...own)
  }
  return moves.sort((left, right) => slope(right) - slope(left) || left.unit - right.unit || left.to - right.to)
}

function errorOf(errors: readonly (readonly number[])[], unit: number, level: number): number {
  const error = errors[unit]?.[level] ?? 0
  // A model that answers with no number at all is as wrong as can be.
  return Number.isFinite(error) ? error : Number.MAX_VALUE
}

function slope({ gain, bytes }: Move): number {
  return gain / bytes
}

export function planOf(units: readonly Unit[], chosen: readonly number[]): PrecisionPlan {
  return new Map(
    units.flatMap(({ nodes, levels }, unit) => {
      const { precision } = levels[chosen[unit] ?? 0] as PrecisionLevel
      return nodes.map((node) => [node, precision] as const)
    }),
  )
}

/** Bytes of all units' weights. @param chosen index of each unit's level */
export function bytesAt(units: readonly Unit[], chosen: readonly number[]): number {
  return units.reduce((sum, { levels }, unit) => sum + (levels[chosen[unit] ?? 0] as PrecisionLevel).bytes, 0)
}
