import * as z from 'zod'

/** Shares below are not told from none by any number of requests that a release would wait for. */
const LEAST_SHARE = 0.001

const rules = z.object({
  /** Share of compared outputs that may disagree. */
  disagreement: z.number().min(LEAST_SHARE).max(0.9),
  /** Share of requests that may fail beyond those that fail with the stable version. */
  errors: z.number().min(LEAST_SHARE).max(0.9),
  /** Cost units of a request, over those of the same request with the stable version. */
  cost: z.number().min(1).max(100),
  /** Time of a request, over that of a like request with the stable version. */
  latency: z.number().min(1).max(100),
})

/** How much worse than the stable version a canary may be before it goes back. */
export type CanaryRules = z.infer<typeof rules>

/** Each may be left out. */
export const canaryRulesSchema = rules.partial()

/** What holds where a release does not say more. docs/canary.md gives the reasons. */
export const DEFAULT_CANARY_RULES: CanaryRules = { disagreement: 0.05, errors: 0.01, cost: 1.5, latency: 1.5 }

export function completeRules(own: z.infer<typeof canaryRulesSchema> = {}): CanaryRules {
  const { cost, disagreement, errors, latency } = DEFAULT_CANARY_RULES
  return {
    disagreement: own.disagreement ?? disagreement,
    errors: own.errors ?? errors,
    cost: own.cost ?? cost,
    latency: own.latency ?? latency,
  }
}
