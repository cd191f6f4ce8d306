import type { Alias } from '../../catalog/alias.ts'
import { existsAlready, nextAlias, published } from '../../catalog/alias-changes.ts'
import { canonicalBytes } from '../../catalog/canonical-json.ts'
import { aliasKey } from '../../catalog/keys.ts'
import { sha256 } from '../pack/bytes.ts'
import type { PackedModel } from '../pack/packer.ts'
import { readerOf } from './inventory.ts'
import { assertNoConflict, type PushTarget } from './push.ts'

/**
 * Reads a key from each store, to detect a missing bucket or namespace and wrong credentials before the model is read.
 * @throws store_unavailable with the store's message
 */
export async function assertReachable({ truth, copies }: PushTarget, signal: AbortSignal): Promise<void> {
  for (const store of [truth, ...copies]) {
    await store.head(aliasKey('verge'), { signal })
  }
}

export interface Intention {
  readonly live: boolean
  /** Whether the version keeps its manifest as it is packed; else its cost may still change. */
  readonly final: boolean
}

/**
 * Checks that a push of the packed model would be accepted, before the proof, which takes longer than everything else.
 * @returns the model's alias
 * @throws conflict, store_unavailable
 */
export async function assertPushable(
  truth: PushTarget['truth'],
  packed: PackedModel,
  { live, final }: Intention,
  signal: AbortSignal,
): Promise<Alias | null> {
  const { model, version } = packed.manifest
  const digest = sha256(canonicalBytes(packed.manifest))
  const alias = await readerOf(truth).alias(model, signal)
  nextAlias(model, alias, published(model, version, digest, { live }))
  if (final) await assertNoConflict(truth, packed, digest, alias, signal)
  else if (alias !== null && Object.hasOwn(alias.versions, version)) throw existsAlready(model, version)
  return alias
}
