import * as z from 'zod'
import { UsageError } from '../cli/terminal/command-line.ts'
import type { KvListLike, KvNamespaceLike } from '../weights/kv.ts'
import { type ApiOutcome, type CloudflareApi, encodeForm, hasCode, outcomeOf } from './api.ts'
import { bodyBytes } from './http.ts'

const names = z.array(z.object({ name: z.string() }))
/** On the last page the cursor is empty. An answer without a cursor does not tell whether more keys follow. */
const pageInfo = z.object({ cursor: z.string(), count: z.number().int().optional() })
/** Keys that a bulk request could not handle, where it says so. */
const bulkResult = z.object({ unsuccessful_keys: z.array(z.string()).default([]) })
const noted = z.object({ bytes: z.number().int().nonnegative() })

/** Cloudflare's code for a key that is not there; a namespace that is not has another. */
const KEY_NOT_FOUND = [10_009]
/** Of an answer that is no value. */
const ERROR_BYTES = 64 * 1024

/** A KV namespace from outside Cloudflare, by the REST API. Fits `KvStore`. */
export class RestKvNamespace implements KvNamespaceLike {
  readonly #api: CloudflareApi
  readonly #path: string

  constructor(api: CloudflareApi, id: string) {
    this.#api = api
    this.#path = `/storage/kv/namespaces/${encodeURIComponent(id)}`
  }

  async getWithMetadata(key: string): Promise<{ value: ReadableStream | null; metadata: unknown }> {
    const request = { method: 'GET', path: this.#valuePath(key) }
    const answer = await this.#api.raw(request)
    if (answer.status !== 200) {
      const outcome = outcomeOf({ status: answer.status, bytes: await bodyBytes(answer, ERROR_BYTES) })
      if (isMissing(outcome)) return { value: null, metadata: null }
      throw this.#refused('read from KV', outcome)
    }
    // Reading the metadata would be a separate request; its only used field is also in the answer's header.
    const length = answer.header('content-length')
    const metadata = length === undefined ? null : { bytes: Number(length) }
    const value = this.#api.resumed(request, answer, async (received) => {
      const again = await this.#api.raw(request)
      if (again.status !== 200 || again.header('content-length') !== length) {
        again.body.destroy()
        throw new UsageError('A value in KV changed while it was read. Run the command again.')
      }
      return without(again.body, received)
    })
    return { value, metadata }
  }

  /**
   * The size that was noted when a key was written, without reading its value. (developers.cloudflare.com/api, "Read the
   * metadata for a key")
   * @returns null if there is no such key, undefined for the size if none was noted
   */
  async notedBytes(key: string): Promise<{ readonly bytes: number | undefined } | null> {
    const outcome = await this.#api.call({ method: 'GET', path: `${this.#path}/metadata/${encodeURIComponent(key)}` })
    if (isMissing(outcome)) return null
    if ('refusal' in outcome) throw this.#refused('read from KV', outcome)
    return { bytes: noted.safeParse(outcome.result).data?.bytes }
  }

  async put(key: string, value: Uint8Array, options: { metadata: unknown }): Promise<void> {
    const form = new FormData()
    form.set('value', new Blob([value as Uint8Array<ArrayBuffer>]))
    form.set('metadata', JSON.stringify(options.metadata))
    const outcome = await this.#api.call({ method: 'PUT', path: this.#valuePath(key), ...(await encodeForm(form)) })
    if ('refusal' in outcome) throw this.#refused('write to KV', outcome)
  }

  /**
   * Writes up to 10,000 texts of together less than 100 MB. (developers.cloudflare.com/api, "Write multiple key-value pairs")
   * @throws UsageError, also if some were not written
   */
  async putMany(texts: ReadonlyMap<string, string>): Promise<void> {
    const json = [...texts].map(([key, value]) => ({ key, value, metadata: { bytes: value.length } }))
    this.#assertAll('write to KV', await this.#api.call({ method: 'PUT', path: `${this.#path}/bulk`, json }))
  }

  /** Deletes up to 10,000 keys. @throws UsageError, also if some were not deleted */
  async deleteMany(keys: readonly string[]): Promise<void> {
    const request = { method: 'POST', path: `${this.#path}/bulk/delete`, json: keys }
    this.#assertAll('delete from KV', await this.#api.call(request))
  }

  #assertAll(what: string, outcome: ApiOutcome): void {
    if ('refusal' in outcome) throw this.#refused(what, outcome)
    const left = bulkResult.safeParse(outcome.result).data?.unsuccessful_keys.length ?? 0
    if (left === 0) return
    throw new UsageError(`Cloudflare did not ${what} ${left} of the keys that it was given. Run the command again.`)
  }

  async list(options: { prefix: string; cursor?: string; limit: number }): Promise<KvListLike> {
    const { prefix, cursor, limit } = options
    const query = new URLSearchParams({ prefix, limit: String(limit), ...(cursor !== undefined && { cursor }) })
    const outcome = await this.#api.call({ method: 'GET', path: `${this.#path}/keys?${query}` })
    if ('refusal' in outcome) throw this.#refused('list KV', outcome)
    const keys = names.safeParse(outcome.result)
    const info = pageInfo.safeParse(outcome.info)
    const understood =
      keys.success &&
      info.success &&
      (info.data.count === undefined || info.data.count === keys.data.length) &&
      keys.data.every(({ name }) => name.startsWith(prefix))
    if (!understood)
      throw new UsageError('KV returned a list of keys in an unknown format. Try again, or update Verge.')
    const next = info.data.cursor
    return next === ''
      ? { keys: keys.data, list_complete: true }
      : { keys: keys.data, list_complete: false, cursor: next }
  }

  async delete(key: string): Promise<void> {
    const outcome = await this.#api.call({ method: 'DELETE', path: this.#valuePath(key) })
    if ('refusal' in outcome && !isMissing(outcome)) throw this.#refused('delete from KV', outcome)
  }

  #refused(what: string, outcome: ApiOutcome): UsageError {
    return this.#api.refused(what, 'refusal' in outcome ? outcome.refusal : { status: 200, codes: [], messages: '' })
  }

  #valuePath(key: string): string {
    return `${this.#path}/values/${encodeURIComponent(key)}`
  }
}

function isMissing(outcome: ApiOutcome): boolean {
  return 'refusal' in outcome && hasCode(outcome.refusal, KEY_NOT_FOUND)
}

/** A body behind its first bytes. */
async function* without(body: AsyncIterable<Uint8Array>, count: number): AsyncGenerator<Uint8Array> {
  let left = count
  for await (const part of body) {
    const rest = part.subarray(left)
    left = Math.max(0, left - part.length)
    if (rest.length > 0) yield rest
  }
}
