import { CARRIED_KEY } from '../../config/values.ts'
import { isLoopback } from '../../core/loopback.ts'
import { UsageError } from '../terminal/command-line.ts'

/** Longest wait for an answer: a cold start of the largest model on a bad day. */
const PATIENCE_MS = 60_000
/** Of an answer, where no more is expected: JSON of a few KB, or a few tensors; whatever sends more is not Verge. */
const ANSWER_BYTES = 4 * 1024 * 1024

export interface Visit {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** A stream is sent without its length, while the answer may come already. */
  readonly body?: Uint8Array<ArrayBuffer> | string | ReadableStream<Uint8Array>
  /** Goes as the operator, where there is a key. */
  readonly asOperator?: boolean
  /** Of the answer; `ANSWER_BYTES` if left out. */
  readonly mostBytes?: number
  /** Breaks the wait off before its time. */
  readonly signal?: AbortSignal
}

export interface VisitorResponse {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly text: string
  /** Undefined if it is not JSON. */
  readonly json: unknown
  /** From the request to the last byte, as seen from here. */
  readonly ms: number
}

/** A stranger, or the operator, who asks a Worker over HTTP. Sends the key to that origin alone. */
export class Visitor {
  readonly origin: string
  readonly hasKey: boolean
  readonly #key: string | undefined

  /** @throws UsageError if the address is invalid, or the key would be sent unencrypted */
  constructor(address: string, key: string | undefined) {
    const url = URL.canParse(address) ? new URL(address) : undefined
    if (url === undefined || !/^https?:$/.test(url.protocol)) {
      throw new UsageError(`"${address}" is not an address. Use one such as https://verge.example.workers.dev`)
    }
    if (key !== undefined && url.protocol === 'http:' && !isLoopback(url.hostname)) {
      throw new UsageError(
        'VERGE_API_KEY is not sent over http://, because the connection is not encrypted. Use https://, or unset the key.',
      )
    }
    if (key !== undefined && !CARRIED_KEY.test(key)) {
      throw new UsageError(
        'VERGE_API_KEY contains a character that is not allowed: use letters, digits and ._~+/- only. Create a new key ' +
          '(openssl rand -base64 33), and set it in the Worker too.',
      )
    }
    this.origin = url.origin
    this.hasKey = key !== undefined
    this.#key = key
  }

  /** @throws an error with a `cause` if there was no answer */
  async ask(
    path: string,
    { method = 'GET', headers = {}, body, asOperator = false, mostBytes = ANSWER_BYTES, signal }: Visit = {},
  ): Promise<VisitorResponse> {
    const patience = AbortSignal.timeout(PATIENCE_MS)
    const begun = performance.now()
    const response = await fetch(this.origin + path, {
      method,
      headers: {
        ...headers,
        ...(asOperator && this.#key !== undefined && { authorization: `Bearer ${this.#key}` }),
      },
      ...(body !== undefined && { body }),
      ...(body instanceof ReadableStream && { duplex: 'half' }),
      redirect: 'manual',
      signal: signal === undefined ? patience : AbortSignal.any([signal, patience]),
    })
    const bytes = await readBytes(response, mostBytes)
    const text = new TextDecoder().decode(bytes)
    return {
      status: response.status,
      headers: response.headers,
      bytes,
      text,
      json: parsed(text),
      ms: performance.now() - begun,
    }
  }

  post(
    path: string,
    contentType: string,
    body: Uint8Array<ArrayBuffer> | string,
    asOperator = false,
  ): Promise<VisitorResponse> {
    return this.ask(path, { method: 'POST', headers: { 'content-type': contentType }, body, asOperator })
  }
}

async function readBytes(response: Response, most: number): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of response.body ?? []) {
    bytes += piece.length
    if (bytes > most) throw new Error(`an answer of more than ${most} bytes`)
    pieces.push(piece)
  }
  return new Uint8Array(Buffer.concat(pieces))
}

/** Undefined if it is not JSON. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A field of a JSON object, or undefined. */
export function fieldOf(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inside, name) =>
      typeof inside === 'object' && inside !== null ? (inside as Readonly<Record<string, unknown>>)[name] : undefined,
    value,
  )
}

/** The error code of any of Verge's error shapes; undefined for anything else. */
export function codeOf({ json }: Pick<VisitorResponse, 'json'>): string | undefined {
  const code = fieldOf(json, 'error', 'code') ?? fieldOf(json, 'code')
  return typeof code === 'string' ? code : undefined
}

/** An answer in one line. */
export function gist(answer: Pick<VisitorResponse, 'status' | 'json' | 'text'>): string {
  const message = fieldOf(answer.json, 'error', 'message') ?? fieldOf(answer.json, 'error') ?? answer.text
  const text = (typeof message === 'string' ? message : JSON.stringify(message)).replace(/\s+/g, ' ').trim()
  return `HTTP ${answer.status}${text === '' ? '' : `: ${text.length > 200 ? `${text.slice(0, 197)}...` : text}`}`
}
