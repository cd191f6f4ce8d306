import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { performance } from 'node:perf_hooks'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { JSON_LENGTH_HEADER } from '../../src/protocols/oip/headers.ts'

/** What a stand-in tells a stream's reader, and how. */
export const STREAMED_EVENTS = 16
const PAUSE_MS = 20
/** A tensor of a hundred megabytes. */
export const LARGE_BYTES = 100_000_000
const PIECE = Buffer.alloc(256 * 1024)

/**
 * A server that computes nothing, in this process: of OpenAI's protocol, with events that hold the time at which they
 * were sent, by this process's clock; and of the Open Inference Protocol, with tensors of any size both ways.
 */
export interface StandIn {
  readonly url: string
  /** What the server calls its models, so that a Worker has to rename them. */
  readonly models: { readonly told: string; readonly tensors: string }
  close(): Promise<void>
}

export async function startStandIn(): Promise<StandIn> {
  const models = { told: 'their-talker', tensors: 'their-tensors' }
  const server = createServer((request, response) => {
    answer(request, response, models).catch((error: unknown) => response.destroy(error as Error))
  })
  server.listen({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    models,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** How many bytes the answer's tensor is to have, as the request says in a header that Workers pass on. */
export const SIZE_HEADER = 'cache-control'

async function answer(request: IncomingMessage, response: ServerResponse, models: StandIn['models']): Promise<void> {
  let received = 0
  for await (const piece of request) received += (piece as Buffer).length
  if (request.url?.startsWith('/v1/completions')) return tell(response, models.told)
  if (request.url?.includes('/infer')) {
    const [, size] = /^max-age=(\d+)$/.exec(request.headers[SIZE_HEADER] ?? '') ?? []
    return sendTensor(response, models.tensors, Number(size ?? 0), received)
  }
  response.end('{}')
}

async function tell(response: ServerResponse, model: string): Promise<void> {
  await sleep(PAUSE_MS)
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  for (let event = 0; event < STREAMED_EVENTS; event++) {
    if (event > 0) await sleep(PAUSE_MS)
    const choices = [{ index: 0, text: performance.now().toFixed(3), finish_reason: null }]
    const chunk = { id: 'cmpl-1', object: 'text_completion', created: 1_790_000_000, model, choices }
    response.write(`data: ${JSON.stringify(chunk)}\n\n`)
  }
  response.end('data: [DONE]\n\n')
}

/** @param received bytes of the request, which the answer's first tensor tells */
async function sendTensor(response: ServerResponse, model: string, size: number, received: number): Promise<void> {
  const header = Buffer.from(
    JSON.stringify({
      model_name: model,
      model_version: '1',
      outputs: [
        { name: 'received', datatype: 'INT64', shape: [1], data: [received] },
        { name: 'output', datatype: 'UINT8', shape: [size], parameters: { binary_data_size: size } },
      ],
    }),
  )
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': header.length + size,
    [JSON_LENGTH_HEADER]: header.length,
  })
  const pieces = function* (): Generator<Buffer> {
    yield header
    for (let sent = 0; sent < size; sent += PIECE.length) yield PIECE.subarray(0, Math.min(PIECE.length, size - sent))
  }
  await pipeline(Readable.from(pieces()), response)
}
