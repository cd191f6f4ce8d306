import { median } from '../../src/cli/statistics.ts'
import { requestBytes } from '../lib/connection.ts'
import { type LoadResult, load } from '../lib/load.ts'
import type { Input } from '../lib/oip.ts'
import { startWorker } from '../lib/worker-process.ts'
import type { Bench } from './context.ts'
import { middle } from './throughput.ts'

/** Requests a second without a model to speak of: what Verge's own work for a request costs. */
export interface RouterResult {
  readonly connections: number
  readonly bodyBytes: number
  /** A bare Hono Worker that parses and writes the same JSON. */
  readonly echo: LoadResult
  /** The Open Inference Protocol's infer on a model that answers what it is asked. */
  readonly identity: LoadResult
  /** Answers a second of `identity` for each of `echo`: the median of the rounds' ratios. */
  readonly ratio: number
  readonly rounds: readonly number[]
}

export const ROUTER_MODEL = 'identity-small'
const CONNECTIONS = 32
const BODY_BYTES = 1024
const ELEMENTS = 150
/** Many short rounds rather than few long ones: on two cores a round's ratio depends on who else wants one. */
const ROUNDS_A_LOAD = 6
const SHARE_OF_LOAD = 0.5

/** Numbers as a small model is sent. */
export const ROUTER_INPUT: Input = {
  name: 'input',
  datatype: 'FP32',
  shape: [1, ELEMENTS],
  data: Float32Array.from({ length: ELEMENTS }, (_, index) => ((index * 37) % 1000) / 8),
}

/** The infer request, padded with blanks, which JSON allows, to the size that is to be compared. */
export function routerBody(): string {
  const { name, datatype, shape, data } = ROUTER_INPUT
  return JSON.stringify({ inputs: [{ name, datatype, shape, data: Array.from(data, Number) }] }).padEnd(BODY_BYTES)
}

export async function measureRouter(bench: Bench): Promise<RouterResult> {
  const { loadRounds, loadSeconds } = bench.effort
  const text = routerBody()
  const post = (path: string): Buffer =>
    requestBytes({ method: 'POST', path, headers: { 'content-type': 'application/json' }, body: text })
  // Every connection gets a place, or refusals would be counted instead of work.
  const verge = await startWorker(bench.bundles.verge, { vars: { ADMITTED_REQUESTS: String(2 * CONNECTIONS) } })
  const bare = await startWorker(bench.bundles.echo)
  try {
    const sides = [
      { worker: bare, request: post('/echo'), results: [] as LoadResult[] },
      { worker: verge, request: post(`/v2/models/${ROUTER_MODEL}/infer`), results: [] as LoadResult[] },
    ] as const
    for (let round = -1; round < ROUNDS_A_LOAD * loadRounds; round++) {
      bench.progress(round < 0 ? 'router, warm-up' : `router, round ${round + 1} of ${ROUNDS_A_LOAD * loadRounds}`)
      for (const { worker, request, results } of sides) {
        const result = await load({ worker, request, callers: CONNECTIONS, seconds: loadSeconds * SHARE_OF_LOAD })
        if (round >= 0) results.push(result)
      }
    }
    const [echo, identity] = sides
    const ratios = identity.results.map(({ perSecond }, round) => perSecond / (echo.results[round]?.perSecond ?? 0))
    return {
      connections: CONNECTIONS,
      bodyBytes: Buffer.byteLength(text),
      echo: middle(echo.results),
      identity: middle(identity.results),
      ratio: median(ratios),
      rounds: ratios,
    }
  } finally {
    await verge.stop()
    await bare.stop()
  }
}
