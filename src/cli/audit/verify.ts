import { KEY_RECORD_PREFIX } from '../../access/keys/record.ts'
import { compareRecords, type Difference } from '../../audit/compare.ts'
import type { AuditLog } from '../../audit/log.ts'
import type { Head } from '../../audit/read.ts'
import { type ChainReport, verifyChain } from '../../audit/verify.ts'
import { ALIAS_PREFIX } from '../../catalog/keys.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Store } from '../../weights/store.ts'
import { nodeSha256 } from '../pack/bytes.ts'
import { counted, printable } from '../terminal/format.ts'

/** What the log is about: aliases of models, and keys of callers. */
const PREFIXES = [ALIAS_PREFIX, KEY_RECORD_PREFIX]

export interface AuditReport {
  readonly chain: ChainReport
  readonly records: number
  readonly differences: readonly Difference[]
}

/**
 * Verifies the chain, and that records are what was recorded last.
 * @param expected an entry that the chain must contain
 * @throws store_unavailable, the signal's reason
 */
export async function verifyAudit(store: Store, expected: Head | undefined, signal: AbortSignal): Promise<AuditReport> {
  const look = async (): Promise<AuditReport> => {
    const chain = await verifyChain(store, { sha256: nodeSha256, limits: LIMITS, expected, signal })
    const options = { prefixes: PREFIXES, sha256: nodeSha256, limits: LIMITS, signal }
    return { chain, ...(await compareRecords(store, chain.recorded, options)) }
  }
  const first = await look()
  // a command may have changed a record between the two readings
  return first.differences.length === 0 ? first : look()
}

export function isIntact({ chain, differences }: AuditReport): boolean {
  return chain.faults.length === 0 && differences.length === 0
}

export function describeAudit({ chain, records, differences }: AuditReport): string {
  const { entries, last, faults } = chain
  const lines = [
    ...faults.map(({ finding }) => `fail  ${printable(finding)}`),
    ...differences.map((difference) => `fail  ${describeDifference(difference)}`),
  ]
  if (faults.length === 0)
    lines.push(`ok    ${counted(entries, 'entry').replace(/entrys$/, 'entries')}: the chain is intact`)
  if (differences.length === 0) lines.push(`ok    ${counted(records, 'record')}: each is what was recorded last`)
  if (last.seq > 0) {
    lines.push(
      '',
      'Note the last entry outside of the bucket, and give it to a later verification, which then finds out if the log was',
      'rewritten:',
      `  npx verge audit --verify --expect ${last.seq}:${last.hash}`,
    )
  }
  return lines.join('\n')
}

export function describeDifference({ subject, kind, seq }: Difference): string {
  const name = printable(subject)
  switch (kind) {
    case 'unrecorded':
      return `${name} is not in the log: it is older than the log, or Verge's commands did not write it.`
    case 'as-before':
      return `${name} is as it was before entry ${seq}: the command was interrupted, or an old record was put back.`
    case 'changed':
      return `${name} is not what entry ${seq} recorded: Verge's commands did not write it.`
    case 'missing':
      return `${name} is missing, although entry ${seq} recorded it: Verge's commands did not remove it.`
    case 'present':
      return `${name} is there, although entry ${seq} recorded its removal: Verge's commands did not write it.`
  }
}

/** Records that records are as they are now, after a person has looked at them. @throws store_unavailable, conflict */
export async function adopt(log: AuditLog, differences: readonly Difference[]): Promise<void> {
  for (const { subject, sha256 } of differences) {
    await log.record({ action: 'adopt', subject, before: null, after: sha256 === null ? null : { sha256 } })
  }
}
