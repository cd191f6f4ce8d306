import { VergeError } from '../core/errors.ts'
import type { Store } from '../weights/store.ts'
import type { Alias } from './alias.ts'
import { inForce } from './canary.ts'
import { readStored } from './change-record.ts'
import { aliasKey } from './keys.ts'
import { aliasJson, checkAlias } from './parse.ts'

export interface StoredAlias {
  /** Fields of a newer Verge included. A stop of its canary is applied, so that no change makes the canary live again. */
  readonly value: Alias
  readonly bytes: Uint8Array
  readonly etag: string | undefined
}

/** @throws alias_invalid, store_unavailable, the signal's reason */
export async function readStoredAlias(
  truth: Store,
  model: string,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<StoredAlias | null> {
  const key = aliasKey(model)
  const found = await readStored(truth, key, maxBytes, signal)
  if (found === null) return null
  if (found.bytes === null) {
    throw new VergeError(
      'alias_invalid',
      `The record ${key} in the bucket is larger than ${maxBytes} bytes. Delete it in the bucket and push the model again.`,
    )
  }
  const value = aliasJson(found.bytes, model)
  checkAlias(value, model)
  return { value: inForce(value as Alias), bytes: found.bytes, etag: found.etag }
}
