/**
 * Verge's own engine in a Worker without an isolate's limit on memory, for models that do not fit one: what they would cost
 * there can be compared with ONNX Runtime in the same runtime. The product refuses them.
 */
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import type { Session } from '../../src/engine/engine.ts'
import { workerKernels } from '../../src/engine/verge/binary.ts'
import { VergeEngine } from '../../src/engine/verge/engine.ts'
import { tensorsIn } from './tensors-in.ts'

interface UncappedEnv {
  readonly BUCKET: { get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null> }
}

/** Several times what an isolate has. */
const HEAP_BYTES = 512 * 1024 * 1024

const engine = new VergeEngine({
  kernels: workerKernels(),
  heapLimitBytes: HEAP_BYTES,
  turnLeaseMs: LIMITS.turnLeaseMs,
  costBetweenYields: LIMITS.costBetweenYields,
  workBetweenYields: LIMITS.workBetweenYields,
  pageBytes: LIMITS.pageBytes,
  pageCacheBytes: LIMITS.pageCacheBytes,
  pageBytesInFlight: LIMITS.pageBytesInFlight,
  heldRowBytes: LIMITS.heldRowBytes,
  heldRowsLeaseMs: LIMITS.requestDeadlineMs,
  runs: { finished: 0 },
  loadStaleMs: 60_000,
  clock: systemClock,
  logger: silentLogger,
})
const sessions = new Map<string, Session>()
const { signal } = new AbortController()

async function load(env: UncappedEnv, model: string): Promise<Session> {
  const object = await env.BUCKET.get(`compiled/${model}`)
  if (!object) throw new Error(`no model ${model}`)
  const bytes = new Uint8Array(await object.arrayBuffer())
  const source = {
    bytes: bytes.length,
    deliver: async (write: (offset: number, data: Uint8Array) => void) => write(0, bytes),
  }
  return engine.load({ sha256: model, format: 'verge', bytes: bytes.length }, source, { signal })
}

export default {
  async fetch(request: Request, env: UncappedEnv): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    if (pathname === '/') return new Response('ok')
    if (pathname === '/heap') return Response.json({ heap_bytes: (await engine.health()).heapBytes })
    const model = searchParams.get('model') ?? ''
    const session = sessions.get(model) ?? (await load(env, model))
    sessions.set(model, session)
    const inputs = await tensorsIn(request)
    const begun = performance.now()
    const outputs = await session.run(inputs, { signal })
    const milliseconds = performance.now() - begun
    const answer = new Blob([...outputs.values()].map(({ data }) => data as Float32Array<ArrayBuffer>))
    return new Response(answer, { headers: { 'server-timing': `run;dur=${milliseconds}` } })
  },
}
