import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { publish } from '../../src/cli/push/publish.ts'
import { localStores } from '../../src/cli/target/local.ts'
import { memoryBindings } from './memory-bindings.ts'
import type { Stored } from './storage.ts'

interface Value {
  readonly bytes: Buffer
  readonly metadata: string
}

/**
 * KV and R2 in this process, for a workerd to which they are external, as they are in production: their work is not in
 * workerd's CPU time. KV has what was pushed; R2 has nothing, and whoever asks it fails.
 */
export class OuterStores {
  readonly #kv: Server
  readonly #r2: Server
  #asked: string[] = []

  private constructor(kv: Server, r2: Server) {
    this.#kv = kv
    this.#r2 = r2
  }

  static async open(models: readonly Pick<Stored, 'packed'>[]): Promise<OuterStores> {
    const bindings = memoryBindings()
    const { writer } = localStores(bindings)
    for (const { packed } of models) await publish(writer, packed)
    const values = new Map<string, Value>()
    for (const { name } of (await bindings.KV.list({ prefix: '', limit: 1000 })).keys) {
      const { value, metadata } = await bindings.KV.getWithMetadata(name, { type: 'stream' })
      const bytes = Buffer.from(await new Response(value).arrayBuffer())
      values.set(name, { bytes, metadata: JSON.stringify(metadata) })
    }
    const stores = new OuterStores(
      createServer((request, response) => stores.#answer(values, request, response)),
      createServer((_, response) => response.writeHead(500).end()),
    )
    for (const server of [stores.#kv, stores.#r2]) {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
    }
    return stores
  }

  /** Of KV and R2, for workerd's configuration. */
  get addresses(): { readonly kv: string; readonly r2: string } {
    const of = (server: Server): string => `127.0.0.1:${(server.address() as AddressInfo).port}`
    return { kv: of(this.#kv), r2: of(this.#r2) }
  }

  /** Keys that KV was asked for since the last call, in order. */
  takeAsked(): readonly string[] {
    const asked = this.#asked
    this.#asked = []
    return asked
  }

  close(): void {
    for (const server of [this.#kv, this.#r2]) {
      server.close()
      server.closeAllConnections()
    }
  }

  /** As workerd asks a namespace: `GET /KEY?urlencoded=true`. */
  #answer(values: ReadonlyMap<string, Value>, { method, url }: IncomingMessage, response: ServerResponse): void {
    const key = decodeURIComponent(new URL(url ?? '/', 'http://kv').pathname.slice(1))
    this.#asked.push(key)
    const value = method === 'GET' ? values.get(key) : undefined
    if (value === undefined) response.writeHead(404).end()
    else {
      const { bytes, metadata } = value
      response.writeHead(200, { 'content-length': bytes.length, 'cf-kv-metadata': metadata }).end(bytes)
    }
  }
}
