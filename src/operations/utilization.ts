import type { Utilization } from '../protocols/verge/operations.ts'
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
