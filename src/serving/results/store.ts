/**
 * Storage for results of runs. Entries may disappear at any time or be damaged; the reader checks them.
 * Implementations: the Cache API of a data centre, and a Map in tests.
 */
export interface ResultStore {
  /** @param maxBytes an entry that is larger counts as none, and is not read */
  get(key: string, maxBytes: number): Promise<Uint8Array<ArrayBuffer> | undefined>
  put(key: string, bytes: Uint8Array<ArrayBuffer>, ttlSeconds: number): Promise<void>
}

/** The used part of the platform's `Cache`. */
export interface CacheLike {
  match(url: string): Promise<Response | undefined>
  put(url: string, response: Response): Promise<void>
}

/**
 * A host that cannot be registered or requested from outside. Under the Worker's own host, entries could be requested
 * by URL on paths that are not routed to the Worker.
 */
const ORIGIN = 'https://results.verge.invalid'

/** The Cache API takes GET requests alone, so a result is the answer to one, at a URL made from its key. */
export class CacheApiStore implements ResultStore {
  readonly #cache: CacheLike

  constructor(cache: CacheLike) {
    this.#cache = cache
  }

  async get(key: string, maxBytes: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const found = await this.#cache.match(urlOf(key))
    if (found === undefined) return undefined
    const length = Number(found.headers.get('content-length') ?? Number.NaN)
    if (found.ok && length <= maxBytes) return new Uint8Array(await found.arrayBuffer())
    await found.body?.cancel()
    return undefined
  }

  async put(key: string, bytes: Uint8Array<ArrayBuffer>, ttlSeconds: number): Promise<void> {
    const headers = {
      'content-type': 'application/octet-stream',
      'content-length': String(bytes.length),
      'cache-control': `public, max-age=${ttlSeconds}`,
    }
    await this.#cache.put(urlOf(key), new Response(bytes, { headers }))
  }
}

function urlOf(key: string): string {
  return `${ORIGIN}/${key}`
}
