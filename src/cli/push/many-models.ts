import type { ModelEntry } from '../../catalog/index/entry.ts'
import { IndexReader } from '../../catalog/index/reader.ts'
import { LIMITS } from '../../core/limits.ts'
import { silentLogger, systemClock } from '../../core/runtime.ts'
import type { Store } from '../../weights/store.ts'
import { binarySize, table } from '../terminal/format.ts'

/** Models up to this are listed with all that their manifests say, a few reads for each. */
const FEW = 100

export interface ManyModels {
  readonly entries: readonly ModelEntry[]
  /** Whether there are more. */
  readonly more: boolean
}

/**
 * Models as the index of lists has them, where they are many or asked for by the beginning of their names; null where they
 * are few, or where there is no index that is whole.
 * @param all every one; the first hundred if not
 * @throws store_unavailable, the signal's reason
 */
export async function manyModels(
  truth: Store,
  { all, prefix }: { readonly all: boolean; readonly prefix?: string | undefined },
  signal: AbortSignal,
): Promise<ManyModels | null> {
  const reader = new IndexReader(truth, { clock: systemClock, logger: silentLogger, limits: LIMITS })
  const scope = { tree: 'all', sees: () => true } as const
  const query = { scope, manifests: true, ...(prefix !== undefined && { prefix }) }
  const first = await reader.page({ ...query, limit: FEW }, signal)
  if (first === null || (first.next === undefined && prefix === undefined)) return null
  const entries = [...first.entries]
  let { next } = first
  while (all && next !== undefined) {
    const page = await reader.page({ ...query, limit: LIMITS.modelsPerList, after: next }, signal)
    if (page === null) return null
    entries.push(...page.entries)
    next = page.next
  }
  return { entries, more: next !== undefined }
}

/** A row for each model: of several live versions that with the largest share, and how many others there are. */
export function manyModelsTable(entries: readonly ModelEntry[]): string {
  const rows = entries.map(({ generation, live, main, model, visibility }) => {
    const others = live.length > 1 ? ` and ${live.length - 1} more` : ''
    const size = main === undefined ? 'manifest cannot be read' : binarySize(main.bytes)
    return [model, `${live[0]?.version}${others}`, visibility, main?.task ?? 'raw tensors', size, String(generation)]
  })
  return table([['model', 'live', 'visibility', 'task', 'smallest artifact', 'generation'], ...rows])
}
