import { keyRecordKey } from '../../access/keys/record.ts'
import { describeChange } from '../../audit/describe.ts'
import { aliasKey } from '../../catalog/keys.ts'
import { type ListedEntries, listEntries } from '../audit/list.ts'
import { adopt, describeAudit, describeDifference, isIntact, verifyAudit } from '../audit/verify.ts'
import { defineCommand } from '../command.ts'
import { findKey, type KeyReference, referenceTo } from '../keys/find.ts'
import { TARGET_ENVIRONMENT, TARGET_OPTIONS } from '../target/arguments.ts'
import { modelNamed } from '../target/names.ts'
import { OPERATOR_OPTION } from '../target/operator.ts'
import { withTarget } from '../target/session.ts'
import type { Target } from '../target/target.ts'
import { UsageError } from '../terminal/command-line.ts'
import { agreed } from '../terminal/confirm.ts'
import { printable, table } from '../terminal/format.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'
import { timeMs } from '../terminal/period.ts'
import { integerIn } from '../terminal/values.ts'

const DEFAULT_ENTRIES = 50
const MOST_ENTRIES = 100_000

const OPTIONS = {
  model: { type: 'string', value: 'NAME', help: 'only changes of this model' },
  key: { type: 'string', value: 'ID', help: 'only changes of this key: its id, its name, or the whole key' },
  since: { type: 'string', value: 'TIME', help: 'only changes since then: 7d, 24h, 2026-11-30' },
  limit: { type: 'string', value: 'N', help: `entries to show, the newest first (default: ${DEFAULT_ENTRIES})` },
  verify: { type: 'boolean', help: 'check the whole log, and that aliases and keys are what it recorded last' },
  expect: { type: 'string', value: 'SEQ:HASH', help: 'with --verify: the log must contain this entry, noted earlier' },
  adopt: { type: 'boolean', help: 'record aliases and keys that differ from the log as they are now' },
  yes: { type: 'boolean', help: 'with --adopt: do not ask for confirmation' },
  ...TARGET_OPTIONS,
  ...OPERATOR_OPTION,
  json: { type: 'boolean', help: 'print JSON' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Shows who changed what: publications, releases, visibility, removals and keys, the newest first. With --verify, checks
that no entry was changed or removed since; exits with 1 if one was. docs/audit.md explains what that proves.

Usage: npx verge audit [options]

${helpOf(OPTIONS)}

Examples:
  npx verge audit
  npx verge audit --model digits --since 30d
  npx verge audit --key shop
  npx verge audit --verify --env production
  npx verge audit --json --limit 1000

${TARGET_ENVIRONMENT}`

interface Arguments {
  readonly model?: string | undefined
  readonly key?: string | undefined
  readonly since?: string | undefined
  readonly limit?: string | undefined
  readonly verify?: boolean | undefined
  readonly expect?: string | undefined
  readonly adopt?: boolean | undefined
  readonly yes?: boolean | undefined
  readonly json?: boolean | undefined
}

export const auditCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  operands: [],
  async run({ values }) {
    const filter = filterOf(values)
    const key = values.key === undefined ? undefined : referenceTo(values.key)
    const expected = values.expect === undefined ? undefined : expectedIn(values.expect)
    assertCombined(values)
    return withTarget(values, async ({ target, signal, progress }) => {
      if (values.adopt) {
        progress.close()
        return adoptAll(target, values, signal)
      }
      if (values.verify) {
        const report = await verifyAudit(target.truth, expected, signal)
        if (!isIntact(report)) process.exitCode = 1
        const { entries, last, faults } = report.chain
        const { records, differences } = report
        return values.json
          ? JSON.stringify({ ok: isIntact(report), entries, last, faults, records, differences }, null, 2)
          : describeAudit(report)
      }
      const subject = key === undefined ? filter.subject : await keySubject(target, key, signal)
      const listed = await listEntries(target.truth, { ...filter, subject }, signal)
      if (listed.faults.length > 0) process.exitCode = 1
      return values.json ? JSON.stringify(listed, null, 2) : describe(listed, target.label)
    })
  },
})

/** @throws UsageError for options that have no effect together */
function assertCombined(values: Arguments): void {
  if (values.verify && values.adopt) throw new UsageError('Use either --verify or --adopt.')
  if (values.expect !== undefined && !values.verify) throw new UsageError('--expect needs --verify.')
  const filtered = (['model', 'key', 'since', 'limit'] as const).find((name) => values[name] !== undefined)
  if (filtered !== undefined && (values.verify || values.adopt)) {
    throw new UsageError(`--${filtered} cannot be combined with --verify or --adopt, which read the whole log.`)
  }
  if (values.model !== undefined && values.key !== undefined) throw new UsageError('Use either --model or --key.')
  if (values.adopt && values.json && !values.yes) {
    throw new UsageError('--json cannot ask for confirmation. Add --yes.')
  }
}

/** A key that is no longer there is found by its id. @throws UsageError that names what exists */
async function keySubject({ truth }: Target, key: KeyReference, signal: AbortSignal): Promise<string> {
  return keyRecordKey('id' in key ? key.id : await findKey(truth, key, signal))
}

/** @throws UsageError */
function filterOf(values: Arguments) {
  const { model, since } = values
  return {
    limit: integerIn({ limit: values.limit }, 'limit', 1, MOST_ENTRIES) ?? DEFAULT_ENTRIES,
    subject: model === undefined ? undefined : aliasKey(modelNamed(model)),
    since: since === undefined ? undefined : timeMs('since', since, Date.now(), 'ago'),
  }
}

function expectedIn(text: string) {
  const [, seq, hash = ''] = /^(\d{1,12}):([0-9a-f]{64})$/.exec(text) ?? []
  if (seq === undefined) {
    throw new UsageError('--expect takes the number and the hash of an entry, as --verify prints them: 12:3f9a...')
  }
  return { seq: Number(seq), hash }
}

function describe({ entries, more, faults }: ListedEntries, label: string): string {
  const rows = entries.map((entry) => [
    String(entry.seq),
    entry.at.slice(0, 19).replace('T', ' '),
    entry.by,
    entry.action,
    entry.subject,
    describeChange(entry),
  ])
  const list = entries.length === 0 ? `The audit log of ${label} has no such entries.` : table([HEADINGS, ...rows])
  const hint = more ? ['There are older entries: --limit shows more, --since and --model select.'] : []
  return [list, ...hint, ...faults.map((fault) => `not listed: ${printable(fault)}`)].join('\n')
}

const HEADINGS = ['entry', 'at (UTC)', 'by', 'action', 'record', 'change']

async function adoptAll(target: Target, { yes, json }: Arguments, signal: AbortSignal): Promise<string> {
  const { differences } = await verifyAudit(target.truth, undefined, signal)
  const adopted = differences.map(({ subject }) => subject)
  if (differences.length === 0) {
    return json
      ? JSON.stringify({ adopted }, null, 2)
      : 'Each alias and key is what the log recorded last. Nothing was changed.'
  }
  if (!yes) {
    console.error(differences.map(describeDifference).join('\n'))
    if (!(await agreed('Record them as they are now?', signal))) return 'Nothing was changed.'
  }
  await adopt(target.audit, differences)
  return json ? JSON.stringify({ adopted }, null, 2) : `Recorded as they are now: ${adopted.map(printable).join(', ')}`
}
