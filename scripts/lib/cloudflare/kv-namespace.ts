import { Readable } from 'node:stream'
import { z } from 'zod'
import type { KvListLike, KvNamespaceLike } from '../../../src/weights/kv.ts'
import { UsageError } from '../command-line.ts'
import { type CloudflareApi, encodeForm } from './api.ts'
import { bodyBytes } from './http.ts'

/** A page of 1,000 names of 512 bytes with 1 KiB of metadata each, and what JSON puts around them. */
const LIST_BYTES = 4 * 1024 * 1024

const page = z.object({
  result: z.array(z.object({ name: z.string() })),
  result_info: z.object({ cursor: z.string().optional() }).optional(),
})

const metadataAnswer = z.object({ result: z.unknown() })
const noted = z.object({ bytes: z.number().int().nonnegative() })

/** 1 KiB of metadata and what is around it. */
const METADATA_BYTES = 64 * 1024

/** A KV namespace from outside Cloudflare, by the REST API. Fits `KvStore`. */
export class RestKvNamespace implements KvNamespaceLike {
  readonly #api: CloudflareApi
  readonly #path: string

  constructor(api: CloudflareApi, id: string) {
    this.#api = api
    this.#path = `/storage/kv/namespaces/${encodeURIComponent(id)}`
  }

  async getWithMetadata(key: string): Promise<{ value: ReadableStream | null; metadata: unknown }> {
    const answer = await this.#api.raw({ method: 'GET', path: this.#valuePath(key) })
    if (answer.status === 404) {
      answer.body.resume()
      return { value: null, metadata: null }
    }
    if (answer.status !== 200) throw await this.#api.failure('read from KV', answer)
    answer.body.on('error', () => {})
    // The metadata would be a request of its own; the one thing that is kept there is in the answer's header.
    const length = answer.header('content-length')
    const metadata = length === undefined ? null : { bytes: Number(length) }
    return { value: Readable.toWeb(answer.body) as ReadableStream, metadata }
  }

  /**
   * The size that was noted when a key was written, without reading its value. (developers.cloudflare.com/api, "Read the
   * metadata for a key")
   * @returns null if there is no such key, undefined for the size if none was noted
   */
  async notedBytes(key: string): Promise<{ readonly bytes: number | undefined } | null> {
    const answer = await this.#api.raw({ method: 'GET', path: `${this.#path}/metadata/${encodeURIComponent(key)}` })
    if (answer.status === 404) {
      answer.body.resume()
      return null
    }
    if (answer.status !== 200) throw await this.#api.failure('read from KV', answer)
    const parsed = metadataAnswer.safeParse(parse(await bodyBytes(answer, METADATA_BYTES)))
    if (!parsed.success)
      throw new UsageError("KV gave a key's metadata in a form that is not understood. Update Verge.")
    return { bytes: noted.safeParse(parsed.data.result).data?.bytes }
  }

  async put(key: string, value: Uint8Array, options: { metadata: unknown }): Promise<void> {
    const form = new FormData()
    form.set('value', new Blob([value as Uint8Array<ArrayBuffer>]))
    form.set('metadata', JSON.stringify(options.metadata))
    const answer = await this.#api.raw({ method: 'PUT', path: this.#valuePath(key), ...(await encodeForm(form)) })
    if (answer.status !== 200) throw await this.#api.failure('write to KV', answer)
    answer.body.resume()
  }

  async list(options: { prefix: string; cursor?: string; limit: number }): Promise<KvListLike> {
    const { prefix, cursor, limit } = options
    const query = new URLSearchParams({ prefix, limit: String(limit), ...(cursor !== undefined && { cursor }) })
    const answer = await this.#api.raw({ method: 'GET', path: `${this.#path}/keys?${query}` })
    if (answer.status !== 200) throw await this.#api.failure('list KV', answer)
    const parsed = page.safeParse(JSON.parse(new TextDecoder().decode(await bodyBytes(answer, LIST_BYTES))))
    if (!parsed.success) throw new UsageError('KV gave a list that is not understood. Update Verge.')
    const { result, result_info: info } = parsed.data
    const next = info?.cursor ?? ''
    return next === '' ? { keys: result, list_complete: true } : { keys: result, list_complete: false, cursor: next }
  }

  async delete(key: string): Promise<void> {
    const answer = await this.#api.raw({ method: 'DELETE', path: this.#valuePath(key) })
    if (answer.status !== 200 && answer.status !== 404) throw await this.#api.failure('delete from KV', answer)
    answer.body.resume()
  }

  #valuePath(key: string): string {
    return `${this.#path}/values/${encodeURIComponent(key)}`
  }
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return undefined
  }
}
