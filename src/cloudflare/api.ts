import { createHash } from 'node:crypto'
import * as z from 'zod'
import { UsageError } from '../cli/terminal/command-line.ts'
import { type Account, PERMISSIONS } from './account.ts'
import { apiAdvice } from './advice.ts'
import type { HttpAnswer, HttpClient, HttpRequest, Rest, WholeAnswer } from './http.ts'
import type { S3Credentials } from './s3-signing.ts'

/** Lists of namespaces and secrets are the longest answers read here. */
const ANSWER_BYTES = 4 * 1024 * 1024
const NAMESPACES_PER_PAGE = 100
/** Cloudflare allows an account 1,000 namespaces. */
const MOST_PAGES = 10

const envelope = z.object({
  success: z.boolean(),
  errors: z.array(z.object({ code: z.number(), message: z.string() })).default([]),
  result: z.unknown().optional(),
  result_info: z.unknown().optional(),
})
const pageInfo = z.object({ total_count: z.number().int().nonnegative() })
/** Of a Worker that `createDraftWorker` has made. */
export const DRAFT_BINDING = 'VERGE_DRAFT'
const namespace = z.object({ id: z.string(), title: z.string() })
const named = z.object({ name: z.string() })

export type KvNamespaceInfo = z.infer<typeof namespace>

/** Accepted errors of a request. */
export interface ApiRefusal {
  readonly status: number
  readonly codes: readonly number[]
  readonly messages: string
}

export type ApiOutcome = { readonly result: unknown; readonly info: unknown } | { readonly refusal: ApiRefusal }

export interface ApiRequest {
  readonly method: string
  /** Behind `/accounts/<id>`, encoded. */
  readonly path: string
  readonly json?: unknown
  readonly body?: Uint8Array
  readonly contentType?: string
}

/** Cloudflare's codes for a Worker that is not there, in either kind of environment. */
const WORKER_NOT_FOUND = [10_007, 10_090]
const BUCKET_NOT_FOUND = [10_006]
const BUCKET_EXISTS = [10_004]
const NAMESPACE_EXISTS = [10_014]

/** The calls of Cloudflare's REST API that Verge makes. Each may be made twice without harm. */
export class CloudflareApi {
  readonly #http: HttpClient
  readonly #account: Account

  constructor(http: HttpClient, account: Account) {
    this.#http = http
    this.#account = account
  }

