import type { CatalogWriter } from '../../catalog/writer.ts'
import type { PackedModel } from '../pack/packer.ts'
import { describeLive, type PushOptions, type PushResult, pushModel } from './push.ts'

/**
 * Ensures that a writer's stores have a packed model, without overriding a decision of the operator: the version goes
 * live, with the visibility of its folder, only if nothing but seeding has changed the model. After a push, a release
 * or a change of visibility by a command, the version is stored but does not go live.
 * @throws conflict if the version exists with other contents, store_unavailable
 */
export async function publish(
  writer: CatalogWriter,
  packed: PackedModel,
  options: Pick<PushOptions, 'dryRun'> = {},
): Promise<PushResult> {
  const target = { ...writer.stores, writer }
  return pushModel(target, packed, { live: 'seeding', visibility: packed.visibility, ...options })
}

/** Whether the version that was published answers where no version is named. */
export function isLive({ live, version }: Pick<PushResult, 'live' | 'version'>): boolean {
  return live.some((each) => each.version === version)
}

/** Why a published version is not live, and the command that changes it; empty where it is live. */
export function notLive(result: PushResult, more = ''): string {
  if (isLive(result)) return ''
  const { model, version, live } = result
  return `not live, because the operator released ${describeLive(live)}. To make it live: npx verge release ${model} ${version}${more}`
}
