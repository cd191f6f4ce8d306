import { isVergeError, VergeError } from '../../core/errors.ts'
import { MODEL_HEADER, PLACEMENT_HEADER } from '../../core/headers.ts'
import { parseJson } from '../../core/json.ts'
import type { Clock } from '../../core/runtime.ts'
import { validate } from '../../core/validation.ts'
import { browserPlanSchema } from '../../protocols/browser/wire.ts'
import { STATUS } from '../../protocols/status.ts'
import {
  type CallFailure,
  type CallName,
  type Calls,
  type FromWorker,
  type LocalAnswer,
  type LocalRequest,
  PROTOCOL,
  type StartOptions,
  type ToWorker,
} from '../messages.ts'
import type { LoadProgress } from '../runtime/held-model.ts'
import type { CallOptions, ModelPlan, Runtime, RuntimeAnswer } from '../runtime/runtime.ts'
import type { WeightsCredentials } from '../weights/http.ts'
import type { BrowserWeights, WeightsEvent } from '../weights/weights.ts'
import { PageCredentials } from './page-credentials.ts'

/** What a page's options make. */
export interface HostedParts {
  readonly runtime: Runtime
  readonly weights: BrowserWeights
}

/** What the parts tell, and what they ask for. */
export interface Listeners {
  /** Absent where requests need none. */
  readonly credentials?: WeightsCredentials | undefined
  readonly onEvent: (event: WeightsEvent) => void
  readonly onNetworkBytes: (bytes: number) => void
}

export interface HostOptions {
  readonly post: (message: FromWorker, transfer: ArrayBuffer[]) => void
  readonly start: (options: StartOptions, listeners: Listeners) => Promise<HostedParts>
  readonly clock: Pick<Clock, 'now'>
  /** How deep JSON of a request may be nested. */
  readonly limits: Parameters<typeof parseJson>[1]
}

/** Milliseconds between two messages on how far a load is: pages draw no more often. */
const PROGRESS_MS = 50

type Call = Exclude<ToWorker, { readonly call: 'cancel' }>

/** The web worker's side of the messages. */
export class WorkerHost {
  readonly #options: HostOptions
  /** Versions that the page has announced, by the digest of their manifest. */
  readonly #plans = new Map<string, ModelPlan>()
  /** Calls under way, by id. */
  readonly #calls = new Map<number, AbortController>()
  /** Calls under way that need a version, by its digest. */
  readonly #users = new Map<string, number>()
  readonly #pageCredentials: PageCredentials
  #parts: Promise<HostedParts> | undefined
  #backend: NonNullable<StartOptions['backend']> = 'wasm'
  #networkBytes = 0

  constructor(options: HostOptions) {
    this.#options = options
    this.#pageCredentials = new PageCredentials((event) => options.post(event, []))
  }

  async receive(message: ToWorker): Promise<void> {
    const { id } = message
    if (message.call === 'cancel') return this.#calls.get(id)?.abort()
    const controller = new AbortController()
    this.#calls.set(id, controller)
    try {
      const gives = await this.#answer(message, controller.signal)
      this.#options.post({ id, gives }, transferredWith(gives))
    } catch (error) {
      this.#options.post({ id, failure: failureOf(error) }, [])
    } finally {
      this.#calls.delete(id)
    }
  }

  async #answer(call: Call, signal: AbortSignal): Promise<Calls[CallName]['gives']> {
    if (call.call === 'start') {
      this.#parts = this.#start(call.takes)
      await this.#parts
      return null
    }
    if (call.call === 'credential') {
      this.#pageCredentials.given(call.takes)
      return null
    }
    const { runtime, weights } = await this.#started()
    const options = { signal, backend: this.#backend }
    switch (call.call) {
      case 'know':
        return this.#know(call.takes, weights)
      case 'missing': {
        const blobs = await runtime.blobs(this.#plan(call.takes.digest), options)
        return { missingBytes: await weights.missing(blobs) }
      }
      case 'load':
        await this.#using(call.takes.digest, weights, signal, (plan) =>
          runtime.load(plan, { ...options, onProgress: this.#progress(plan.digest) }),
        )
        return null
      case 'ask':
        return this.#using(call.takes.digest, weights, signal, (plan) => this.#ask(call.takes, plan, runtime, options))
      case 'storage':
        return weights.usage()
      case 'clear':
        await weights.clear(call.takes.model)
        return null
    }
  }

  #start(options: StartOptions): Promise<HostedParts> {
    const { post, start } = this.#options
    if (options.protocol !== PROTOCOL) {
      throw new VergeError(
        'engine_unsupported',
        'The page and the server have releases of Verge that do not understand each other. Update the older one.',
      )
    }
    this.#backend = options.backend ?? this.#backend
    return start(options, {
      credentials: this.#credentialsOf(options),
      onEvent: ({ type, ...event }) => post({ event: type, ...event } as FromWorker, []),
      onNetworkBytes: (bytes) => {
        this.#networkBytes += bytes
      },
    })
  }

  #credentialsOf({ asksForCredentials, key }: StartOptions): WeightsCredentials | undefined {
    if (asksForCredentials) return this.#pageCredentials
    return key === undefined ? undefined : { current: async () => key, renewed: async () => undefined }
  }

