import { type PrecisionPlan, planOf, type Unit } from './precision-levels.ts'

export interface SensitivityOptions {
  readonly units: readonly Unit[]
  /** The whole model with these precisions. */
  readonly quantizeWith: (plan: PrecisionPlan) => Promise<Uint8Array>
  /** How far a model's outputs are from the original's: 0 for none, at best continuous and additive, as noise power is. */
  readonly error: (model: Uint8Array) => Promise<number>
  /** Models built and measured at most. Where there are more units, neighbours are measured together. */
  readonly most: number
  readonly signal: AbortSignal
  readonly progress?: (done: number, total: number) => void
}

/**
 * Output error by unit and level, each measured with this unit lowered and everything else as it was. Linear in the
 * number of units. Neighbours that are measured together share the error by the bytes that each saves.
 */
export async function measureSensitivity(options: SensitivityOptions): Promise<number[][]> {
  const { units, quantizeWith, error, most, signal, progress } = options
  const topLevels = units.map(({ levels }) => levels.length - 1)
  const errors = units.map(({ levels }) => levels.map(() => 0))
  const deepest = Math.max(0, ...topLevels)
  const lowerable = units.flatMap((_, unit) => ((topLevels[unit] as number) > 0 ? [unit] : []))
  const groups = evenly(lowerable, Math.max(1, Math.floor(most / Math.max(1, deepest))))
  // Counted from the top, because not every unit has every level.
  const steps = groups.flatMap((group) => Array.from({ length: deepest }, (_, depth) => ({ group, depth: depth + 1 })))
  const wanted = steps.flatMap(({ group, depth }) => {
    const members = group.filter((unit) => (topLevels[unit] as number) >= depth)
    return members.length === 0 ? [] : [{ members, depth }]
  })
  for (const [done, { members, depth }] of wanted.entries()) {
    signal.throwIfAborted()
    progress?.(done, wanted.length)
    const lowered = topLevels.map((top, unit) => (members.includes(unit) ? top - depth : top))
    const measured = await error(await quantizeWith(planOf(units, lowered)))
    const saved = members.map((unit) => savedBy(units[unit] as Unit, depth))
    const all = saved.reduce((sum, bytes) => sum + bytes, 0)
    for (const [index, unit] of members.entries()) {
      const row = errors[unit] as number[]
      row[row.length - 1 - depth] = (measured * (saved[index] as number)) / all
    }
  }
  progress?.(wanted.length, wanted.length)
  return errors
}

function savedBy({ levels }: Unit, depth: number): number {
  return (levels.at(-1)?.bytes ?? 0) - (levels.at(-1 - depth)?.bytes ?? 0)
}

/** Runs of neighbours, at most `count`, of lengths that differ by one at most. */
function evenly(items: readonly number[], count: number): number[][] {
  const groups = Math.min(count, items.length)
  return Array.from({ length: groups }, (_, index) =>
    items.slice(Math.floor((index * items.length) / groups), Math.floor(((index + 1) * items.length) / groups)),
  )
}
