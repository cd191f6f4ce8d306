import { AnalyticsObserver } from '../telemetry/metrics/analytics.ts'
import type { RequestObserver } from '../telemetry/observation.ts'
import type { Env } from './env.ts'

/** Leaves a data point of each inference, where Analytics Engine is bound. */
export function analyticsOf({ ANALYTICS }: Env): RequestObserver | undefined {
  return ANALYTICS && new AnalyticsObserver(ANALYTICS)
}

/** All who are told of inferences, as one; nothing where nobody is. */
export function observedBy(all: readonly (RequestObserver | undefined)[]): { readonly observer?: RequestObserver } {
  const observers = all.filter((each) => each !== undefined)
  const [only] = observers
  if (only === undefined) return {}
  if (observers.length === 1) return { observer: only }
  return {
    observer: {
      observed(observation, waitUntil) {
        for (const observer of observers) observer.observed(observation, waitUntil)
      },
    },
  }
}
