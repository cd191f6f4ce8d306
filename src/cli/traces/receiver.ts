import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { type ReceivedSpan, readExport } from './otlp.ts'

/** An export, compressed or not: 512 spans of Verge's have half a megabyte. */
const MOST_BYTES = 16 * 1024 * 1024

/** A collector that only listens: OTLP/HTTP in JSON on this machine's loopback address. */
export interface Receiver {
  readonly port: number
  close(): Promise<void>
}

/** @param port 0: any that is free. @throws what listening fails with */
export async function startReceiver(
  port: number,
  received: (spans: readonly ReceivedSpan[]) => void,
): Promise<Receiver> {
  const server: Server = createServer((request, response) => {
    answer(request, received).then(
      (status) => {
        response.writeHead(status, {
          'content-type': 'application/json',
          ...(status !== 200 && { connection: 'close' }),
        })
        response.end(status === 200 ? '{}' : JSON.stringify({ message: WORDS[status] }))
      },
      () => response.destroy(),
    )
  })
  server.listen({ port, host: '127.0.0.1' })
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

const WORDS: Readonly<Record<number, string>> = {
  400: 'The body is not an export of traces in JSON.',
  404: 'Only POST /v1/traces is answered here.',
  413: `An export may have ${MOST_BYTES} bytes.`,
  415: 'Send OTLP/HTTP in JSON: OTEL_EXPORTER_OTLP_PROTOCOL=http/json.',
}

async function answer(request: IncomingMessage, received: (spans: readonly ReceivedSpan[]) => void): Promise<number> {
  if (request.method !== 'POST' || request.url?.split('?', 1)[0] !== '/v1/traces') return 404
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) return 415
  const body = await bodyOf(request)
  if (body === undefined) return 413
  try {
    const packed = request.headers['content-encoding'] === 'gzip'
    const text = packed ? gunzipSync(body, { maxOutputLength: MOST_BYTES }) : body
    received(readExport(JSON.parse(text.toString('utf8'))))
    return 200
  } catch {
    return 400
  }
}

/** Undefined of one that is too long. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of request) {
    bytes += (piece as Buffer).length
    if (bytes > MOST_BYTES) return undefined
    pieces.push(piece as Buffer)
  }
  return Buffer.concat(pieces)
}
