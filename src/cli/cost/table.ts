import { markersOf } from '../files/markers.ts'
import { type CostedModel, coldLoad, freeObstacles, marginalBill, paidBill, usageOf } from './estimate.ts'
import type { Figures, Prices } from './prices.ts'

/** Where docs/cost.md has the tables. */
export const COST_MARKERS = markersOf('cost', 'node scripts/cost.ts --write')

export interface TableOptions {
  readonly requests: number
  /** Share of requests that meet an isolate without the model, 0 to 1. */
  readonly coldShare: number
}

/** Everything that docs/cost.md says in numbers, in Markdown. */
export function costTables(
  models: readonly CostedModel[],
  prices: Prices,
  figures: Figures,
  options: TableOptions,
): string {
  const { requests, coldShare } = options
  const million = requests.toLocaleString('en-US')
  return [
    '### One cold load',
    '',
    'The first request for a model in an isolate.',
    '',
    table(
      [
        'model',
        'bytes',
        'KV reads, hot',
        'R2 class B, hot',
        'KV reads, not hot',
        'R2 class B, not hot',
        'CPU ms',
        'USD, hot',
        'USD, not hot',
      ],
      models.map((model) => {
        const [hot, cold] = [coldLoad(model, true), coldLoad(model, false)]
        const dollars = ({ kvReads, r2Reads }: typeof hot): string =>
          marginalBill({ requests: 1, cpuMs: model.coldCpuMs, kvReads, r2ClassB: r2Reads }, prices).toFixed(7)
        return [
          model.name,
          megabytes(hot.bytes),
          String(hot.kvReads),
          String(hot.r2Reads),
          String(cold.kvReads),
          String(cold.r2Reads),
          model.coldCpuMs.toFixed(0),
          dollars(hot),
          dollars(cold),
        ]
      }),
    ),
    '',
    `### ${million} requests a month, hot`,
    '',
    `${percent(coldShare)} of the requests reach an isolate that has not loaded the model.`,
    '',
    table(
      [
        'model',
        'requests',
        'CPU ms',
        'KV reads',
        'R2 class B',
        'paid plan, nothing else in the account',
        'added to a bill beyond what is included',
      ],
      models.map((model) => {
        const usage = usageOf(model, requests, coldShare, true)
        return [
          model.name,
          ...(['requests', 'cpuMs', 'kvReads', 'r2ClassB'] as const).map((name) => count(usage[name] ?? 0)),
          `$${paidBill(usage, prices).toFixed(2)}`,
          `$${marginalBill(usage, prices).toFixed(2)}`,
        ]
      }),
    ),
    '',
    `### ${million} requests a month, not hot`,
    '',
    table(
      [
        'model',
        'KV reads',
        'R2 class B',
        'paid plan, nothing else in the account',
        'added to a bill beyond what is included',
      ],
      models.map((model) => {
        const usage = usageOf(model, requests, coldShare, false)
        return [
          model.name,
          count(usage.kvReads ?? 0),
          count(usage.r2ClassB ?? 0),
          `$${paidBill(usage, prices).toFixed(2)}`,
          `$${marginalBill(usage, prices).toFixed(2)}`,
        ]
      }),
    ),
    '',
    '### The free plan',
    '',
    table(
      ['model', `${million} requests a month`],
      models.map((model) => {
        const obstacles = freeObstacles(model, usageOf(model, requests, coldShare, true), prices)
        return [model.name, obstacles.length === 0 ? 'fits' : obstacles.join('; ')]
      }),
    ),
    '',
    '### Sources of the numbers',
    '',
    `- Prices: ${Object.values(prices.sources).join(', ')}; read ${prices.read}, in \`deploy/prices.json\`.`,
    ...prices.unverified.map((text) => `- ${text}`),
    `- Bytes and chunks of models in \`models/\`: from packing them. CPU time: measured ${figures.measured} on ${figures.machine}. ${figures.method}`,
    ...figures.models.flatMap(({ name, note }) => (note === undefined ? [] : [`- ${name}: ${note}`])),
  ].join('\n')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), `|${head.map((_, i) => (i === 0 ? '---|' : '---:|')).join('')}`, ...rows.map(line)].join('\n')
}

function megabytes(bytes: number): string {
  return bytes < MB ? `${(bytes / 1000).toFixed(0)} kB` : `${(bytes / MB).toFixed(1)} MB`
}

const MB = 1_000_000

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`
}
