import { UsageError } from '../terminal/command-line.ts'
import type { Options } from '../terminal/options.ts'
import { integerIn, list, type OptionValues, text } from '../terminal/values.ts'

/** What a key may use: a plan, and limits of its own. */
export const LIMIT_OPTIONS = {
  plan: {
    type: 'string',
    value: 'NAME',
    help: 'a plan of the variable PLANS; of it and the limits below, the stricter holds',
  },
  rate: { type: 'string', value: 'N/TIME', help: 'requests in a period: 10/1s, 60/1m, 1000/1h' },
  budget: {
    type: 'string',
    multiple: true,
    value: 'AMOUNT/PERIOD',
    help: [
      '10000units/day, 500requests/day, 1000000tokens/month, 20usd/month; repeat it for several.',
      'Days and months are UTC',
    ],
  },
  concurrency: { type: 'string', value: 'N', help: 'requests at once, in each isolate' },
  body: { type: 'string', value: 'SIZE', help: 'largest body of a request: 64KiB, 4MiB' },
  batch: { type: 'string', value: 'N', help: 'most inputs in a request' },
  'max-tokens': { type: 'string', value: 'N', help: 'most tokens that a request may have written' },
} as const satisfies Options

/** Takes an option's decision back, in `verge keys update`. */
export const NONE = 'none'

/** The fields of a plan as they are stored; null takes one back. */
export interface LimitFields {
  readonly rate?: string | null
  readonly concurrency?: number | null
  readonly budgets?: Readonly<Record<string, Readonly<Record<string, number>>>> | null
  readonly bodyBytes?: number | null
  readonly batch?: number | null
  readonly maxTokens?: number | null
}

const KINDS = ['requests', 'tokens', 'units', 'usd']
const PERIODS = ['day', 'month']

/** What the options say, and nothing else. @throws UsageError */
export function limitFields(values: OptionValues): LimitFields {
  const rate = text(values, 'rate')
  const budgets = list(values, 'budget')
  const body = text(values, 'body')
  return {
    ...(rate !== undefined && { rate: rate === NONE ? null : rate }),
    ...(budgets.length > 0 && { budgets: budgetsOf(budgets) }),
    ...(body !== undefined && { bodyBytes: body === NONE ? null : bytesOf(body) }),
    ...numberField(values, 'concurrency', 'concurrency', 1e6),
    ...numberField(values, 'batch', 'batch', 1e9),
    ...numberField(values, 'max-tokens', 'maxTokens', 1e9),
  }
}

function numberField(values: OptionValues, option: string, field: string, most: number): Record<string, number | null> {
  if (values[option] === NONE) return { [field]: null }
  const value = integerIn(values, option, 1, most)
  return value === undefined ? {} : { [field]: value }
}

function budgetsOf(texts: readonly string[]): Record<string, Record<string, number>> | null {
  if (texts.length === 1 && texts[0] === NONE) return null
  const budgets: Record<string, Record<string, number>> = {}
  for (const each of texts) {
    const [, amount = '', kind = '', period = ''] = /^(\d{1,16}(?:\.\d{1,6})?) ?([a-z]+)\/([a-z]+)$/.exec(each) ?? []
    if (!KINDS.includes(kind) || !PERIODS.includes(period) || (kind !== 'usd' && amount.includes('.'))) {
      throw new UsageError(
        `--budget "${each}" is not an amount in a period. Write a number, one of ${KINDS.join(', ')}, and "/day" or ` +
          '"/month": 10000units/day.',
      )
    }
    const amounts = budgets[period] ?? {}
    budgets[period] = amounts
    if (Object.hasOwn(amounts, kind)) throw new UsageError(`--budget is given twice for ${kind} in a ${period}.`)
    amounts[kind] = Number(amount)
  }
  return budgets
}

const SIZES: Readonly<Record<string, number>> = { '': 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

function bytesOf(size: string): number {
  const [, count = '', unit = ''] = /^(\d{1,12}) ?([A-Za-z]*)$/.exec(size) ?? []
  const factor = SIZES[unit]
  const bytes = Number(count) * (factor ?? Number.NaN)
  if (count !== '' && bytes >= 1) return bytes
  throw new UsageError(`--body "${size}" is not a size. Write bytes, or a number with KiB or MiB: 4MiB.`)
}
