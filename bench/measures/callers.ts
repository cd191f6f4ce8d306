import { randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { grantSchema } from '../../src/access/grant.ts'
import { makeKey } from '../../src/access/keys/form.ts'
import { hashedSecret, keyRecordBytes, keyRecordKey } from '../../src/access/keys/record.ts'
import { median } from '../../src/cli/statistics.ts'
import { type Connection, requestBytes } from '../lib/connection.ts'
import { type Summary, summarise } from '../lib/stats.ts'
import { ask, connected } from '../lib/worker-client.ts'
import { startWorker, type WorkerProcess } from '../lib/worker-process.ts'
import type { Bench } from './context.ts'
import { ROUTER_MODEL, routerBody } from './router.ts'

/** The same request of callers who bring something else, in turns. */
export interface CallerRow {
  readonly caller: string
  readonly time: Summary
  /** p50 less that of a caller who brings nothing, in milliseconds. */
  readonly beside: number
}

/** Requests with something that is not accepted, one after the other. */
export interface FloodRow {
  readonly credential: string
  readonly requests: number
  /** CPU time of the Worker's process for each, HTTP and the answer included. */
  readonly cpuMsEach: number
  /** Less that of a bare Hono Worker which refuses the same requests: what is left is Verge's. */
  readonly beside: number
  readonly refused: number
}

export interface CallersResult {
  readonly rows: readonly CallerRow[]
  readonly floods: readonly FloodRow[]
}

const WARM_UP_ROUNDS = 200
const ROUNDS_A_WARM_ROUND = 300
const FLOODS = 8
/** Half a second of CPU time: the clock of processes has steps of ten milliseconds. */
const FLOOD = 1_000

/** What learning who calls costs a warm isolate, and what it costs to refuse who is nobody. */
export async function measureCallers(bench: Bench): Promise<CallersResult> {
  const worker = await startWorker(bench.bundles.verge)
  const bare = await startWorker(bench.bundles.echo)
  try {
    const key = await storedKey(worker)
    return await connected(worker, async (connection) => ({
      rows: await inTurns(bench, connection, key),
      floods: await floods(bench, { worker, connection }, bare),
    }))
  } finally {
    await worker.stop()
    await bare.stop()
  }
}

/** A key that may do everything a key may, in the Worker's own R2 and KV. */
async function storedKey({ miniflare }: WorkerProcess): Promise<string> {
  const { id, secret, text } = makeKey(randomBytes)
  const record = keyRecordBytes({
    schema: 1,
    id,
    name: 'bench',
    createdAt: 0,
    secrets: [{ ...(await hashedSecret(secret, randomBytes(16))), createdAt: 0 }],
    grant: grantSchema.parse({ models: ['*'] }),
    generation: 1,
  })
  const stored = new TextDecoder().decode(record)
  await (await miniflare.getR2Bucket('BUCKET')).put(keyRecordKey(id), stored)
  const metadata = { bytes: record.length }
  await (await miniflare.getKVNamespace('KV')).put(keyRecordKey(id), stored, { metadata })
  return text
}

async function inTurns({ effort, progress }: Bench, connection: Connection, key: string): Promise<CallerRow[]> {
  const request = (headers: Readonly<Record<string, string>>): Buffer =>
    requestBytes({
      method: 'POST',
      path: `/v2/models/${ROUTER_MODEL}/infer`,
      headers: { 'content-type': 'application/json', ...headers },
      body: routerBody(),
    })
  const sides = [
    { caller: 'nothing', request: request({}), times: [] as number[] },
    { caller: 'a key', request: request({ authorization: `Bearer ${key}` }), times: [] as number[] },
    { caller: "another service's key", request: request({ authorization: 'Bearer sk-none' }), times: [] as number[] },
  ] as const
  progress('callers, in turns')
  const rounds = ROUNDS_A_WARM_ROUND * effort.warmRounds
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    for (const side of sides) {
      const begun = performance.now()
      await ask(connection, side.request)
      if (round >= 0) side.times.push(performance.now() - begun)
    }
  }
  const base = summarise(sides[0].times).p50
  return sides.map(({ caller, times }) => {
    const time = summarise(times)
    return { caller, time, beside: time.p50 - base }
  })
}

/** A Worker, and a connection to it. */
interface Side {
  readonly worker: WorkerProcess
  readonly connection: Connection
}

async function floods({ progress }: Bench, verge: Side, bare: WorkerProcess): Promise<FloodRow[]> {
  const text = (): string => makeKey(randomBytes).text
  const credentials = [
    ['none', () => undefined],
    ['mistyped keys', () => `${text().slice(0, -1)}!`],
    ['well-formed keys without a record', text],
    ['words', () => randomBytes(24).toString('hex')],
  ] as const
  return connected(bare, async (connection) => {
    // Many short floods in turns: on two cores each says also who else wanted one.
    const sides = credentials.map(([credential, make]) => ({
      credential,
      make,
      costs: [] as number[],
      least: [] as number[],
      refused: 0,
    }))
    for (let round = -1; round < FLOODS; round++) {
      progress(round < 0 ? 'callers, warm-up' : `callers, flood ${round + 1} of ${FLOODS}`)
      for (const side of sides) {
        // Made beforehand, each another one: making them would count, too.
        const requests = Array.from({ length: FLOOD }, () => refusedRequest(side.make()))
        const least = await flood({ worker: bare, connection }, requests)
        const { cpuMsEach, refused } = await flood(verge, requests)
        if (round < 0) continue
        side.least.push(least.cpuMsEach)
        side.costs.push(cpuMsEach)
        side.refused += refused
      }
    }
    return sides.map(({ costs, credential, least, refused }) => ({
      credential,
      requests: FLOODS * FLOOD,
      cpuMsEach: median(costs),
      beside: median(costs) - median(least),
      refused,
    }))
  })
}

function refusedRequest(credential: string | undefined): Buffer {
  const headers = credential === undefined ? {} : { authorization: `Bearer ${credential}` }
  return requestBytes({ path: '/v1/models/none', headers })
}

async function flood({ connection, worker }: Side, requests: readonly Buffer[]) {
  let refused = 0
  const before = worker.cpuMs()
  for (const request of requests) {
    const { status } = await connection.exchange(request)
    if (status >= 400 && status < 500) refused++
  }
  return { cpuMsEach: (worker.cpuMs() - before) / requests.length, refused }
}
