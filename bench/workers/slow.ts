/**
 * Verge itself behind slow stores: each request meets an isolate that has read nothing yet, and its answer says in
 * `bench-reads` what it read of KV and R2, and in `bench-rounds` how many reads of those came one after the other.
 * Options of a request are the headers `bench-delay`, in milliseconds (left out: reads wait until no more are begun), and
 * `bench-kv: empty`. `GET /bench/reads` has the reads of the request under way.
 */
import { assemble, type Platform, type Verge } from '../../src/assemble.ts'
import { parseConfig } from '../../src/config/config.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import type { Env } from '../../src/worker.ts'
import { type Read, roundsOf, SlowReads, untilQuiet } from '../lib/slow-reads.ts'

const PLATFORM: Platform = {
  clock: systemClock,
  logger: silentLogger,
  random: () => 0,
  randomId: () => crypto.randomUUID(),
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Of the last request. */
let reads: readonly Read[] = []

export default {
  async fetch(request: Request, env: Env, context: ExecutionContext): Promise<Response> {
    const { pathname } = new URL(request.url)
    if (pathname === '/bench/reads') return Response.json(reads)
    const given = request.headers.get('bench-delay')
    const slow = new SlowReads(given === null ? untilQuiet(() => pause(0)) : () => pause(Number(given)))
    reads = slow.reads
    const missing = request.headers.get('bench-kv') === 'empty'
    const bindings: Env = { ...env, KV: slow.kv(env.KV, { missing }), BUCKET: slow.r2(env.BUCKET) }
    const verge = assemble(bindings, await parseConfig(bindings), PLATFORM)
    const { body, headers, status } = await (pathname.startsWith('/bench/rpc/')
      ? called(verge, request, pathname, context)
      : verge.app.fetch(request, {}, context))
    const answer = new Response(body, { status, headers })
    answer.headers.set('bench-reads', JSON.stringify(slow.reads))
    answer.headers.set('bench-rounds', String(roundsOf(slow.reads)))
    return answer
  },
}

/** `POST /bench/rpc/{model}`: the model, called as by another Worker. */
async function called({ rpc }: Verge, request: Request, path: string, context: ExecutionContext): Promise<Response> {
  const call = { props: undefined, waitUntil: (work: Promise<unknown>) => context.waitUntil(work) }
  const outcome = await rpc.run(call, path.split('/').at(-1) ?? '', await request.json(), {})
  return Response.json(outcome, { status: outcome.ok ? 200 : 500 })
}
