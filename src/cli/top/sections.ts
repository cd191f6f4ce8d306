import type {
  OperationsBody,
  OperationsCaller,
  OperationsChange,
  OperationsModel,
  OperationsOrigin,
} from '../../protocols/verge/operations.ts'
import type { Paint } from './paint.ts'
import { failedPercent, type Sort, secondsIn, sorted } from './rates.ts'
import { cell, clip, dollars, short } from './text.ts'

/** A part of the view: a heading and items, of which as many are shown as there is room for. */
export interface Section {
  /** Empty: none. */
  readonly heading: string
  /** Above the items, and shown with them. */
  readonly columns?: string
  /** Each of one line or several, which are shown together. */
  readonly items: readonly (readonly string[])[]
  /** Items that it has before others have more. */
  readonly least: number
}

export interface SectionOptions {
  readonly width: number
  readonly sort: Sort
  readonly paint: Paint
}

/** Alerts, and parts of the answer that are missing, each with what to do. */
export function alertSection(
  { alerts, problems }: OperationsBody,
  { paint, width }: SectionOptions,
): Section | undefined {
  if (alerts.length === 0) return undefined
  const items = [
    ...alerts.map(({ do: advice, severity, what }) => [
      paint[severity](clip(`${severity === 'critical' ? '!!' : '! '} ${what}`, width)),
      paint.dim(clip(`   ${advice}`, width)),
    ]),
    ...problems.map(({ part, what }) => [paint.dim(clip(`   ${part}: ${what}`, width))]),
  ]
  return { heading: '', items, least: 2 }
}

/** Columns of figures, with their widths. */
const FIGURES = [
  ['req/s', 6],
  ['err %', 5],
  ['unit/s', 6],
  ['p50 ms', 6],
  ['p95 ms', 6],
  ['today', 8],
] as const
const FIGURES_WIDTH = FIGURES.reduce((sum, [, each]) => sum + each + 1, 0)
const LIVE_WIDTH = 16

/** Models, the busiest first unless told otherwise. */
export function modelSection(body: OperationsBody, { paint, sort, width }: SectionOptions): Section {
  const { models, modelsLeftOut } = body
  const nameWidth = Math.max(10, Math.min(30, width - FIGURES_WIDTH - LIVE_WIDTH - 1))
  const row = (name: string, figures: readonly string[], live: string): string => {
    const cells = FIGURES.map(([, each], index) => cell(figures[index] ?? '', each, 'right'))
    return clip([cell(name, nameWidth), ...cells, live].join(' '), width)
  }
  const seconds = secondsIn(body)
  const items = sorted(models ?? [], sort).map((model) => {
    const text = row(model.model, figuresOf(model, seconds), liveText(model))
    const failed = model.traffic === null ? 0 : (failedPercent(model.traffic.last5m) ?? 0)
    const trial = trialText(model)
    return [
      failed > 0 ? paint.warning(text) : text,
      ...(trial === undefined ? [] : [(model.stopped ? paint.warning : paint.dim)(clip(`  ${trial}`, width))]),
    ]
  })
  const more = modelsLeftOut === 0 ? '' : `, ${modelsLeftOut} more not listed`
  return {
    heading: `Models by ${sort}${more}`,
    columns: row(
      'model',
      FIGURES.map(([name]) => name),
      'live',
    ),
    items: models === null ? UNKNOWN : items.length === 0 ? [['There are no models. npx verge push']] : items,
    least: 4,
  }
}

const UNKNOWN = [['not known']]

function figuresOf({ costTodayUsd, p50Ms, p95Ms, traffic }: OperationsModel, seconds: number): string[] {
  const known = (value: number | undefined): string => (value === undefined ? '-' : short(value))
  const last = traffic?.last5m
  const failed = last && failedPercent(last)
  return [
    known(last && last.requests / seconds),
    failed === undefined ? '-' : failed.toFixed(1),
    known(last && last.units / seconds),
    known(p50Ms),
    known(p95Ms),
    costTodayUsd === undefined ? '-' : dollars(costTodayUsd),
  ]
}

/** `2`, or `1=95 2=5` as `verge release` takes it. */
function liveText({ live, visibility }: OperationsModel): string {
  const [only] = live
  if (only === undefined) return visibility === undefined ? 'not stored' : ''
  return live.length === 1 ? only.version : live.map(({ version, weight }) => `${version}=${weight}`).join(' ')
}

/** How the canary does, or why it is gone. Undefined: there is none. */
function trialText({ canary, stopped, versions }: OperationsModel): string | undefined {
  if (stopped !== undefined) return `version ${stopped.version} was taken out: ${stopped.reason}`
  if (canary === undefined) return undefined
  const { against, guarded, requests, shadow, share, verdict, version } = canary
  const last = versions.find((each) => each.version === version)?.last5m
  const failed = last && failedPercent(last)
  const facts = [
    `canary ${version} against ${against}`,
    `${(100 * share).toFixed(0)} % of requests`,
    ...(shadow === undefined ? [] : [`${(100 * shadow).toFixed(0)} % compared`]),
    ...(requests === undefined ? [] : [`${short(requests)} counted`]),
    ...(failed === undefined ? [] : [`${failed.toFixed(1)} % failed`]),
    verdict ?? (guarded ? 'guarded' : 'not guarded'),
  ]
  return facts.join(', ')
}

