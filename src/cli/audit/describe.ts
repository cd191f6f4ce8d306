import type { AuditEntry } from '../../audit/entry.ts'
import { canonicalJson } from '../../catalog/canonical-json.ts'
import type { RecordedState } from '../../catalog/change-log.ts'
import { printable } from '../terminal/format.ts'

/** Fields that change with every write and say nothing of their own. */
const IMPLIED = new Set([
  'schema',
  'generation',
  'history',
  'previous',
  'created',
  'seeded',
  'id',
  'model',
  'createdAt',
])

/** Longer values are cut; `--json` has all of them. */
const MOST_LETTERS = 60

/** The fields that an entry changed, each with its value before and after; empty where it says all by its action. */
export function describeChange({ action, before, after, withdraws }: AuditEntry): string {
  if (action === 'withdrawn') return `entry ${withdraws ?? ''} was not carried out`
  if (after === null) return ''
  const [old, now] = [fieldsOf(before), fieldsOf(after)]
  const names = [...new Set([...Object.keys(old), ...Object.keys(now)])].filter((name) => !IMPLIED.has(name))
  const changes = names.flatMap((name) =>
    canonicalJson(old[name] ?? null) === canonicalJson(now[name] ?? null)
      ? []
      : differences(name, old[name], now[name]),
  )
  return changes.join('; ')
}

function fieldsOf(state: RecordedState | null): Readonly<Record<string, unknown>> {
  const value = state?.value
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}

/** A change of a field; of a map, such as an alias's versions, the names that came and went. */
function differences(name: string, old: unknown, now: unknown): string[] {
  if (name === 'live') return [`live: ${old === undefined ? '' : `${liveText(old)} -> `}${liveText(now)}`]
  if (name === 'versions') {
    const [before, after] = [keysOf(old), keysOf(now)]
    const came = after.filter((key) => !before.includes(key)).map((key) => `+${key}`)
    const went = before.filter((key) => !after.includes(key)).map((key) => `-${key}`)
    return [`versions: ${[...came, ...went].join(' ')}`]
  }
  if (old === undefined) return [`${name}: ${shownAs(now)}`]
  return [`${name}: ${shownAs(old)} -> ${now === undefined ? 'none' : shownAs(now)}`]
}

function keysOf(value: unknown): string[] {
  return typeof value === 'object' && value !== null ? Object.keys(value) : []
}

/** `2`, or `1=90 2=10`, as `verge release` takes it. */
function liveText(live: unknown): string {
  if (!Array.isArray(live)) return shownAs(live)
  const all = live.map((each: { version?: unknown; weight?: unknown }) => [String(each?.version), String(each?.weight)])
  return printable(
    all.length === 1 ? (all[0]?.[0] ?? '') : all.map(([version, weight]) => `${version}=${weight}`).join(' '),
  )
}

function shownAs(value: unknown): string {
  const text = printable(typeof value === 'string' ? value : (JSON.stringify(value) ?? 'none'))
  return text.length <= MOST_LETTERS ? text : `${text.slice(0, MOST_LETTERS - 1)}…`
}
