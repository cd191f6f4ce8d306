import { canonicalJson } from '../catalog/canonical-json.ts'
import { isObject } from '../core/objects.ts'
import { printable } from '../core/printable.ts'
import type { AuditEntry } from './entry.ts'

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
  const [old, now] = [fieldsOf(before?.value), fieldsOf(after.value)]
  const names = [...new Set([...Object.keys(old), ...Object.keys(now)])].filter((name) => !IMPLIED.has(name))
  const changes = names.flatMap((name) =>
    canonicalJson(old[name] ?? null) === canonicalJson(now[name] ?? null)
      ? []
      : differences(name, old[name], now[name]),
  )
  return changes.join('; ')
}

/** The fields of a record, those of a grant and its limits by their paths. */
function fieldsOf(value: unknown, path = ''): Readonly<Record<string, unknown>> {
  if (!isObject(value)) return {}
  const fields = Object.entries(value).map(([name, each]) =>
    isObject(each) && (path !== '' || name === 'grant') ? fieldsOf(each, `${path}${name}.`) : { [path + name]: each },
  )
  return Object.assign({}, ...fields)
}

/** A change of a field; of a map, such as an alias's versions, the names that came and went. */
function differences(name: string, old: unknown, now: unknown): string[] {
  const change = (show: (value: unknown) => string): string[] => {
    if (old === undefined) return [`${name}: ${show(now)}`]
    return [`${name}: ${show(old)} -> ${now === undefined ? 'none' : show(now)}`]
  }
  if (name === 'live') return change(liveText)
  if (name === 'canary') return change(canaryText)
  if (name === 'stopped') return change(stopText)
  if (name === 'signature') return change(signatureText)
  if (name === 'secrets') return change((value) => String(Array.isArray(value) ? value.length : 0))
  if (name.endsWith('At')) return change(timeText)
  if (name !== 'versions') return change(shownAs)
  const [before, after] = [keysOf(old), keysOf(now)]
  const came = after.filter((key) => !before.includes(key)).map((key) => `+${key}`)
  const went = before.filter((key) => !after.includes(key)).map((key) => `-${key}`)
  return [`versions: ${[...came, ...went].join(' ')}`]
}

/** The key of a release's signature, and until when it counts. */
function signatureText(value: unknown): string {
  if (!isObject(value) || typeof value.key !== 'string') return shownAs(value)
  const end = value.expires === undefined ? 'without an end' : `until ${timeText(value.expires)}`
  return `key ${printable(value.key)}, ${end}`
}

/** Seconds since 1970 as a day. */
function timeText(value: unknown): string {
  const date = new Date(Number(value) * 1000)
  return Number.isNaN(date.getTime()) ? shownAs(value) : date.toISOString().slice(0, 10)
}

function keysOf(value: unknown): string[] {
  return isObject(value) ? Object.keys(value) : []
}

/** `2`, or `1=90 2=10`, as `verge release` takes it. */
function liveText(live: unknown): string {
  if (!Array.isArray(live)) return shownAs(live)
  const all = live.map((each: { version?: unknown; weight?: unknown }) => [String(each?.version), String(each?.weight)])
  return printable(
    all.length === 1 ? (all[0]?.[0] ?? '') : all.map(([version, weight]) => `${version}=${weight}`).join(' '),
  )
}

/** `2 against 1`, and what is said of the trial besides; `shadow 10 %` as `verge release --shadow 10` takes it. */
function canaryText(value: unknown): string {
  if (!isObject(value)) return shownAs(value)
  // Rounded, because 0.07 times 100 is not 7 in floating point.
  const shadow = typeof value.shadow === 'number' ? `, shadow ${Number((value.shadow * 100).toFixed(6))} %` : ''
  return printable(
    `${String(value.version)} against ${String(value.against)}${shadow}${value.guarded === false ? ', no guard' : ''}`,
  )
}

function stopText(value: unknown): string {
  return isObject(value) ? printable(`${String(value.version)}, ${String(value.reason)}`) : shownAs(value)
}

function shownAs(value: unknown): string {
  const plain = Array.isArray(value) && value.every((item) => typeof item === 'string') ? value.join(',') : value
  const text = printable(typeof plain === 'string' ? plain : (JSON.stringify(plain) ?? 'none'))
  return text.length <= MOST_LETTERS ? text : `${text.slice(0, MOST_LETTERS - 1)}…`
}