/** What today cost, and whose it is. */
export function costSection({ callers, cost }: OperationsBody, { paint, width }: SectionOptions): Section {
  const heading =
    cost === null
      ? 'Cost and callers: not known'
      : `Cost today ${dollars(cost.todayUsd)}, this month ${dollars(cost.monthUsd)}`
  return { heading, items: (callers ?? []).map((caller) => [callerLine(caller, width, paint)]), least: 2 }
}

function callerLine(caller: OperationsCaller, width: number, paint: Paint): string {
  const { budgets, errorsToday, name, principal, requestsToday, spentTodayUsd } = caller
  const who = name === undefined ? principal : `${name} (${principal})`
  const used = budgets.map(({ kind, limit, period, used: amount }) => {
    const share = limit === 0 ? 100 : (100 * amount) / limit
    return { share, text: `${share.toFixed(0)} % of ${kind}/${period}` }
  })
  const failed = errorsToday === 0 ? '' : ` ${short(errorsToday)} errors`
  const text = `${cell(who, 30)} ${cell(short(requestsToday), 6, 'right')} requests ${cell(dollars(spentTodayUsd), 8, 'right')}${failed}`
  const line = clip([text, ...used.map((each) => each.text)].join('  '), width)
  return used.some(({ share }) => share > 90) ? paint.warning(line) : line
}

/** Undefined where no origins are configured. */
export function originSection({ origins }: OperationsBody, { paint, width }: SectionOptions): Section | undefined {
  if (origins?.length === 0) return undefined
  return {
    // Otherwise people look for what is wrong with an origin that nothing probes, as on their own machine.
    heading: origins?.some(({ up }) => up === null)
      ? "Origins (only a deployed Worker's cron trigger probes them)"
      : 'Origins',
    items: origins?.map((each) => [originLine(each, width, paint)]) ?? UNKNOWN,
    least: 2,
  }
}

function originLine(origin: OperationsOrigin, width: number, paint: Paint): string {
  const { detail, failures, here, latencyMs, name, provider, queue, up } = origin
  const state = up === null ? unprobedState(origin) : up ? 'up' : `down (${failures} probes)`
  const facts = [
    cell(name, 20),
    cell(state, 16),
    ...(here === 'up' ? [] : [`breaker ${here}`]),
    ...(latencyMs === undefined ? [] : [`${short(latencyMs)} ms`]),
    ...(queue === undefined ? [] : [`queue ${short(queue)}`]),
    ...(provider === undefined ? [] : [provider]),
    ...(detail === undefined ? [] : [detail]),
  ]
  const line = clip(facts.join(' '), width)
  return up === false ? paint.critical(line) : line
}

/** What the isolate that answered knows of an origin that no probe tells of. */
function unprobedState({ answered, here }: OperationsOrigin): string {
  if (here !== 'up' || answered === undefined) return 'not probed'
  return answered ? 'answers requests' : 'not asked yet'
}

/** What single isolates use, where a tall terminal has room for it. Undefined: none was heard. */
export function isolateSection({ singleIsolates }: OperationsBody, { width }: SectionOptions): Section | undefined {
  if (singleIsolates === null || singleIsolates.busiest.length === 0) return undefined
  const spreads = (['heap', 'cpu'] as const).flatMap((resource) => {
    const spread = singleIsolates[resource]
    if (spread === undefined) return []
    return [`${resource} ${[spread.least, spread.median, spread.most].map(percent).join(' / ')}`]
  })
  return {
    heading: `Isolates, least / median / most: ${spreads.join(', ')}`,
    items: singleIsolates.busiest.map(({ cpu, heap, reportedAt, isolate }) => [
      clip(`${cell(isolate, 10)} heap ${percent(heap)}  cpu ${percent(cpu)}  at ${reportedAt.slice(11, 19)}`, width),
    ]),
    least: 0,
  }
}

function percent(share: number | undefined): string {
  return share === undefined ? '-' : `${(100 * share).toFixed(0)} %`
}

/** The newest entries of the audit log. */
export function changeSection({ changes }: OperationsBody, { width }: SectionOptions): Section {
  const items = changes?.map((change) => [changeLine(change, width)]) ?? UNKNOWN
  return { heading: 'Changes', items: items.length === 0 ? [['Nothing was changed yet.']] : items, least: 2 }
}

function changeLine({ action, at, by, change, subject }: OperationsChange, width: number): string {
  return clip(`${at.slice(5, 16).replace('T', ' ')} ${cell(by, 12)} ${action} ${subject} ${change}`, width)
}
