/** Time, as far as a client needs it. */
export interface ClientClock {
  /** Milliseconds since 1970. */
  now(): number
  /** Calls back once, after at least `ms` milliseconds. @returns a function that calls it off */
  after(ms: number, callback: () => void): () => void
}

export const systemClock: ClientClock = {
  now: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}

/** Uniform in [0, 1). */
export const systemRandom = (): number => Math.random()

/** Random bytes that nobody can guess. */
export const systemBytes = (count: number): Uint8Array => crypto.getRandomValues(new Uint8Array(count))

/** Called as a function of the global object: browsers refuse another `this`. */
export const systemFetch: FetchLike = (url, init) => fetch(url, init)

/** As much of `fetch` as the client uses. */
export type FetchLike = (url: string, init: RequestInit) => Promise<Response>

/**
 * Whether a stream has to be read before it is sent: browsers send one over HTTP/2 only, or send its name. Their pages have
 * a document, and their web workers `importScripts`.
 */
export const readsStreams = (): boolean => 'document' in globalThis || 'importScripts' in globalThis
