import { UsageError } from '../terminal/command-line.ts'
import { binarySize, counted } from '../terminal/format.ts'
import type { Progress } from '../terminal/progress.ts'
import type { PushTarget } from './push.ts'
import { planRemoval, type RemovalResult, remove } from './removal.ts'
import { lacking, type Names, staying } from './removal-text.ts'

export interface RemovedVersion {
  readonly version: string
  readonly result: RemovalResult
}

/** What `--keep` says; undefined if it is left out. @throws UsageError */
export function countToKeep(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,6}$/.test(text)) throw new UsageError('--keep must be a whole number from 0 on.')
  return Number(text)
}

/**
 * Removes versions of a model one after the other, and tells each when it has gone. Interrupted, it continues when it is run
 * again.
 * @throws conflict if a version went live, or the model was changed, meanwhile; store_unavailable, the signal's reason
 */
export async function* removeVersions(
  target: PushTarget,
  model: string,
  versions: readonly string[],
  { progress, signal }: { readonly progress: Progress; readonly signal: AbortSignal },
): AsyncGenerator<RemovedVersion> {
  for (const version of versions) {
    const plan = await planRemoval(target, model, version, signal)
    yield { version, result: await remove(target, plan, { signal, progress }) }
  }
}

/** Whether weights were kept or are missing that somebody has to look after. */
export function isIncomplete(removed: readonly RemovedVersion[]): boolean {
  return removed.some(({ result: { harmed, unreadable } }) => harmed.length > 0 || unreadable.length > 0)
}

export function describeRemoved(model: string, removed: readonly RemovedVersion[], names: Names): string[] {
  const results = removed.map(({ result }) => result)
  const harmed = results.flatMap((result) => result.harmed)
  const unreadable = [...new Set(results.flatMap((result) => result.unreadable))]
  const chunks = results.reduce((sum, each) => sum + each.chunks, 0)
  const size = results.reduce((sum, each) => sum + each.bytes, 0)
  const what = `${counted(removed.length, 'version')} of model ${model}: ${names(removed.map(({ version }) => version))}`
  return [
    `Removed ${what}, and ${counted(chunks, 'chunk')} of weights (${binarySize(size)}).`,
    ...(unreadable.length > 0 ? [staying(unreadable, names)] : []),
    ...(harmed.length > 0 ? [lacking(harmed, names)] : []),
  ]
}
