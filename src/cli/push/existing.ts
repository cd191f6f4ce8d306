import type { Manifest } from '../../catalog/manifest.ts'
import type { Store } from '../../weights/store.ts'
import { readModel } from './inventory.ts'
import { allKeys } from './references.ts'

/** The stored state of a model. */
export interface Existing {
  /** Of the versions that can be asked for, as far as they can be read. */
  readonly manifests: readonly Manifest[]
  /** Names that cannot be given to another version, those of pushes that were broken off among them. */
  readonly taken: readonly string[]
}

export const NOTHING_EXISTS: Existing = { manifests: [], taken: [] }

export async function existingOf(truth: Store, model: string, signal?: AbortSignal): Promise<Existing> {
  const record = await readModel(truth, model, signal)
  const prefix = `manifest/${model}/`
  const stored = (await allKeys(truth, prefix, signal)).map((key) => key.slice(prefix.length))
  return {
    manifests: record?.versions.flatMap(({ manifest }) => manifest ?? []) ?? [],
    taken: [...new Set([...stored, ...Object.keys(record?.alias.versions ?? {})])],
  }
}
