import { keyRecordKey, parseKeyRecord } from '../../access/keys/record.ts'
import { keyFault } from '../../access/keys/state.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Clock } from '../../core/runtime.ts'
import { readAtMost } from '../../weights/body.ts'
import type { Store } from '../../weights/store.ts'

export interface KeyCheckOptions {
  /** R2: copies may be late. */
  readonly truth: Store
  /** Its `now` must count from 1970. */
  readonly clock: Clock
  readonly limits: Pick<Limits, 'keyRecordBytes' | 'keyTruthMs'>
}

const KEY = /^key:([0-9a-z]+)$/

/**
 * Why a principal gets nothing any more, by the truth at this moment; undefined if it may continue. Principals that are no
 * keys always may: what proves who they are ends by itself.
 * @throws store_unavailable
 */
export async function keyRefusal(principal: string, options: KeyCheckOptions): Promise<string | undefined> {
  const { truth, clock, limits } = options
  const [, id] = KEY.exec(principal) ?? []
  if (id === undefined) return undefined
  const time = new AbortController()
  const callOff = clock.after(limits.keyTruthMs, () => time.abort(new Error('the key was not read in time')))
  try {
    const found = await truth.get(keyRecordKey(id), { signal: time.signal })
    const bytes = found && (await readAtMost(found.body, limits.keyRecordBytes, time.signal))
    if (found !== null && !bytes) throw new VergeError('store_unavailable', 'The record of the key is too long.')
    if (!bytes) return 'The key does not exist any more. Ask the operator for a new key.'
    const fault = keyFault(parseKeyRecord(bytes, id), undefined, clock.now())
    // Pages are told, too, whose tokens are the key's. What it is called is not for them to know.
    return (
      fault && `The key ${fault.reason === 'revoked' ? 'was revoked' : 'has expired'}. Ask the operator for a new key.`
    )
  } finally {
    callOff()
  }
}
