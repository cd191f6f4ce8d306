import { performance } from 'node:perf_hooks'
import * as z from 'zod'
import { startReceiver } from '../../src/cli/traces/receiver.ts'
import { releaseBodySchema } from '../../src/protocols/verge/releases.ts'
import { type Connection, requestBytes } from '../lib/connection.ts'
import { type Summary, summarise } from '../lib/stats.ts'
import { writerFor } from '../lib/storage.ts'
import { ask, connected } from '../lib/worker-client.ts'
import { OPERATOR_KEY, startWorker, type WorkerProcess } from '../lib/worker-process.ts'
import { staticSubject } from '../models/task-subjects.ts'
import type { Bench } from './context.ts'

const MODEL = 'static-fp32'
const TEXT = 'a long story of a good friend and the money of the house'
const WARM_UP_ROUNDS = 300
const ROUNDS_A_WARM_ROUND = 400
/** Of the requests, those that leave a trace. */
const SAMPLED = 0.01

/** A version on trial with the bytes of the stable one, and what `verge release` with `--shadow` gives it. */
const TRIED = 'static-tried'
const SHARE = 0.05
const SHADOW = 0.05
/** Each keeps the version that it was given. */
const CALLERS = 500

/** Warm requests of a Worker with metrics, a watch of canaries and sampled traces, beside one without all that. */
export interface TelemetrySides {
  readonly without: Summary
  readonly withTelemetry: Summary
  /** p50 of the one less that of the other, in milliseconds. */
  readonly added: number
  /** Calls of Durable Objects and exports of traces, for each hundred of these requests. */
  readonly subrequestsInHundred: number
}

export interface TelemetryRow extends TelemetrySides {
  /** The same to a model with a canary, so that reports to its watch are among the calls. Absent in older runs. */
  readonly trial?: TelemetrySides
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
        const sides = { without, withTelemetry }
        bench.progress(`metrics and traces, ${rounds} rounds`)
        const plain = await compare(sides, [requestTo(MODEL)], () => exports, rounds)
        await beginTrial(watched)
        bench.progress(`the same with a canary, ${rounds} rounds`)
        const callers = Array.from({ length: CALLERS }, (_, i) => requestTo(TRIED, `caller ${i}`))
        const trial = await compare(sides, callers, () => exports, rounds)
        await assertWatched(withTelemetry)
        return { ...plain, trial }
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
  requests: readonly Buffer[],
  exported: () => number,
  rounds: number,
): Promise<TelemetrySides> {
  const times = { without: [] as number[], withTelemetry: [] as number[] }
  let before = 0
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    if (round === 0) before = (await callsOf(withTelemetry)) + exported()
    const request = requests[(round + WARM_UP_ROUNDS) % requests.length] ?? Buffer.alloc(0)
    const begun = performance.now()
    await ask(without, request)
    const between = performance.now()
    await ask(withTelemetry, request)
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

function requestTo(model: string, caller = 'the benchmark'): Buffer {
  return requestBytes({
    method: 'POST',
    path: `/run/${model}`,
    headers: { 'content-type': 'application/json', 'user-agent': caller },
    body: JSON.stringify({ inputs: TEXT }),
  })
}

/** Two versions of the same bytes, of which the second is on trial. */
async function beginTrial(worker: WorkerProcess): Promise<void> {
  const writer = await writerFor(worker)
  const { packed } = await staticSubject()
  for (const version of ['1', '2']) {
    await writer.publishVersion(
      { ...packed.manifest, model: TRIED, version },
      { live: version === '1', visibility: 'public' },
    )
  }
  await writer.updateAlias(TRIED, (old) => ({
    visibility: 'public',
    versions: old?.versions ?? {},
    live: [
      { version: '1', weight: 1 - SHARE },
      { version: '2', weight: SHARE },
    ],
    canary: { version: '2', against: '1', shadow: SHADOW, guarded: true },
  }))
}

/** @throws Error where the watch counted nothing, so that the figures are not what they are called */
async function assertWatched(connection: Connection): Promise<void> {
  const headers = { authorization: `Bearer ${OPERATOR_KEY}` }
  const { body } = await ask(connection, requestBytes({ path: `/v1/releases/${TRIED}`, headers }))
  const { watch } = releaseBodySchema.parse(JSON.parse(body.toString()))
  if (watch?.verdict !== 'watching') throw new Error(`The canary was not watched: ${watch?.verdict}`)
}
