import { isVergeError } from '../../core/errors.ts'
import type { Store } from '../../weights/store.ts'
import { lastReleaseKey } from '../keys.ts'
import { aliasJson, checkAlias } from '../parse.ts'
import type { ReleaseSigning, StoredRelease } from './release-signing.ts'

/**
 * Before a model is removed: keeps its last signed release, so that a model of the same name goes on from its generation.
 * Workers refuse lower generations. The record cannot be forged, because it is the signed release itself.
 * @throws signature_invalid if the model is signed and there is no key, store_unavailable
 */
export async function keepLastRelease(
  truth: Store,
  model: string,
  bytes: Uint8Array,
  signing: ReleaseSigning,
): Promise<void> {
  const release = readable(bytes, model)
  const signature = release?.value.signature
  if (release === undefined || signature === undefined) return
  signing.assertRemovable(model, signature)
  if (await signing.isPlausible(release)) await truth.put(lastReleaseKey(model), bytes)
}

/** An alias that cannot be read is no obstacle to removing its model. */
function readable(bytes: Uint8Array, model: string): StoredRelease | undefined {
  try {
    const value = aliasJson(bytes, model)
    const { signature } = checkAlias(value, model)
    return signature && { value: value as StoredRelease['value'], bytes }
  } catch (error) {
    if (isVergeError(error, 'alias_invalid')) return undefined
    throw error
  }
}
