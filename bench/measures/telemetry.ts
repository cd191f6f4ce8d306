import { performance } from 'node:perf_hooks'
import * as z from 'zod'
import { startReceiver } from '../../src/cli/traces/receiver.ts'
import { type Connection, requestBytes } from '../lib/connection.ts'
import { type Summary, summarise } from '../lib/stats.ts'
import { ask, connected } from '../lib/worker-client.ts'
import { startWorker } from '../lib/worker-process.ts'
import type { Bench } from './context.ts'

const MODEL = 'static-fp32'
const TEXT = 'a long story of a good friend and the money of the house'
const WARM_UP_ROUNDS = 300
const ROUNDS_A_WARM_ROUND = 400
/** Of the requests, those that leave a trace. */
const SAMPLED = 0.01

/** A warm request of a Worker with metrics, a watch of canaries and sampled traces, beside one without all that. */
export interface TelemetryRow {
  readonly without: Summary
  readonly withTelemetry: Summary
  /** p50 of the one less that of the other, in milliseconds. */
  readonly added: number
  /** Calls of Durable Objects and exports of traces, for each hundred of these requests. */
  readonly subrequestsInHundred: number
}

const callsSchema = z.object({ calls: z.number() })

/** They take turns, so that a disturbance hits both. */
export async function measureTelemetry(bench: Bench): Promise<TelemetryRow> {
  const rounds = ROUNDS_A_WARM_ROUND * bench.effort.warmRounds
  let exports = 0
  const collector = await startReceiver(0, () => exports++)
  const vars = { OTLP_ENDPOINT: `http://127.0.0.1:${collector.port}`, TRACE_SAMPLE_RATE: String(SAMPLED) }
  const watched = await startWorker(bench.bundles.telemetry, { vars })
  // The same bundle without the objects and without a collector.
  const bare = await startWorker(bench.bundles.telemetry, { unbound: ['METRICS', 'CANARIES'] })
  try {
    return await connected(bare, (without) =>
      connected(watched, async (withTelemetry) => {
        bench.progress(`metrics and traces, ${rounds} rounds`)
        return compare({ without, withTelemetry }, () => exports, rounds)
      }),
    )
  } finally {
    await watched.stop()
    await bare.stop()
    await collector.close()
  }
}

interface Sides {
  readonly without: Connection
  readonly withTelemetry: Connection
}

async function compare(
  { without, withTelemetry }: Sides,
  exported: () => number,
  rounds: number,
): Promise<TelemetryRow> {
  const times = { without: [] as number[], withTelemetry: [] as number[] }
  let before = 0
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    if (round === 0) before = (await callsOf(withTelemetry)) + exported()
    const begun = performance.now()
    await ask(without, REQUEST)
    const between = performance.now()
    await ask(withTelemetry, REQUEST)
    if (round < 0) continue
    times.without.push(between - begun)
    times.withTelemetry.push(performance.now() - between)
  }
  const subrequests = (await callsOf(withTelemetry)) + exported() - before
  const [a, b] = [summarise(times.without), summarise(times.withTelemetry)]
  return { without: a, withTelemetry: b, added: b.p50 - a.p50, subrequestsInHundred: (subrequests / rounds) * 100 }
}

async function callsOf(connection: Connection): Promise<number> {
  const { body } = await ask(connection, requestBytes({ path: '/telemetry-calls' }))
  return callsSchema.parse(JSON.parse(body.toString())).calls
}

const REQUEST = requestBytes({
  method: 'POST',
  path: `/run/${MODEL}`,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ inputs: TEXT }),
})
