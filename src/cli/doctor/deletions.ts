import { chunksBeingDeleted } from '../../catalog/deletion.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Store } from '../../weights/store.ts'
import { REMOVED_PREFIX } from '../push/removal.ts'
import { firstMarks } from '../push/unreferenced.ts'
import { counted } from '../terminal/format.ts'
import { type Check, warn } from './check.ts'

const AREA = 'housekeeping'
const DAY_MS = 86_400_000
/** A sweep with its usual grace time, and a day until somebody runs the next one. */
const SWEPT_AFTER_MS = 2 * DAY_MS
/** More in a line are left out. */
const MOST_NAMED = 5

/**
 * Deletions that began and did not end, and weights that wait for a sweep. Nothing if there are none.
 * @param env the environment that the commands need
 * @param now milliseconds since 1970
 * @throws store_unavailable
 */
export async function checkDeletions(truth: Store, env: string, now: number): Promise<Check[]> {
  const checks: Check[] = []
  const deleting = await chunksBeingDeleted(truth, LIMITS)
  if (deleting === null || deleting > 0) {
    const finding =
      deleting === null
        ? 'the announcement of deletions cannot be read: each push and sweep waits five minutes for it'
        : `${counted(deleting, 'chunk')} are announced to be deleted: a command runs, or was killed`
    checks.push(
      warn(AREA, finding, `If none runs: npx verge sweep --env ${env}. It waits five minutes, and takes over.`),
    )
  }
  const { cursor, keys } = await truth.list(REMOVED_PREFIX)
  if (keys.length > 0) {
    const versions = keys.slice(0, MOST_NAMED).map((key) => key.slice(REMOVED_PREFIX.length).replace('/', '@'))
    const more = cursor !== undefined || keys.length > versions.length ? ' and more' : ''
    checks.push(
      warn(
        AREA,
        `removals that were interrupted keep their weights: ${versions.join(', ')}${more}`,
        `Finish them: npx verge rm ${versions[0]} --env ${env}`,
      ),
    )
  }
  const { marks, more } = await firstMarks(truth)
  const old = [...marks.values()].filter(({ at }) => now - at * 1000 > SWEPT_AFTER_MS).length
  if (old > 0) {
    const finding = `${more ? 'at least ' : ''}${counted(old, 'chunk')} of weights that no version uses were marked more than two days ago`
    checks.push(warn(AREA, finding, `Delete them: npx verge sweep --env ${env}`))
  }
  return checks
}
