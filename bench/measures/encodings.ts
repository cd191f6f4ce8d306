import { performance } from 'node:perf_hooks'
import * as z from 'zod'
import { VECTOR_ENCODINGS, type VectorEncoding } from '../../src/protocols/vector-encoding.ts'
import { type Connection, requestBytes } from '../lib/connection.ts'
import { type Summary, summarise } from '../lib/stats.ts'
import { ask, connected } from '../lib/worker-client.ts'
import { startWorker } from '../lib/worker-process.ts'

export const TEXTS = 2_048
const WORDS = 4
const WARM_UP_ROUNDS = 3

export interface EncodingFigures {
  readonly encoding: VectorEncoding
  readonly time: Summary
  /** Of the whole answer's body. */
  readonly bytes: number
}

export interface EncodingsMeasured {
  readonly tokens: number
  readonly rows: readonly EncodingFigures[]
}

/** Answers of one request of many short texts, in each encoding. They take turns, so that a disturbance hits all of them. */
export async function measureEncodings(directory: string, model: string, rounds: number): Promise<EncodingsMeasured> {
  const input = shortTexts()
  const worker = await startWorker(directory)
  try {
    return await connected(worker, async (connection) => {
      const requests = VECTOR_ENCODINGS.map((encoding) => ({ encoding, request: requestOf(model, input, encoding) }))
      const times = new Map<VectorEncoding, number[]>(VECTOR_ENCODINGS.map((encoding) => [encoding, []]))
      const bytes = new Map<VectorEncoding, number>()
      let tokens = 0
      for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
        for (const { encoding, request } of requests) {
          const { ms, body } = await timed(connection, request)
          if (round >= 0) times.get(encoding)?.push(ms)
          else {
            bytes.set(encoding, body.length)
            tokens = answerSchema.parse(JSON.parse(body.toString())).usage.prompt_tokens
          }
        }
      }
      const rows = VECTOR_ENCODINGS.map((encoding) => ({
        encoding,
        time: summarise(times.get(encoding) ?? []),
        bytes: bytes.get(encoding) ?? 0,
      }))
      return { tokens, rows }
    })
  } finally {
    await worker.stop()
  }
}

const answerSchema = z.object({
  data: z.array(z.unknown()).length(TEXTS),
  usage: z.object({ prompt_tokens: z.number() }),
})

async function timed(connection: Connection, request: Buffer): Promise<{ ms: number; body: Buffer }> {
  const begun = performance.now()
  const { body } = await ask(connection, request)
  return { ms: performance.now() - begun, body }
}

/** Four words each, of English that the vocabulary has. */
function shortTexts(): string[] {
  const words = 'film scene story actor music hour night friend money house good bad slow long dark happy'.split(' ')
  return Array.from({ length: TEXTS }, (_, i) =>
    Array.from({ length: WORDS }, (_, place) => words[(i >> (4 * place)) % words.length] ?? '').join(' '),
  )
}

function requestOf(model: string, input: readonly string[], encoding: VectorEncoding): Buffer {
  return requestBytes({
    method: 'POST',
    path: '/v1/embeddings',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, input, encoding_format: encoding }),
  })
}
