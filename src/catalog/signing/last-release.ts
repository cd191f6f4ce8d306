import { isVergeError, VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Store } from '../../weights/store.ts'
import { readStored } from '../change-record.ts'
import { lastReleaseKey } from '../keys.ts'
import { aliasJson, checkAlias } from '../parse.ts'
import type { ReleaseSigning, StoredRelease } from './release-signing.ts'

type LastReleaseLimits = Pick<Limits, 'aliasBytes' | 'aliasWriteAttempts'>

/**
 * The last signed release of a model that was removed: a model of the same name continues from its generation. A release of a
 * key that is no longer accepted does not count: a guard does not count its generations, either.
 * @throws signature_invalid if the record was changed, store_unavailable, the signal's reason
 */
export async function readLastRelease(
  truth: Store,
  model: string,
  signing: ReleaseSigning,
  limits: LastReleaseLimits,
  signal?: AbortSignal,
): Promise<StoredRelease | null> {
  const stored = await readStored(truth, lastReleaseKey(model), limits.aliasBytes, signal)
  if (stored === null) return null
  const release = readable(stored.bytes, model)
  const fault = release === null ? 'wrong' : await signing.faultOf(release)
  if (fault === 'unknown_key') return null
  if (fault === undefined) return release
  throw new VergeError(
    'signature_invalid',
    `The record ${lastReleaseKey(model)} in the bucket, from which the generations of model "${model}" continue, was changed. Nothing was ` +
      'changed by this command. Delete the record in the bucket and try again. If the Worker then answers release_outdated, raise the ' +
      `generation above "newest" of its answer: npx verge keys sign ${model} --above N`,
    { details: { model, reason: fault } },
  )
}

/**
 * Before a model is removed, or its signature given up: keeps its signed release. Workers refuse lower generations, so a newer
 * one that another command has kept stays. The record cannot be forged, because it is the signed release itself.
 * @throws signature_invalid if the model is signed and there is no key, conflict, store_unavailable
 */
export async function keepLastRelease(
  truth: Store,
  model: string,
  bytes: Uint8Array,
  signing: ReleaseSigning,
  limits: LastReleaseLimits,
): Promise<void> {
  signing.assertRemovable(model, readable(bytes, model)?.value.signature)
  const release = await genuine(bytes, model, signing)
  if (release === null) return
  const key = lastReleaseKey(model)
  for (let attempt = 0; attempt < limits.aliasWriteAttempts; attempt++) {
    const stored = await readStored(truth, key, limits.aliasBytes)
    const kept = stored && (await genuine(stored.bytes, model, signing))
    if (kept !== null && kept.value.generation >= release.value.generation) return
    const onlyIf = stored === null ? 'absent' : { etag: stored.etag ?? '' }
    if ((await truth.put(key, bytes, { onlyIf })) !== null) return
  }
  throw new VergeError(
    'conflict',
    `Other commands keep removing model "${model}" at the same time. Nothing was changed. Try again.`,
    { details: { model }, retryAfter: 1 },
  )
}

async function genuine(
  bytes: Uint8Array | null,
  model: string,
  signing: ReleaseSigning,
): Promise<StoredRelease | null> {
  const release = readable(bytes, model)
  return release !== null && (await signing.faultOf(release)) === undefined ? release : null
}

/** A signed release; null for anything else, which is no obstacle to a change. */
function readable(bytes: Uint8Array | null, model: string): StoredRelease | null {
  if (bytes === null) return null
  try {
    const value = aliasJson(bytes, model)
    return checkAlias(value, model).signature === undefined ? null : { value: value as StoredRelease['value'], bytes }
  } catch (error) {
    if (isVergeError(error, 'alias_invalid')) return null
    throw error
  }
}