  /**
   * The S3 credentials that belong to the API token: its id, and the SHA-256 of its value.
   * (developers.cloudflare.com/r2/api/tokens, "Get S3 API credentials from an API token")
   * @throws UsageError if the token is not accepted
   */
  async s3Credentials(): Promise<S3Credentials> {
    const active = z.object({ id: z.string(), status: z.string() })
    const ofUser = await this.#call({ method: 'GET', path: '/user/tokens/verify' }, '')
    const verified = 'refusal' in ofUser ? await this.#call({ method: 'GET', path: '/tokens/verify' }) : ofUser
    if ('refusal' in verified) {
      if (verified.refusal.codes.length === 0) throw this.#refused('check the API token', verified.refusal)
      throw new UsageError(
        'Cloudflare rejects CLOUDFLARE_API_TOKEN for this account, because it is wrong, expired or revoked. Create a ' +
          `new one with the permissions ${PERMISSIONS.join(', ')}.`,
      )
    }
    const token = this.#parse(active, verified.result)
    if (token.status !== 'active') throw new UsageError(`CLOUDFLARE_API_TOKEN is ${token.status}. Create a new one.`)
    const secretAccessKey = createHash('sha256').update(this.#account.token).digest('hex')
    return { accessKeyId: token.id, secretAccessKey, region: 'auto', source: 'token' }
  }

  async hasBucket(name: string): Promise<boolean> {
    const answer = await this.#call({ method: 'GET', path: `/r2/buckets/${encodeURIComponent(name)}` })
    if (!('refusal' in answer)) return true
    if (hasCode(answer.refusal, BUCKET_NOT_FOUND)) return false
    throw this.#refused('look for the R2 bucket', answer.refusal)
  }

  /** @param location a hint such as `weur`; where the first request comes from if left out */
  async createBucket(name: string, location?: string): Promise<void> {
    const json = { name, ...(location !== undefined && { locationHint: location }) }
    const answer = await this.#call({ method: 'POST', path: '/r2/buckets', json })
    // The first attempt may have succeeded although its answer was lost.
    if ('refusal' in answer && !hasCode(answer.refusal, BUCKET_EXISTS)) {
      throw this.#refused('create the R2 bucket', answer.refusal)
    }
  }

  async namespaces(): Promise<KvNamespaceInfo[]> {
    const found: KvNamespaceInfo[] = []
    for (let page = 1; page <= MOST_PAGES; page++) {
      const path = `/storage/kv/namespaces?per_page=${NAMESPACES_PER_PAGE}&page=${page}&order=title`
      const answer = await this.#call({ method: 'GET', path })
      if ('refusal' in answer) throw this.#refused('list the KV namespaces', answer.refusal)
      const listed = this.#parse(z.array(namespace), answer.result)
      found.push(...listed)
      const total = pageInfo.safeParse(answer.info).data?.total_count
      // a page may be shorter than requested; an empty page before the announced total is not the end
      if (total === undefined ? listed.length < NAMESPACES_PER_PAGE : found.length >= total) return found
      if (listed.length === 0) break
    }
    throw new UsageError("Cloudflare's list of KV namespaces does not end. Try again, or update Verge.")
  }

  /** @returns its id, also where a namespace of this title is there already */
  async createNamespace(title: string): Promise<string> {
    const answer = await this.#call({ method: 'POST', path: '/storage/kv/namespaces', json: { title } })
    if (!('refusal' in answer)) return this.#parse(namespace, answer.result).id
    const present = hasCode(answer.refusal, NAMESPACE_EXISTS)
      ? (await this.namespaces()).find((other) => other.title === title)
      : undefined
    if (present === undefined) throw this.#refused('create the KV namespace', answer.refusal)
    return present.id
  }

  /** What the addresses of the account's Workers end in, before `.workers.dev`. (developers.cloudflare.com/api, "Get Subdomain") */
  async subdomain(): Promise<string> {
    const answer = await this.#call({ method: 'GET', path: '/workers/subdomain' })
    if ('refusal' in answer) throw this.#refused('tell the workers.dev subdomain of the account', answer.refusal)
    return this.#parse(z.object({ subdomain: z.string().regex(/^[a-z0-9-]{1,63}$/) }), answer.result).subdomain
  }

  /** Names of a Worker's secrets; null if there is no such Worker. */
  async secrets(worker: string): Promise<string[] | null> {
    const answer = await this.#call({ method: 'GET', path: `${workerPath(worker)}/secrets` })
    if (!('refusal' in answer)) return this.#parse(z.array(named), answer.result).map(({ name }) => name)
    if (hasCode(answer.refusal, WORKER_NOT_FOUND)) return null
    throw this.#refused("list the Worker's secrets", answer.refusal)
  }

  async putSecret(worker: string, name: string, text: string): Promise<void> {
    const json = { name, text, type: 'secret_text' }
    const answer = await this.#call({ method: 'PUT', path: `${workerPath(worker)}/secrets`, json })
    if ('refusal' in answer) throw this.#refused(`set the secret ${name}`, answer.refusal)
  }

  /**
   * Names of a Worker's bindings; null if the Worker does not exist. (developers.cloudflare.com/api, "Get Script
   * Settings")
   */
  async bindings(worker: string): Promise<readonly string[] | null> {
    const answer = await this.#call({ method: 'GET', path: `${workerPath(worker)}/settings` })
    if ('refusal' in answer) {
      if (hasCode(answer.refusal, WORKER_NOT_FOUND)) return null
      throw this.#refused("read the Worker's settings", answer.refusal)
    }
    const settings = this.#parse(z.object({ bindings: z.array(named).default([]) }), answer.result)
    return settings.bindings.map(({ name }) => name)
  }

  /** An empty Worker, which the first deployment replaces: a secret needs a Worker to belong to. */
  async createDraftWorker(worker: string): Promise<void> {
    const bindings = [{ type: 'plain_text', name: DRAFT_BINDING, text: 'not deployed yet' }]
    const metadata = { main_module: 'draft.js', compatibility_date: '2026-01-01', bindings }
    const form = new FormData()
    form.set('metadata', new Blob([JSON.stringify(metadata)], { type: 'application/json' }), 'metadata.json')
    const module = "export default { fetch: () => new Response('Not deployed yet.', { status: 503 }) }"
    form.set('draft.js', new Blob([module], { type: 'application/javascript+module' }), 'draft.js')
    const answer = await this.#call({ method: 'PUT', path: workerPath(worker), ...(await encodeForm(form)) })
    if ('refusal' in answer) throw this.#refused('create the Worker', answer.refusal)
  }

  /** A request of this account as it is sent. */
  request(
    { method, path, body, contentType, json }: ApiRequest,
    prefix = `/accounts/${this.#account.id}`,
  ): HttpRequest {
    const { api, token } = this.#account
    const sent = json === undefined ? body : new TextEncoder().encode(JSON.stringify(json))
    const type = json === undefined ? contentType : 'application/json'
    return {
      method,
      origin: api,
      path: api.pathname.replace(/\/$/, '') + prefix + path,
      headers: () => ({ authorization: `Bearer ${token}`, ...(type !== undefined && { 'content-type': type }) }),
      ...(sent !== undefined && { body: sent }),
    }
  }

  /** For values that are not JSON: the answer as it comes, whatever its status. */
  raw(request: ApiRequest): Promise<HttpAnswer> {
    return this.#http.send(this.request(request))
  }

  /** The body of an answer of `raw` as a stream (see `HttpClient.resumed`). */
  resumed(request: ApiRequest, first: HttpAnswer, reopen: (received: number) => Promise<Rest>): ReadableStream {
    return this.#http.resumed(this.request(request), first, reopen)
  }

  /**
   * Sends a request; errors of the API are returned, so that the caller can interpret their codes.
   * @throws UsageError
   */
  call(request: ApiRequest): Promise<ApiOutcome> {
    return this.#call(request)
  }

  /** What went wrong, for a person. */
  refused(what: string, refusal: ApiRefusal): UsageError {
    return this.#refused(what, refusal)
  }

  async #call(request: ApiRequest, prefix?: string): Promise<ApiOutcome> {
    return outcomeOf(await this.#http.whole(this.request(request, prefix), ANSWER_BYTES))
  }

  #parse<T>(schema: z.ZodType<T>, result: unknown): T {
    const parsed = schema.safeParse(result)
    if (parsed.success) return parsed.data
    throw new UsageError(
      `Cloudflare's API answered in an unknown format (${parsed.error.issues[0]?.path.join('.') || 'result'}). ` +
        'Check CLOUDFLARE_API_BASE_URL, or update Verge.',
    )
  }

