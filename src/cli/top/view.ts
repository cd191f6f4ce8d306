import type { OperationsBody } from '../../protocols/verge/operations.ts'
import { type Paint, paintOf } from './paint.ts'
import { failedPercent, type Sort, secondsIn } from './rates.ts'
import {
  alertSection,
  changeSection,
  costSection,
  isolateSection,
  modelSection,
  originSection,
  type Section,
} from './sections.ts'
import { bars, clip, short } from './text.ts'

export interface ViewOptions {
  readonly columns: number
  /** Infinity: all there is. */
  readonly rows: number
  readonly colour: boolean
  readonly sort: Sort
  /** Of the Worker. */
  readonly address: string
  /** Why the last try to refresh failed. */
  readonly stale?: string | undefined
  /** A line about the keys of the keyboard. */
  readonly keys: boolean
}

/** What a terminal shows of an answer, in lines that fit it. Pure. */
export function viewOf(body: OperationsBody, options: ViewOptions): readonly string[] {
  const { colour, columns, keys, rows, sort, stale } = options
  const paint = paintOf(colour)
  const details = { width: columns, sort, paint }
  const head = [titleLine(body, options, paint), totalsLine(body, columns), ...hourLine(body, columns, paint)]
  const last = [
    ...(stale === undefined ? [] : [paint.critical(clip(`Not refreshed: ${stale}`, columns))]),
    ...(keys ? [paint.dim(clip(KEYS, columns))] : []),
  ]
  const sections = [
    alertSection(body, details),
    modelSection(body, details),
    costSection(body, details),
    originSection(body, details),
    isolateSection(body, details),
    changeSection(body, details),
  ].filter((section) => section !== undefined)
  const room = rows - head.length - last.length
  const counts = shownOf(sections, room)
  const lines = sections.flatMap((section, index) => linesOf(section, counts[index] ?? 0, columns, paint))
  return [...head, ...lines.slice(0, Math.max(0, room)), ...last].slice(0, rows)
}

const KEYS = 'q quit   sort by: r requests  e errors  u units  l latency  c cost  n name'

const HEALTH = { ok: 'healthy', warning: 'WARNING', critical: 'CRITICAL' } as const

function titleLine(body: OperationsBody, { address, columns }: ViewOptions, paint: Paint): string {
  const { at, health, utilization, version } = body
  const state = HEALTH[health]
  const used = (['heap', 'cpu'] as const).flatMap((resource) => {
    const share = utilization?.[resource]
    return share === undefined ? [] : [`  ${resource} ${(100 * share).toFixed(0)} %`]
  })
  const rest = `  verge ${version} at ${address}  ${at.slice(11, 19)} UTC${used.join('')}`
  return paint[health](clip(state, columns)) + clip(rest, Math.max(0, columns - state.length))
}

function totalsLine(body: OperationsBody, columns: number): string {
  const { isolates, lost, totals } = body
  if (totals === null) return clip('Traffic: not known', columns)
  const seconds = secondsIn(body)
  const { last5m } = totals
  const failed = failedPercent(last5m)
  const facts = [
    `${short(last5m.requests / seconds)} requests/s`,
    `${failed === undefined ? '0' : failed.toFixed(1)} % failed`,
    `${short(last5m.units / seconds)} units/s`,
    `${short(last5m.tokens / seconds)} tokens/s`,
    ...(isolates === null ? [] : [`${isolates} ${isolates === 1 ? 'isolate' : 'isolates'}`]),
    ...(lost === null || lost === 0 ? [] : [`${short(lost)} lost`]),
  ]
  return clip(facts.join('  '), columns)
}

/** An hour, a minute each. Narrow terminals show less of it. */
function hourLine({ minutes }: OperationsBody, columns: number, paint: Paint): string[] {
  if (minutes === null) return []
  const label = 'last hour '
  const most = Math.max(0, ...minutes.map(({ requests }) => requests))
  const end = ` ${short(most)}/min`
  const shown = minutes.slice(-Math.max(1, columns - label.length - end.length))
  return [paint.dim(clip(label + bars(shown.map(({ requests }) => requests)) + end, columns))]
}

/** A section with so many of its items: its heading, what its columns mean, and their lines. */
function linesOf({ columns: names, heading, items }: Section, count: number, columns: number, paint: Paint): string[] {
  if (count === 0 && items.length > 0) return []
  const title = count < items.length ? `${heading} (${count} of ${items.length})` : heading
  return [
    ...(heading === '' ? [] : [paint.heading(clip(title, columns))]),
    ...(names === undefined ? [] : [paint.dim(clip(names, columns))]),
    ...items.slice(0, count).flat(),
  ]
}

/** How many items each section shows: first what each needs at least, in their order, then what is left. */
function shownOf(sections: readonly Section[], rows: number): readonly number[] {
  let left = rows
  const shown = sections.map(() => 0)
  const give = (wanted: (section: Section) => number): void => {
    for (const [index, section] of sections.entries()) {
      const { columns, heading, items } = section
      const most = Math.min(items.length, wanted(section))
      for (let next = shown[index] ?? 0; next < most; next++) {
        // The first item brings the heading with it.
        const above = next > 0 ? 0 : (heading === '' ? 0 : 1) + (columns === undefined ? 0 : 1)
        const needed = above + (items[next]?.length ?? 0)
        if (needed > left) break
        left -= needed
        shown[index] = next + 1
      }
    }
  }
  give(({ least }) => least)
  give(({ items }) => items.length)
  return shown
}