  async #started(): Promise<HostedParts> {
    if (this.#parts === undefined)
      throw new VergeError('internal', 'The page sent a call before it started the engine.')
    return this.#parts
  }

  #know({ pinned, plan: answer }: Calls['know']['takes'], weights: BrowserWeights): Calls['know']['gives'] {
    const { artifacts, digest, files, manifest, model, version } = validate(
      browserPlanSchema,
      answer,
      'The plan',
      'manifest_invalid',
    )
    const pages = artifacts.flatMap((artifact) => (artifact.pages === undefined ? [] : [artifact.pages]))
    weights.know({ model, version, pinned }, [...artifacts, ...pages, ...Object.values(files)])
    this.#plans.set(digest, { digest, manifest: { ...manifest, artifacts, files } })
    return { digest }
  }

  #plan(digest: string): ModelPlan {
    const plan = this.#plans.get(digest)
    if (plan === undefined) throw new VergeError('internal', 'The page asked for a model that it did not announce.')
    return plan
  }

  /** Work that needs a version. When the last such call is cancelled, the downloads of the version end. */
  async #using<T>(
    digest: string,
    weights: BrowserWeights,
    signal: AbortSignal,
    work: (plan: ModelPlan) => Promise<T>,
  ): Promise<T> {
    const plan = this.#plan(digest)
    const count = (change: number): number => {
      const users = (this.#users.get(digest) ?? 0) + change
      this.#users.set(digest, users)
      return users
    }
    const leave = (): void => {
      if (count(-1) === 0) weights.stop(plan.manifest)
    }
    count(1)
    signal.addEventListener('abort', leave, { once: true })
    try {
      // A load that ends because its callers have left may take one with it that has just come.
      return await work(plan).catch((error: unknown) => {
        if (signal.aborted || !isVergeError(error, 'cancelled')) throw error
        return work(plan)
      })
    } finally {
      signal.removeEventListener('abort', leave)
      if (!signal.aborted) count(-1)
    }
  }

  #progress(digest: string): (progress: LoadProgress) => void {
    const { clock, post } = this.#options
    let last = Number.NEGATIVE_INFINITY
    return ({ loadedBytes, totalBytes }) => {
      const now = clock.now()
      if (loadedBytes < totalBytes && now - last < PROGRESS_MS) return
      last = now
      post({ event: 'progress', digest, loadedBytes, totalBytes, networkBytes: this.#networkBytes }, [])
    }
  }

  async #ask(request: LocalRequest, plan: ModelPlan, runtime: Runtime, options: CallOptions): Promise<LocalAnswer> {
    const answer = await this.#run(request, plan, runtime, options)
    const { model, version } = plan.manifest
    const headers = { ...answer.headers, ...infoHeaders(answer), [MODEL_HEADER]: `${model}@${version}` }
    return { status: 200, headers, body: answer.body }
  }

  #run(request: LocalRequest, plan: ModelPlan, runtime: Runtime, options: CallOptions): Promise<RuntimeAnswer> {
    const { body, contentType, jsonLength, query, route } = request
    const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body
    switch (route) {
      case 'run':
        return runtime.runSent(plan, { bytes, contentType, query: queries(query) }, options)
      case 'embed':
        return runtime.embed(plan, parseJson(bytes, this.#options.limits), options)
      case 'infer':
        return runtime.infer(plan, bytes, { ...options, ...(jsonLength !== undefined && { jsonLength }) })
    }
  }
}

/** By name, with all values of each. */
function queries(query: string): Readonly<Record<string, readonly string[]>> {
  const all = new URLSearchParams(query)
  return Object.fromEntries([...new Set(all.keys())].map((name) => [name, all.getAll(name)]))
}

/** As the Worker says it of its own answers. */
function infoHeaders({ info }: RuntimeAnswer): Record<string, string> {
  if (info === undefined) return {}
  const { artifact, engine, start, timings } = info
  const parts = [
    ['load', timings.loadMs],
    ['queue', timings.queueMs],
    ['run', timings.runMs],
  ] as const
  const measured = parts.filter(([, ms]) => ms > 0).map(([name, ms]) => `${name};dur=${Math.round(ms * 100) / 100}`)
  return {
    [PLACEMENT_HEADER]: `browser;engine=${engine};artifact="${artifact.replace(/[^ !#-[\]-~]/g, '?')}";start=${start}`,
    ...(measured.length > 0 && { 'server-timing': measured.join(', ') }),
  }
}

function transferredWith(gives: Calls[CallName]['gives']): ArrayBuffer[] {
  return gives !== null && 'body' in gives && typeof gives.body !== 'string' ? [gives.body.buffer] : []
}

function failureOf(error: unknown): CallFailure {
  if (!(error instanceof VergeError)) {
    // An engine out of memory, or a defect: the reason is for the console of whoever looks for it.
    console.error(error)
    return { status: 500, code: 'internal', message: 'The model could not be run in this browser.' }
  }
  const { code, details, message, retryAfter } = error
  return { status: STATUS[code], code, message, details, retryAfter }
}
