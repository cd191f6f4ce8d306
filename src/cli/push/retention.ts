import type { Alias } from '../../catalog/alias.ts'
import { historyOf } from '../../catalog/alias-changes.ts'

/**
 * Versions of a model that nothing needs, oldest first: beyond the newest `keep` of those that are not live, not on trial, and
 * not where the next rollback goes. Versions without a time are the oldest.
 */
export function spareVersions(alias: Alias, keep: number): string[] {
  const { canary, created = {}, live, versions } = alias
  const needed = new Set([...live.map(({ version }) => version), canary?.version, historyOf(alias).at(-1)])
  const others = Object.keys(versions).filter((version) => !needed.has(version))
  // A sort keeps the order of equals, which is that of the alias.
  others.sort((a, b) => (created[a] ?? 0) - (created[b] ?? 0))
  return others.slice(0, Math.max(0, others.length - keep))
}
