import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { Clock, Logger, Sha256Factory } from '../core/runtime.ts'
import type { Store } from '../weights/store.ts'
import type { CanaryStop } from './canary.ts'
import { canonicalBytes } from './canonical-json.ts'
import type { ChangeLog } from './change-log.ts'
import { changeRecord } from './change-record.ts'
import { refreshCopies } from './copies.ts'
import { aliasKey } from './keys.ts'
import { aliasJson } from './parse.ts'
import { readStoredAlias } from './stored-alias.ts'

export interface AliasStopOptions {
  readonly sha256: Sha256Factory
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: Pick<Limits, 'aliasBytes' | 'aliasWriteAttempts' | 'kvWritePauseMs'>
  /** Has the change before it is made. */
  readonly audit: ChangeLog
}

/** `superseded`: another release counts by now, so that there is nothing to take out. */
export type StopOutcome = 'stopped' | 'superseded'

/**
 * Takes a canary out: writes the stop into the stored alias of the very generation that it names, by a conditional write
 * with a line in the audit log, then updates the copies. May be repeated: what was written stays as it is. A command that
 * releases meanwhile wins, because it raises the generation.
 * @throws alias_invalid, store_unavailable, conflict if too many races were lost; then nothing is known, and it is to be repeated
 */
export async function stopCanary(
  truth: Store,
  copies: readonly Store[],
  { model, stop }: { readonly model: string; readonly stop: CanaryStop },
  options: AliasStopOptions,
): Promise<StopOutcome> {
  const { aliasBytes, aliasWriteAttempts } = options.limits
  const key = aliasKey(model)
  const updateCopies = (compare: boolean) =>
    refreshCopies(
      truth,
      copies,
      { key, name: `alias of model "${model}"`, maxBytes: aliasBytes },
      { ...options, compare },
    )
  for (let attempt = 0; attempt < aliasWriteAttempts; attempt++) {
    const stored = await readStoredAlias(truth, model, aliasBytes, undefined)
    if (stored === null || stored.value.generation !== stop.generation) return 'superseded'
    const { canary, stopped } = stored.value
    if (stopped !== undefined) {
      // By an earlier try, which may have failed before the copies were updated.
      await updateCopies(true)
      return 'stopped'
    }
    if (canary?.version !== stop.version) return 'superseded'
    // As it is stored: a signature is over every field of it but this one.
    const next = { ...(aliasJson(stored.bytes, model) as object), stopped: stop }
    const change = { key, maxBytes: aliasBytes, action: 'canary-stop', before: stored, after: canonicalBytes(next) }
    if (!(await changeRecord(truth, change, options))) continue
    await updateCopies(false)
    return 'stopped'
  }
  throw new VergeError('conflict', `Commands keep changing model "${model}". Its canary was not taken out yet.`, {
    details: { model },
    retryAfter: 1,
  })
}
