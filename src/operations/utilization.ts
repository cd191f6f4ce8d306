import type { SingleIsolates, Utilization } from '../protocols/verge/operations.ts'
import { type IsolateUse, spreadOf } from '../telemetry/metrics/isolates.ts'
import type { MetricsSnapshot } from '../telemetry/metrics/reader.ts'

/** What is used over what is granted: of all isolates together, and of each model in them. */
export interface Utilizations {
  readonly whole: Utilization
  readonly models: ReadonlyMap<string, Utilization>
}

const NOTHING: Utilization = {}

/** By the gauge `verge_utilization_ratio` of the isolates that were heard in the last minutes. */
export function utilizationsOf({ families }: Pick<MetricsSnapshot, 'families'>): Utilizations {
  const byModel = new Map<string, Utilization>()
  const samples = families.find(({ name }) => name === 'verge_utilization_ratio')?.samples ?? []
  for (const { labels, value } of samples) {
    const { model = '', resource } = labels
    if (resource === 'heap' || resource === 'cpu') byModel.set(model, { ...byModel.get(model), [resource]: value })
  }
  const whole = byModel.get('') ?? NOTHING
  byModel.delete('')
  return { whole, models: byModel }
}

/** Characters of an isolate's name: enough to tell a few thousand apart. */
const SHORT = 8

/** What single isolates use, and the busiest of them. @param now when `uses` were read, milliseconds since 1970 */
export function singleIsolates(uses: readonly IsolateUse[], now: number, most: number): SingleIsolates {
  const [heap, cpu] = [spreadOf(uses, 'heap'), spreadOf(uses, 'cpu')]
  const busiest = uses.toSorted((a, b) => loadOf(b) - loadOf(a)).slice(0, most)
  return {
    ...(heap !== undefined && { heap }),
    ...(cpu !== undefined && { cpu }),
    busiest: busiest.map(({ isolate, silentMs, ...used }) => ({
      isolate: isolate.slice(0, SHORT),
      ...used,
      reportedAt: new Date(now - silentMs).toISOString(),
    })),
  }
}

function loadOf({ cpu = 0, heap = 0 }: IsolateUse): number {
  return Math.max(cpu, heap)
}
