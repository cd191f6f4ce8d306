import { performance } from 'node:perf_hooks'
import { median } from '../../src/cli/statistics.ts'
import { encodePng } from '../../src/media/image/png-encode.ts'
import { normals } from '../../synthetic/random.ts'
import { Connection, type RequestParts, requestBytes } from '../lib/connection.ts'
import { binaryParts } from '../lib/oip.ts'
import type { Rig } from '../lib/origin-rig.ts'
import { signedRequest } from '../lib/signing.ts'
import { type Summary, summarise } from '../lib/stats.ts'
import { ask } from '../lib/worker-client.ts'
import { startWorker } from '../lib/worker-process.ts'
import { tokens } from '../models/subjects.ts'

const WAYS = ['direct', 'bare', 'through'] as const
type Way = (typeof WAYS)[number]

/** One request: sent to the origin itself, through a Worker that only passes on, and through Verge. In milliseconds. */
export interface Overhead {
  readonly what: string
  readonly model: string
  readonly bytes: number
  readonly direct: Summary
  readonly bare: Summary
  readonly through: Summary
  /** The difference of the medians, and the median of the differences within a round: of Verge and the origin itself. */
  readonly extra: number
  readonly extraWithin: number
}

const REVIEW =
  'The story takes its time, and the two leads carry every scene; a film that I will gladly see a second time.'
/** A grey picture of noise, which no compression makes smaller. */
const PICTURE_SIDE = 388
const WARM_UP_RUNS = 60

/**
 * What passing a request on costs. The ways take turns; the client signs before its clock begins.
 * @param passing bundle of the Worker that only passes on, which gets requests that are signed already
 */
export async function measureOverhead(
  { key, origin, worker }: Rig,
  passing: string,
  rounds: number,
): Promise<Overhead[]> {
  const picture = await encodePng({
    width: PICTURE_SIDE,
    height: PICTURE_SIDE,
    channels: 1,
    data: noise(PICTURE_SIDE ** 2),
  })
  const cases: readonly (readonly [what: string, model: string, parts: RequestParts])[] = [
    [
      'text to /run',
      'reviews',
      post('/run/reviews', 'application/json', Buffer.from(JSON.stringify({ inputs: REVIEW }))),
    ],
    ['16 tokens, binary tensors', 'encoder-fp32', binaryParts('encoder-fp32', tokens(16))],
    ['PNG of 150 KB to /run', 'cnn-fp32', post('/run/cnn-fp32', 'image/png', picture)],
  ]
  const bare = await startWorker(passing, { vars: { TO: origin.url }, direct: true })
  const connections = {
    direct: await Connection.open(origin.url),
    bare: await Connection.open(bare.url),
    through: await Connection.open(worker.url),
  }
  try {
    const rows: Overhead[] = []
    for (const [what, model, parts] of cases) {
      const passed = requestBytes({ ...parts, headers: { ...parts.headers, 'verge-place': 'origin' } })
      const times: Record<Way, number>[] = []
      for (let round = -WARM_UP_RUNS; round < rounds; round++) {
        const time = { direct: 0, bare: 0, through: 0 }
        // Each way is as often the first, which finds the caches as the last one left them.
        for (const turn of WAYS.keys()) {
          const way = WAYS[(turn + round + WARM_UP_RUNS) % WAYS.length] ?? 'direct'
          const request = way === 'through' ? passed : await signedRequest(key, parts)
          time[way] = await timed(connections[way], request)
        }
        if (round >= 0) times.push(time)
      }
      rows.push(overhead(what, model, parts.body?.length ?? 0, times))
    }
    return rows
  } finally {
    for (const way of WAYS) connections[way].close()
    await bare.stop()
  }
}

function overhead(what: string, model: string, bytes: number, times: readonly Record<Way, number>[]): Overhead {
  const of = (way: Way): Summary => summarise(times.map((time) => time[way]))
  const [direct, through] = [of('direct'), of('through')]
  const extraWithin = median(times.map((time) => time.through - time.direct))
  return { what, model, bytes, direct, bare: of('bare'), through, extra: through.p50 - direct.p50, extraWithin }
}

/** @throws Error unless the origin answered: else something else would be measured */
async function timed(connection: Connection, request: Buffer): Promise<number> {
  const begun = performance.now()
  const { headers } = await ask(connection, request)
  const ms = performance.now() - begun
  const place = headers.get('verge-placement') ?? ''
  if (!place.startsWith('origin')) throw new Error(`an origin was to answer, and it was "${place}"`)
  return ms
}

function post(path: string, type: string, body: Uint8Array): RequestParts {
  return { method: 'POST', path, headers: { 'content-type': type }, body }
}

function noise(count: number): Uint8Array {
  return Uint8Array.from(normals('noise', count, 64), (value) => (value + 1024) & 255)
}
