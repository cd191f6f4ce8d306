import type { Context } from 'hono'
import { VergeError } from '../../core/errors.ts'
import {
  asksForOpenMetrics,
  exposition,
  OPEN_METRICS_TEXT,
  PROMETHEUS_TEXT,
} from '../../telemetry/metrics/exposition.ts'
import { scrapedFamilies } from '../../telemetry/metrics/merge.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { assertSeesFigures } from '../figures.ts'

/** What all isolates have counted, for Prometheus; while a part of it is missing, only that it is. @throws unauthorized, forbidden, not_implemented */
export async function metrics(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  assertSeesFigures(c.get('caller'), 'metrics')
  if (deps.metrics === undefined) {
    throw new VergeError(
      'not_implemented',
      'This server counts no metrics. Bind the Durable Object METRICS (docs/metrics.md).',
    )
  }
  const families = scrapedFamilies(await deps.metrics.read(c.get('context').signal))
  const openMetrics = asksForOpenMetrics(c.req.header('accept'))
  return c.body(exposition(families, openMetrics), 200, {
    'content-type': openMetrics ? OPEN_METRICS_TEXT : PROMETHEUS_TEXT,
    vary: 'accept',
  })
}
