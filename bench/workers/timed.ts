/**
 * Verge itself, with a look at its stores: when the first read of weights began, when the last byte had come, and how
 * many bytes were read from where. From outside, fetching weights and making a session of them cannot be told apart.
 */
import verge, { type Env } from '../../src/worker.ts'

interface Reads {
  firstAt: number
  lastAt: number
  readonly bytes: Record<string, number>
}

let reads: Reads = { firstAt: 0, lastAt: 0, bytes: {} }

function watchBody(body: ReadableStream<Uint8Array>, store: string): ReadableStream<Uint8Array> {
  const note = ({ value }: { readonly value?: Uint8Array | undefined }): void => {
    reads.lastAt = performance.now()
    reads.bytes[store] = (reads.bytes[store] ?? 0) + (value?.byteLength ?? 0)
  }
  // Only the one method that the stores use; a stream of our own in between would slow the reading down.
  return {
    getReader(options: { mode: 'byob' }) {
      const reader = body.getReader(options)
      return {
        async read(view: Uint8Array) {
          const result = await reader.read(view)
          note(result)
          return result
        },
        cancel: (reason: unknown) => reader.cancel(reason),
      }
    },
  } as unknown as ReadableStream<Uint8Array>
}

function begin(key: string): boolean {
  if (!key.startsWith('blob/')) return false
  if (reads.firstAt === 0) reads.firstAt = performance.now()
  return true
}

function watchedBucket(bucket: R2Bucket): R2Bucket {
  return new Proxy(bucket, {
    get(target, property) {
      if (property !== 'get') {
        const value: unknown = Reflect.get(target, property)
        return typeof value === 'function' ? value.bind(target) : value
      }
      return async (key: string, options?: R2GetOptions) => {
        const weights = begin(key)
        const found = (await target.get(key, options)) as R2ObjectBody | null
        if (!found || !weights) return found
        return { key: found.key, size: found.size, etag: found.etag, body: watchBody(found.body, 'r2') }
      }
    },
  })
}

function watchedKv(namespace: KVNamespace): KVNamespace {
  return new Proxy(namespace, {
    get(target, property) {
      if (property !== 'getWithMetadata') {
        const value: unknown = Reflect.get(target, property)
        return typeof value === 'function' ? value.bind(target) : value
      }
      return async (key: string, options: KVNamespaceGetOptions<'stream'>) => {
        const weights = begin(key)
        const found = await target.getWithMetadata(key, options)
        if (found.value === null || !weights) return found
        return { ...found, value: watchBody(found.value as ReadableStream<Uint8Array>, 'kv') }
      }
    },
  })
}

export default {
  async fetch(request: Request, env: Env, context: ExecutionContext): Promise<Response> {
    if (new URL(request.url).pathname === '/bench/reads') {
      const { bytes, firstAt, lastAt } = reads
      reads = { firstAt: 0, lastAt: 0, bytes: {} }
      return Response.json({ bytes, milliseconds: lastAt - firstAt })
    }
    const watched = { ...env, BUCKET: watchedBucket(env.BUCKET), KV: watchedKv(env.KV) }
    return verge.fetch(request as Parameters<typeof verge.fetch>[0], watched, context)
  },
}
