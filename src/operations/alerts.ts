/** When something deserves an operator's attention, and what the operator can do. */
export interface AlertRule {
  readonly severity: 'warning' | 'critical'
  /** The alert is raised above this: a share, or a number of things. */
  readonly above: number
  /** Requests within the five minutes below which a share says nothing. */
  readonly leastRequests?: number
  readonly do: string
}

/**
 * The thresholds of alerts, once for both who apply them: `GET /v1/operations` by what it reads, and the rules of the same
 * names for Prometheus. What Prometheus alone can see, such as a rise over days, has a rule there and none here.
 */
export const ALERTS = {
  /** 5xx of all requests: something that all models share, such as R2, has failed. */
  VergeErrors: {
    severity: 'critical',
    above: 0.05,
    leastRequests: 100,
    do: 'The logs have the reason by request id. "npx verge doctor --url URL" finds which part fails.',
  },
  /** 5xx of one model. */
  VergeModelErrors: {
    severity: 'critical',
    above: 0.05,
    leastRequests: 20,
    do: 'The logs have the reason by request id. After a release, go back: npx verge release MODEL --rollback',
  },
  /** A version on trial was worse than the stable one by its rules. */
  VergeCanaryStopped: {
    severity: 'warning',
    above: 0,
    do: 'The version gets no more requests. Correct the model and release it again; the next release clears this alert.',
  },
  /** Origins that fail their probes, while others answer. */
  VergeOriginDown: {
    severity: 'warning',
    above: 0,
    do: 'Read the log of the origin. "npx verge doctor --url URL" shows what the Worker gets from it.',
  },
  /** The share of the origins that fail their probes above which none is left. */
  VergeOriginsDown: {
    severity: 'critical',
    above: 0.99,
    do: 'Models that need an origin answer 503. Start an origin, or release versions that fit the edge.',
  },
  /** Parts of this very report, or shards of the metrics, that could not be read. */
  VergeMetricsUnreadable: {
    severity: 'warning',
    above: 0,
    do: 'Figures are missing or too small. "npx verge doctor" checks the bindings.',
  },
  /** The used share of a caller's budget. Prometheus does not know budgets. */
  VergeBudgetLow: {
    severity: 'warning',
    above: 0.9,
    do: 'The caller is refused when the budget is used up. A larger one: npx verge keys update',
  },
} as const satisfies Readonly<Record<string, AlertRule>>

export type AlertName = keyof typeof ALERTS
