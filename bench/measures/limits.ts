import { performance } from 'node:perf_hooks'
import * as z from 'zod'
import { makeKey } from '../../src/access/keys/form.ts'
import { hashedSecret, keyRecordBytes, keyRecordKey } from '../../src/access/keys/record.ts'
import type { Connection } from '../lib/connection.ts'
import { requestBytes } from '../lib/connection.ts'
import { type Summary, summarise } from '../lib/stats.ts'
import { ask, connected } from '../lib/worker-client.ts'
import { startWorker } from '../lib/worker-process.ts'
import type { Bench } from './context.ts'

const MODEL = 'static-fp32'
const TEXT = 'a long story of a good friend and the money of the house'
const WARM_UP_ROUNDS = 300
const ROUNDS_A_WARM_ROUND = 400

/** A request of a caller with a key, a rate and budgets, beside one of a Worker without all that. */
export interface LimitsRow {
  readonly without: Summary
  readonly withLimits: Summary
  /** p50 of the one less that of the other, in milliseconds. */
  readonly added: number
  /** Calls of ledgers for each hundred of these requests. */
  readonly callsInHundred: number
}

const callsSchema = z.object({ calls: z.number() })

/** They take turns, so that a disturbance hits both. */
export async function measureLimits(bench: Bench): Promise<LimitsRow> {
  const rounds = ROUNDS_A_WARM_ROUND * bench.effort.warmRounds
  const limited = await startWorker(bench.bundles.limits, { vars: { PLANS } })
  // The same bundle without the object: nothing is limited, and nothing counted.
  const free = await startWorker(bench.bundles.limits, { unbound: ['LEDGER'] })
  try {
    const key = await storedKey(limited)
    return await connected(free, (without) =>
      connected(limited, async (withLimits) => {
        bench.progress(`limits, ${rounds} rounds`)
        return compare(without, withLimits, key, rounds)
      }),
    )
  } finally {
    await limited.stop()
    await free.stop()
  }
}

async function compare(without: Connection, withLimits: Connection, key: string, rounds: number): Promise<LimitsRow> {
  const [bare, keyed] = [requestOf(), requestOf(key)]
  const times = { without: [] as number[], withLimits: [] as number[] }
  let before = 0
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    if (round === 0) before = await callsOf(withLimits)
    const begun = performance.now()
    await ask(without, bare)
    const between = performance.now()
    await ask(withLimits, keyed)
    if (round < 0) continue
    times.without.push(between - begun)
    times.withLimits.push(performance.now() - between)
  }
  const calls = (await callsOf(withLimits)) - before
  const [a, b] = [summarise(times.without), summarise(times.withLimits)]
  return { without: a, withLimits: b, added: b.p50 - a.p50, callsInHundred: (calls / rounds) * 100 }
}

const PLANS = JSON.stringify({
  bench: {
    rate: '10000000/1h',
    concurrency: 64,
    budgets: { day: { requests: 1e9, tokens: 1e9 }, month: { units: 1e9, usd: 1e6 } },
  },
})

/** A key as `verge keys create` would store it. @returns its text */
async function storedKey({ miniflare }: Awaited<ReturnType<typeof startWorker>>): Promise<string> {
  const random = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length))
  const { id, secret, text } = makeKey(random)
  const createdAt = Math.floor(Date.now() / 1000)
  const record = keyRecordBytes({
    schema: 1,
    id,
    name: 'bench',
    createdAt,
    secrets: [{ ...(await hashedSecret(secret, random(16))), createdAt }],
    grant: { models: ['*'], actions: ['infer'], places: ['edge'], plan: 'bench' },
    generation: 1,
  })
  const bucket = await miniflare.getR2Bucket('BUCKET')
  await bucket.put(keyRecordKey(id), record)
  return text
}

async function callsOf(connection: Connection): Promise<number> {
  const { body } = await ask(connection, requestBytes({ path: '/ledger-calls' }))
  return callsSchema.parse(JSON.parse(body.toString())).calls
}

function requestOf(key?: string): Buffer {
  return requestBytes({
    method: 'POST',
    path: `/run/${MODEL}`,
    headers: { 'content-type': 'application/json', ...(key !== undefined && { authorization: `Bearer ${key}` }) },
    body: JSON.stringify({ inputs: TEXT }),
  })
}
