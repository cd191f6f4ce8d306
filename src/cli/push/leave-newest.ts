import type { Alias } from '../../catalog/alias.ts'
import { nextAlias, published } from '../../catalog/alias-changes.ts'
import { readStoredAlias } from '../../catalog/stored-alias.ts'
import { isVergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import { counted } from '../terminal/format.ts'
import type { Progress } from '../terminal/progress.ts'
import type { PushResult, PushTarget } from './push.ts'
import type { Names } from './removal-text.ts'
import { describeRemoved, isIncomplete, type RemovedVersion, removeVersions } from './remove-versions.ts'
import { spareVersions } from './retention.ts'

/** What a push says of its old versions: lines of its report, and what its JSON has. */
export interface OldVersions {
  readonly steps: readonly string[]
  readonly json: {
    readonly keep?: {
      readonly versions: readonly string[]
      readonly removed: readonly RemovedVersion[]
      readonly error?: { readonly code: string; readonly message: string }
    }
  }
}

/** After a push whose version did not answer. @param keep undefined if no version was to be removed */
export function keepAll(keep: number | undefined): OldVersions {
  if (keep === undefined) return { steps: [], json: {} }
  return {
    steps: ['old versions: all were kept, because the test request failed'],
    json: { keep: { versions: [], removed: [] } },
  }
}

/**
 * Removes the old versions that a push with `--keep` leaves out; after a dry run, says which would go.
 * @param before the alias before the push
 * @param keep undefined to leave all
 */
export async function leaveNewest(
  target: PushTarget,
  { digest, dryRun, model, version }: PushResult,
  before: Alias | undefined,
  keep: number | undefined,
  options: { readonly progress: Progress; readonly signal: AbortSignal },
): Promise<OldVersions> {
  if (keep === undefined) return { steps: [], json: {} }
  const { signal } = options
  const alias = dryRun
    ? nextAlias(model, before ?? null, published(model, version, digest, { live: true }))
    : (await readStoredAlias(target.truth, model, LIMITS.aliasBytes, signal))?.value
  const versions = alias === undefined ? [] : spareVersions(alias, keep)
  const names: Names = (all) => all.join(', ')
  const what = `${counted(versions.length, 'version')}${versions.length > 0 ? `: ${names(versions)}` : ''}`
  if (dryRun || versions.length === 0)
    return {
      steps: [`old versions: ${dryRun ? 'would remove' : 'removed'} ${what}`],
      json: { keep: { versions, removed: [] } },
    }
  const removed: RemovedVersion[] = []
  try {
    for await (const each of removeVersions(target, model, versions, options)) removed.push(each)
  } catch (error) {
    // The push is done, and its report has to be told. What is left can be removed later.
    if (!isVergeError(error) || signal.aborted) throw error
    process.exitCode = 1
    const reason = `${error.message} To remove the others: npx verge rm ${model} --keep ${keep}`
    return {
      steps: [
        ...(removed.length > 0 ? describeRemoved(model, removed, names) : []),
        `old versions: not removed. ${reason}`,
      ],
      json: { keep: { versions, removed, error: { code: error.code, message: error.message } } },
    }
  }
  if (isIncomplete(removed)) process.exitCode = 1
  return { steps: describeRemoved(model, removed, names), json: { keep: { versions, removed } } }
}
