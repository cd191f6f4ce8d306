import { performance } from 'node:perf_hooks'
import { median } from '../../src/cli/statistics.ts'
import { JSON_LENGTH_HEADER } from '../../src/protocols/oip/headers.ts'
import { type Answer, Connection } from '../lib/connection.ts'
import { binaryRequest, type Input, jsonRequest } from '../lib/oip.ts'
import { type Summary, summarise } from '../lib/stats.ts'
import { ask } from '../lib/worker-client.ts'
import { startWorker } from '../lib/worker-process.ts'
import { type Bench, subject } from './context.ts'

export const WIRE_MODEL = 'identity-image'

/** A picture's tensor there and back, from a typed array in the client to a typed array in the client. */
export interface WireResult {
  readonly binary: WireSide
  readonly json: WireSide
  /** How much faster the binary extension is end to end: the median of the rounds' ratios. */
  readonly speedup: number
}

export interface WireSide {
  readonly requestBytes: number
  readonly endToEnd: Summary
  /** From the request's last byte written to the answer's last byte read: without the client's own work. */
  readonly server: Summary
}

interface Side {
  readonly make: (model: string, inputs: readonly Input[]) => Buffer
  readonly read: (answer: Answer) => Float32Array
  readonly endToEnd: number[]
  readonly server: number[]
  /** Of the request. */
  bytes: number
}

const SAMPLES_A_ROUND = 4
const WARM_UP_RUNS = 10

export async function measureWire(bench: Bench): Promise<WireResult> {
  bench.progress('binary tensors and JSON')
  const { inputs } = subject(bench, WIRE_MODEL).sizes[0] ?? { inputs: [] }
  const sent = inputs[0]?.data
  const sides: [Side, Side] = [
    { make: binaryRequest, read: readBinary, endToEnd: [] as number[], server: [] as number[], bytes: 0 },
    { make: jsonRequest, read: readJson, endToEnd: [] as number[], server: [] as number[], bytes: 0 },
  ]
  const worker = await startWorker(bench.bundles.verge)
  const connection = await Connection.open(worker.url)
  try {
    const rounds = bench.effort.warmRounds * SAMPLES_A_ROUND
    for (let round = -WARM_UP_RUNS; round < rounds; round++) {
      for (const side of sides) {
        const begun = performance.now()
        const request = side.make(WIRE_MODEL, inputs)
        const written = performance.now()
        const answer = await ask(connection, request)
        const answered = performance.now()
        const received = side.read(answer)
        const done = performance.now()
        if (received.length !== sent?.length || received.at(-1) !== sent.at(-1)) {
          throw new Error('the identity model did not answer what it was asked')
        }
        if (round < 0) continue
        side.endToEnd.push(done - begun)
        side.server.push(answered - written)
        side.bytes = request.length
      }
    }
  } finally {
    connection.close()
    await worker.stop()
  }
  const [binary, json] = sides
  const result = (side: Side): WireSide => ({
    requestBytes: side.bytes,
    endToEnd: summarise(side.endToEnd),
    server: summarise(side.server),
  })
  return {
    binary: result(binary),
    json: result(json),
    speedup: median(json.endToEnd.map((time, round) => time / (binary.endToEnd[round] ?? Number.NaN))),
  }
}

function readBinary({ headers, body }: Answer): Float32Array {
  const length = Number(headers.get(JSON_LENGTH_HEADER))
  return new Float32Array(Uint8Array.from(body.subarray(length)).buffer)
}

function readJson({ body }: Answer): Float32Array {
  const answer = JSON.parse(body.toString()) as { outputs: { data: number[] }[] }
  return Float32Array.from(answer.outputs[0]?.data ?? [])
}
