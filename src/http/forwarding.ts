import type { Context } from 'hono'
import { callerName } from '../access/authorize.ts'
import type { Manifest } from '../catalog/manifest.ts'
import { declaredLength } from '../core/header-values.ts'
import type { Forwarding } from '../inference/forwarding.ts'
import type { ForwardedRequest, ForwardRoute } from '../placement/placement.ts'
import type { Ticket } from '../serving/admission.ts'
import type { AppDeps, AppEnv } from './app-env.ts'
import { paceOf, readBody } from './body.ts'

export interface HttpForwardOptions {
  readonly manifest: Pick<Manifest, 'task'>
  readonly route: ForwardRoute
  /** The body, where it has been read already. */
  readonly bytes?: Uint8Array<ArrayBuffer>
  /** The path to ask an origin for, with no query, where it is not the request's own. */
  readonly path?: string
  /** A text is wanted as a stream. */
  readonly streamed?: boolean
}

/** An HTTP request on its way to an origin, and the origin's answer on its way back. */
export class ForwardedHttpRequest implements Forwarding<Response> {
  readonly replayable: boolean
  readonly #deps: AppDeps
  readonly #c: Context<AppEnv>
  readonly #options: HttpForwardOptions
  readonly #raw: Request
  #body: ForwardedRequest['body']

  constructor(deps: AppDeps, c: Context<AppEnv>, options: HttpForwardOptions) {
    this.#deps = deps
    this.#c = c
    this.#options = options
    this.#raw = c.req.raw
    this.#body = options.bytes ?? null
    this.replayable = options.bytes !== undefined
  }

  async request(ticket: Ticket): Promise<ForwardedRequest> {
    const { bytes, manifest, path, route, streamed = false } = this.#options
    if (bytes !== undefined) ticket.hold(bytes.length)
    else this.#body = await this.#read(ticket)
    const { pathname, search } = new URL(this.#c.req.url)
    return {
      route,
      method: 'POST',
      path: (path ?? pathname) + search,
      headers: this.#c.req.raw.headers,
      body: this.#body,
      caller: callerName(this.#c.get('caller')),
      wholeText: manifest.task === 'text-generation' && route !== 'oip' && !streamed,
    }
  }

  /** What was streamed to an origin is gone; what was read whole can be read once more. */
  recover(): boolean {
    const raw = this.#raw
    if (this.#options.bytes !== undefined) return true
    if (this.#body instanceof Uint8Array) {
      const { headers, method, signal, url } = raw
      this.#c.req.raw = new Request(url, { method, headers, body: this.#body, signal })
      return true
    }
    return raw.body?.locked !== true
  }

  answer(response: Response): Response {
    return response
  }

  /** A body of known, small size whole, so that it can be signed and sent again; another one as it comes. */
  async #read(ticket: Ticket): Promise<ForwardedRequest['body']> {
    const { limits } = this.#deps
    const raw = this.#raw
    const declared = declaredLength(raw.headers.get('content-length'))
    if (raw.body === null) return null
    if (declared === undefined || declared > limits.replayableBodyBytes) return raw.body
    const { signal } = this.#c.get('context')
    return readBody(raw, {
      maxBytes: limits.replayableBodyBytes,
      signal,
      hold: ticket.hold,
      reading: ticket.reading,
      pace: paceOf(this.#deps),
    })
  }
}
