import { DEFAULT_CANARY_RULES } from '../../catalog/canary-rules.ts'
import type { Options } from '../terminal/options.ts'
import { numberIn, type OptionValues } from '../terminal/values.ts'
import type { TrialTerms } from './changes.ts'

const { cost, disagreement, errors, latency } = DEFAULT_CANARY_RULES

/** How a release says how its canary is watched. */
export const TRIAL_OPTIONS = {
  shadow: {
    type: 'string',
    value: 'PERCENT',
    help: [
      'compare the outputs of the canary and the stable version for this',
      'share of requests; with VERSION=0 the canary answers no caller',
    ],
  },
  guard: {
    type: 'boolean',
    shown: '--no-guard, --guard',
    help: [
      'leave the canary live even if it is worse than the stable version;',
      'take it out by itself again (default)',
    ],
  },
  'max-errors': {
    type: 'string',
    value: 'PERCENT',
    help: `failing requests beyond those of the stable version (default: ${errors * 100})`,
  },
  'max-disagreement': {
    type: 'string',
    value: 'PERCENT',
    help: `compared outputs that mean something else (default: ${disagreement * 100})`,
  },
  'max-cost': {
    type: 'string',
    value: 'TIMES',
    help: `cost units over those of the stable version (default: ${cost})`,
  },
  'max-latency': { type: 'string', value: 'TIMES', help: `time over that of the stable version (default: ${latency})` },
} as const satisfies Options

/** Percentages and factors that a rule may have, as the alias takes them. */
const [LEAST_PERCENT, MOST_PERCENT, MOST_TIMES] = [0.1, 90, 100]

/** Undefined: the release says nothing of a trial. @throws UsageError */
export function termsOf(values: OptionValues): TrialTerms | undefined {
  const percent = (name: string, least: number, most: number): number | undefined => {
    const given = numberIn(values, name, least, most)
    return given === undefined ? undefined : given / 100
  }
  const shadow = percent('shadow', 0, 100)
  const guarded = typeof values.guard === 'boolean' ? values.guard : undefined
  const rules = Object.entries({
    errors: percent('max-errors', LEAST_PERCENT, MOST_PERCENT),
    disagreement: percent('max-disagreement', LEAST_PERCENT, MOST_PERCENT),
    cost: numberIn(values, 'max-cost', 1, MOST_TIMES),
    latency: numberIn(values, 'max-latency', 1, MOST_TIMES),
  }).filter(([, value]) => value !== undefined)
  if (shadow === undefined && guarded === undefined && rules.length === 0) return undefined
  return { shadow, guarded, ...(rules.length > 0 && { rules: Object.fromEntries(rules) }) }
}
