/**
 * Verge itself behind slow stores: each request meets an isolate that has read nothing yet, and its answer says in
 * `bench-reads` what it read of KV and R2, and in `bench-rounds` how many reads of those came one after the other.
 * Options of a request are the headers `bench-delay`, in milliseconds (left out: reads wait until no more are begun), and
 * `bench-kv: empty`. `GET /bench/reads` has the reads of the request under way.
 */
import { assemble, type Verge } from '../../src/assemble/assemble.ts'
import type { Platform } from '../../src/assemble/shared.ts'
import { parseConfig } from '../../src/config/config.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { StreamSession, type StreamSocket } from '../../src/stream/session.ts'
import type { StreamOptions } from '../../src/stream/stream-options.ts'
import type { Env } from '../../src/worker.ts'
import { type Read, roundsOf, SlowReads, untilQuiet } from '../lib/slow-reads.ts'

const PLATFORM: Platform = {
  clock: systemClock,
  logger: silentLogger,
  random: () => 0,
  randomId: () => crypto.randomUUID(),
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

type Way = (verge: Verge, model: string, request: Request, context: ExecutionContext) => Promise<Response>

/** What is not asked over HTTP, by the second part of a path. */
const WAYS: Readonly<Record<string, Way>> = {
  /** The model, called as by another Worker. */
  async rpc({ rpc }, model, request, context) {
    const call = { props: undefined, waitUntil: (work: Promise<unknown>) => context.waitUntil(work) }
    const outcome = await rpc.run(call, model, await request.json(), {})
    return Response.json(outcome, { status: outcome.ok ? 200 : 500 })
  },
  /** One message of a stream of sound, in an isolate that the stream has just woken up in: a window of 512 samples. */
  async stream({ streams }, model, request, context) {
    const sent: string[] = []
    const socket: StreamSocket = {
      send: (message) => void sent.push(message),
      close() {},
      serializeAttachment() {},
      deserializeAttachment: () => null,
    }
    const options: StreamOptions = {
      model,
      version: '1',
      caller: { kind: 'anonymous' },
      requestId: 'stream',
      sampleRate: 16_000,
      windowLength: 512,
      speech: {},
      probabilities: true,
    }
    const session = StreamSession.begin(socket, streams, options)
    await session.receive(await request.arrayBuffer(), (work) => context.waitUntil(work))
    return Response.json(sent.map((message) => JSON.parse(message)))
  },
}

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
    const [, bench, way, model = ''] = pathname.split('/')
    const ask = bench === 'bench' ? WAYS[way ?? ''] : undefined
    const { body, headers, status } = await (ask === undefined
      ? verge.app.fetch(request, {}, context)
      : ask(verge, model, request, context))
    const answer = new Response(body, { status, headers })
    answer.headers.set('bench-reads', JSON.stringify(slow.reads))
    answer.headers.set('bench-rounds', String(roundsOf(slow.reads)))
    return answer
  },
}
