/**
 * Verge's own engine alone, without HTTP in what is measured: a request runs one thing many times, and the client takes the
 * CPU time of the process. Clocks in a Worker stand still while it computes.
 */
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { tensor } from '../../src/core/tensors.ts'
import type { Session } from '../../src/engine/engine.ts'
import { workerKernels } from '../../src/engine/verge/binary.ts'
import { VergeEngine } from '../../src/engine/verge/engine.ts'
import { kernelsOn } from '../../src/engine/verge/kernels.ts'

const engine = new VergeEngine({
  kernels: workerKernels(),
  heapLimitBytes: 80 * 1024 * 1024,
  turnLeaseMs: 1000,
  costBetweenYields: 1e9,
  workBetweenYields: 1e15,
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

const kernels = kernelsOn(workerKernels(), new WebAssembly.Memory({ initial: 2 }))
const sessions = new Map<string, Session>()
const signal = new AbortController().signal

async function load(what: string, bytes: Uint8Array): Promise<void> {
  const info = { sha256: what.padStart(64, '0'), format: 'verge' as const, bytes: bytes.length }
  const source = {
    bytes: bytes.length,
    deliver: async (write: (offset: number, data: Uint8Array) => void) => write(0, bytes),
    // All rows are hot: nothing is read of it.
    pages: { bytes: 0, read: () => Promise.reject(new Error('a row is not hot')) },
  }
  sessions.set(what, await engine.load(info, source, { signal }))
}

function inputsOf(session: Session, rows: number) {
  return new Map(
    session.signature.inputs.map(({ name, datatype, shape }) => {
      const dims = shape.map((dim) => (dim === 'rows' || dim === 'sequence' ? rows : dim === 'batch' ? 1 : Number(dim)))
      const count = dims.reduce((product, size) => product * size, 1)
      if (datatype !== 'INT64') {
        return [
          name,
          tensor(
            'FP32',
            dims,
            Float32Array.from({ length: count }, (_, at) => Math.sin(at)),
          ),
        ] as const
      }
      // A mask of ones, and words all over the table.
      const value = (at: number) => (name === 'attention_mask' ? 1n : BigInt((at * 7919) % 30_000))
      return [
        name,
        tensor(
          'INT64',
          dims,
          BigInt64Array.from({ length: count }, (_, at) => value(at)),
        ),
      ] as const
    }),
  )
}

export default {
  async fetch(request: Request): Promise<Response> {
    const { searchParams } = new URL(request.url)
    const what = searchParams.get('what') ?? 'probe'
    const [rows, times] = [Number(searchParams.get('rows')), Number(searchParams.get('times'))]
    if (what === 'probe') {
      for (let time = 0; time < times; time++) kernels.probeInt8(1_000_000)
      return Response.json({})
    }
    if (request.method === 'POST') {
      await load(what, new Uint8Array(await request.arrayBuffer()))
      return Response.json({})
    }
    const session = sessions.get(what)
    if (session === undefined) return Response.json({ error: `load ${what} first` }, { status: 404 })
    const inputs = inputsOf(session, rows)
    const outputs = session.signature.outputs.slice(-1).map(({ name }) => name)
    for (let time = 0; time < times; time++) await session.run(inputs, { signal, outputs, runsBefore: 1e9 })
    return Response.json({ heap: (await engine.health()).heapBytes, bytes: session.bytes })
  },
}
