import type { Alias } from '../../catalog/alias.ts'
import type { Canary } from '../../catalog/canary.ts'
import type { Manifest } from '../../catalog/manifest.ts'
import type { CatalogReader } from '../../catalog/reader.ts'
import { LIMITS } from '../../core/limits.ts'
import { UsageError } from '../terminal/command-line.ts'
import { differencesOf } from './differences.ts'
import { notCompared } from './shadow-limits.ts'

export interface TrialCheckOptions {
  /** Begin the trial whatever the manifests say. */
  readonly force: boolean
  readonly signal?: AbortSignal
}

/**
 * Compares the manifests of a canary and its stable version before a trial begins: failures of requests that do not fit the
 * canary count against nobody, so that it would stay.
 * @returns what the operator should know of the trial, a sentence each
 * @throws UsageError where the canary does not take the requests of the stable version; manifest_invalid
 */
export async function checkTrial(
  reader: Pick<CatalogReader, 'manifest'>,
  old: Alias | null,
  planned: Alias,
  { force, signal }: TrialCheckOptions,
): Promise<readonly string[]> {
  const { canary, model } = planned
  if (canary === undefined) return []
  const isNew = old?.canary?.version !== canary.version || old.canary.against !== canary.against
  const comparesMore = Boolean(canary.shadow) && (isNew || !old?.canary?.shadow)
  if (!isNew && !comparesMore) return []
  const manifestOf = (version: string): Promise<Manifest> =>
    reader.manifest(model, version, planned.versions[version] ?? '', signal)
  const [stable, next] = [await manifestOf(canary.against), await manifestOf(canary.version)]
  const { breaking, harmless } = differencesOf({ known: stable, next })
  if (isNew && breaking.length > 0 && !force) throw misfit(model, canary, breaking)
  return [
    ...(isNew ? breaking.map((line) => `not the same (--force): ${line}`) : []),
    ...(isNew ? harmless.map((line) => `differs: ${line}`) : []),
    ...(comparesMore ? shadowNotes(stable, next, canary, breaking.length > 0) : []),
  ]
}

function misfit(model: string, { against, version }: Canary, breaking: readonly string[]): UsageError {
  return new UsageError(
    [
      `Version ${version} of model "${model}" does not take the requests of version ${against}, or answers in another form:`,
      ...breaking.map((line) => `  ${line}`),
      'Its callers would be refused, which counts against neither version, so that the canary would not be taken out.',
      `Push it under another name, or release it for all callers at once: npx verge release ${model} ${version}. To begin the trial all the same: --force`,
    ].join('\n'),
  )
}

function shadowNotes(stable: Manifest, next: Manifest, { guarded }: Canary, misfits: boolean): string[] {
  const lines = notCompared(stable, next, LIMITS)
  if (misfits) {
    lines.push(
      `Outputs of another form count as disagreement${guarded ? ', and the canary is taken out for it. Leave out --shadow, or use --no-guard' : ''}.`,
    )
  }
  return lines.map((line) => `--shadow: ${line}`)
}
