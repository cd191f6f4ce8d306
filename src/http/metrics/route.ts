import type { Context } from 'hono'
import { authorize } from '../../access/authorize.ts'
import { VergeError } from '../../core/errors.ts'
import { refusedCredential } from '../../inference/access.ts'
import {
  asksForOpenMetrics,
  exposition,
  OPEN_METRICS_TEXT,
  PROMETHEUS_TEXT,
} from '../../telemetry/metrics/exposition.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'

/** What all isolates have counted, for Prometheus. @throws unauthorized, forbidden, not_implemented */
export async function metrics(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  const caller = c.get('caller')
  if (!authorize(caller, null, 'metrics')) {
    const needed = 'metrics are for the operator, and for keys that allow "metrics"'
    if (caller.kind !== 'anonymous') {
      throw new VergeError(
        'forbidden',
        'Your credential does not allow reading metrics. Use a key that allows "metrics".',
      )
    }
    throw (
      refusedCredential(caller, needed) ??
      new VergeError('unauthorized', 'Metrics need a key. Send it as "Authorization: Bearer <key>".')
    )
  }
  if (deps.metrics === undefined) {
    throw new VergeError(
      'not_implemented',
      'This server counts no metrics. Bind the Durable Object METRICS (docs/metrics.md).',
    )
  }
  const { families } = await deps.metrics.read(c.get('context').signal)
  const openMetrics = asksForOpenMetrics(c.req.header('accept'))
  return c.body(exposition(families, openMetrics), 200, {
    'content-type': openMetrics ? OPEN_METRICS_TEXT : PROMETHEUS_TEXT,
    vary: 'accept',
  })
}