  #refused(what: string, { status, codes, messages }: ApiRefusal): UsageError {
    // The API may echo the request, which must not be printed.
    const said = messages.replaceAll(this.#account.token, '[token]')
    const detail = `HTTP ${status}${codes.length > 0 ? `, code ${codes.join(', ')}` : ''}${said === '' ? '' : `: ${said}`}`
    const advice = apiAdvice(status, codes)
    return new UsageError(`Cloudflare refused to ${what} (${detail}).${advice === '' ? '' : ` ${advice}`}`)
  }
}

/** A form as bytes, so that a request can be repeated. */
export async function encodeForm(form: FormData): Promise<{ readonly body: Uint8Array; readonly contentType: string }> {
  const encoded = new Response(form)
  const contentType = encoded.headers.get('content-type') ?? ''
  return { body: new Uint8Array(await encoded.arrayBuffer()), contentType }
}

/** Parses an answer of the API. Any other answer is a refusal without codes, whatever its status. */
export function outcomeOf({ status, bytes }: Pick<WholeAnswer, 'status' | 'bytes'>): ApiOutcome {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    value = undefined
  }
  const parsed = envelope.safeParse(value)
  if (!parsed.success)
    return { refusal: { status, codes: [], messages: "an answer that does not come from Cloudflare's API" } }
  const { success, errors, result, result_info: info } = parsed.data
  if (success && status < 300) return { result, info }
  const messages = errors.map(({ message }) => message).join('; ')
  return { refusal: { status, codes: errors.map(({ code }) => code), messages } }
}

export function hasCode(refusal: ApiRefusal, codes: readonly number[]): boolean {
  return refusal.codes.some((code) => codes.includes(code))
}

function workerPath(worker: string): string {
  return `/workers/scripts/${encodeURIComponent(worker)}`
}
