import { newestEntry } from '../../audit/log.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Store } from '../../weights/store.ts'
import { describeDifference, isIntact, verifyAudit } from '../audit/verify.ts'
import { stateOf, timeText } from '../keys/describe.ts'
import { listKeys, outdatedCopies } from '../keys/inventory.ts'
import { nodeSha256 } from '../pack/bytes.ts'
import { counted, printable } from '../terminal/format.ts'
import { type Check, fail, ok, skip, warn } from './check.ts'

export interface AdministrationOptions {
  /** Of wrangler.toml; undefined on this machine. */
  readonly env: string | undefined
  /** Names in PLANS; undefined where the variable cannot be read. */
  readonly plans: ReadonlySet<string> | undefined
  /** In milliseconds since 1970. */
  readonly now: number
}

/** More are counted. */
const MOST_NAMED = 5
/** A key that ends sooner is worth a warning. */
const SOON_MS = 14 * 86_400_000
/** A longer log takes minutes to read from outside. */
const MOST_ENTRIES = 2_000

/**
 * Checks callers' keys (readable, copied, not expired, with plans that exist) and the audit log.
 * @throws store_unavailable
 */
export async function checkAdministration(
  truth: Store,
  copy: Store | undefined,
  options: AdministrationOptions,
): Promise<Check[]> {
  const option = options.env === undefined ? '' : ` --env ${options.env}`
  return [...(await checkKeys(truth, copy, options, option)), await checkAudit(truth, option)]
}

async function checkKeys(
  truth: Store,
  copy: Store | undefined,
  { plans, now }: AdministrationOptions,
  option: string,
): Promise<Check[]> {
  const area = 'keys'
  const { keys, unreadable } = await listKeys(truth)
  if (keys.length + unreadable.size === 0) return []
  const checks: Check[] = []
  for (const [id, why] of unreadable) {
    checks.push(fail(area, `key ${id} cannot be read: ${printable(why)}`, `npx verge keys revoke ${id}${option}`))
  }
  const outdated = copy === undefined ? [] : await outdatedCopies(truth, [copy])
  if (outdated.length > 0) {
    const finding = `the copies of ${counted(outdated.length, 'key')} in KV differ from R2: ${named(outdated)}`
    checks.push(
      fail(area, finding, `A change may not be seen yet. Write the copies again: npx verge keys list${option}`),
    )
  }
  const label = ({ id, name }: { readonly id: string; readonly name: string }): string => `${id} (${printable(name)})`
  const valid = keys.filter((record) => stateOf(record, now) === 'valid')
  const lost = valid.filter(({ grant }) => plans !== undefined && grant.plan !== undefined && !plans.has(grant.plan))
  if (lost.length > 0) {
    const finding = `${counted(lost.length, 'key')} with a plan that PLANS does not have: ${named(lost.map((key) => `${label(key)}: ${key.grant.plan}`))}`
    checks.push(fail(area, finding, `Add the plan to PLANS, or: npx verge keys update ID --plan NAME${option}`))
  }
  const expired = keys.filter((record) => stateOf(record, now) === 'expired')
  if (expired.length > 0) {
    const fix = `Revoke them, or give them another end: npx verge keys update ID --expires 90d${option}`
    checks.push(warn(area, `${counted(expired.length, 'key')} expired: ${named(expired.map(label))}`, fix))
  }
  const ending = valid.filter(({ expiresAt }) => expiresAt !== undefined && expiresAt * 1000 < now + SOON_MS)
  if (ending.length > 0) {
    const finding = `${counted(ending.length, 'key')} will expire soon: ${named(ending.map((key) => `${label(key)} ${timeText(key.expiresAt ?? 0)}`))}`
    checks.push(warn(area, finding, `Give them another end: npx verge keys update ID --expires 90d${option}`))
  }
  if (checks.some(({ status }) => status === 'fail')) return checks
  const copied = copy === undefined ? '' : ', and KV has the same'
  return [ok(area, `${counted(keys.length, 'key')}, ${valid.length} valid: all can be read${copied}`), ...checks]
}

async function checkAudit(truth: Store, option: string): Promise<Check> {
  const area = 'audit log'
  const verify = `npx verge audit --verify${option}`
  const { seq } = await newestEntry(truth, { sha256: nodeSha256, limits: LIMITS })
  if (seq > MOST_ENTRIES) return skip(area, `has ${seq} entries, which are not read here: ${verify}`)
  const report = await verifyAudit(truth, undefined, new AbortController().signal)
  if (isIntact(report)) {
    return ok(area, `the chain of ${seq} entries is intact, and each alias and key is what was recorded last`)
  }
  const findings = [...report.chain.faults.map(({ finding }) => finding), ...report.differences.map(describeDifference)]
  const rest = findings.length - 1
  const more = rest > 0 ? ` (and ${counted(rest, 'problem')} more)` : ''
  const fix = `${verify} shows all. docs/audit.md explains them.`
  // records that are older than the log are no sign of anything
  const old = report.chain.faults.length === 0 && report.differences.every(({ kind }) => kind === 'unrecorded')
  const finding = `${printable(findings[0] ?? '')}${more}`
  return old
    ? warn(area, finding, `${fix} To record them as they are: npx verge audit --adopt${option}`)
    : fail(area, finding, fix)
}

function named(all: readonly string[]): string {
  const rest = all.length - MOST_NAMED
  return `${all.slice(0, MOST_NAMED).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
}
