import { clientOver, transportOf } from '../../client/client.ts'
import { VergeError } from '../../client/error.ts'
import {
  type CallOptions,
  type ClientOptions,
  createClient,
  type Media,
  type RunInput,
  type VergeClient,
} from '../../client/page.ts'
import { systemClock, systemFetch, systemRandom } from '../../client/runtime.ts'
import { Watch } from '../../client/watch.ts'
import { PROTOCOL, type StoredModels, type WorkerEvent } from '../messages.ts'
import { BrowserModel } from './browser-model.ts'
import type { DeviceRefusal } from './decide.ts'
import { DownloadSpeed } from './download-speed.ts'
import { Failures } from './failures.ts'
import { BROWSER_LIMITS, type BrowserLimits } from './limits.ts'
import { type Placement, Router } from './router.ts'
import { collected } from './stream-input.ts'
import { type WorkerLike, WorkerLink } from './worker-link.ts'

/** How far the download of a model is. */
export interface DownloadProgress {
  readonly model: string
  readonly version: string
  readonly loadedBytes: number
  readonly totalBytes: number
}

/** What a page may want to tell its visitor. None of it fails an answer. */
export type BrowserNotice =
  /** The browser stores no more: the model stays in memory, and is downloaded again on the next visit. */
  | { readonly type: 'not-kept'; readonly model: string; readonly reason: string }
  /** Stored weights were damaged. They are downloaded again. */
  | { readonly type: 'damaged'; readonly model: string }
  /** With `auto`: the model failed in this browser, and the edge answers. */
  | { readonly type: 'moved'; readonly model: string; readonly code: string; readonly reason: string }

export interface BrowserClientOptions extends ClientOptions {
  /**
   * Where models run. `auto` (default): where the answer is expected first; `browser`: always in this browser; `edge`: never.
   */
  readonly placement?: Placement | undefined
  /**
   * What computes in this browser: `wasm` (default), the processor, with the very answers of the edge; `webgpu`, the graphics
   * processor, for models with an artifact for ONNX Runtime.
   */
  readonly backend?: 'wasm' | 'webgpu' | undefined
  /** Bytes of weights that this browser keeps for later visits. Default: 256 MiB. */
  readonly quotaBytes?: number | undefined
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined
  readonly onNotice?: ((notice: BrowserNotice) => void) | undefined
  /** Address of the web worker's script. Default: the one of the release that the server runs. */
  readonly workerUrl?: string | URL | undefined
}

/** A client whose models run in the visitor's browser or at the edge. Chats, texts and rankings go to the edge. */
export interface BrowserClient extends VergeClient {
  /** Downloads a model and loads it, so that the first answer is quick. @throws VergeError */
  prepare(model: string, options?: Pick<CallOptions, 'signal' | 'version'>): Promise<void>
  /** What this browser keeps. @throws VergeError */
  storage(): Promise<StoredModels>
  /** Removes what this browser keeps of a model, or of all. What is loaded goes on. @throws VergeError */
  clear(model?: string): Promise<void>
  /** Ends the web worker, with all downloads and runs. */
  dispose(): void
}

/** What the client takes of the browser. */
export interface Environment {
  spawn(script: string): WorkerLike
  /** What is said where a worker does not start. */
  notStarted(script: string): string
  /** Address of the web worker's script. */
  script(base: string): Promise<string>
  device(): DeviceRefusal | undefined
  /** By the browser's own estimate. */
  bytesPerSecond(): number | undefined
  /** Resolves when a worker has ended; absent in browsers without locks. */
  readonly ended?: (lock: string, signal: AbortSignal) => Promise<void>
  randomId(): string
}

const TIMEOUT_MS = 60_000

/** @throws VergeError, TypeError if an option is not usable */
export function browserClient(
  options: BrowserClientOptions,
  environment: Environment,
  limits: BrowserLimits = BROWSER_LIMITS,
): BrowserClient {
  const { clock = systemClock, fetch = systemFetch, onNotice, quotaBytes, timeoutMs = TIMEOUT_MS } = options
  const transport = transportOf(options)
  const { base, credentials } = transport
  const edge = clientOver(transport)
  const models = new Map<string, BrowserModel>()
  const speed = new DownloadSpeed(() => clock.now())
  let script = options.workerUrl === undefined ? undefined : absolute(options.workerUrl)

  const link = new WorkerLink({
    spawn: async () => {
      script ??= await environment.script(base)
      return environment.spawn(script)
    },
    notStarted: () => environment.notStarted(script ?? base),
    start: {
      protocol: PROTOCOL,
      base,
      ...(typeof options.token === 'function' ? { asksForCredentials: true } : { key: options.key ?? options.token }),
      quotaBytes,
      backend: options.backend,
    },
    ...(environment.ended && { ended: environment.ended, lockName: () => `verge-worker/${environment.randomId()}` }),
    onEvent: (event) => told(event),
    onLost: () => {
      for (const model of models.values()) model.lost()
    },
  })

  function told(event: WorkerEvent): void {
    if (event.event === 'credential') {
      answerWanted(event)
      return
    }
    if (event.event !== 'progress') {
      const { event: type, ...rest } = event
      onNotice?.({ type, ...rest } as BrowserNotice)
      return
    }
    speed.add(event.networkBytes)
    const model = [...models.values()].find(({ planned }) => planned?.digest === event.digest)
    if (model?.planned === undefined) return
    model.progressed(event)
    const { loadedBytes, totalBytes } = event
    options.onProgress?.({ model: model.name, version: model.planned.version, loadedBytes, totalBytes })
  }

  /** The page's tokens are made here, once for the page and its worker. */
  function answerWanted({ refused, wanted }: Extract<WorkerEvent, { readonly event: 'credential' }>): void {
    const given = refused === undefined ? credentials.current() : credentials.renewed(refused)
    given
      .then(
        (credential) => link.call('credential', { wanted, credential }),
        (error: unknown) => link.call('credential', { wanted, failure: messageOf(error) }),
      )
      // The worker is gone, and so is the question.
      .catch(() => {})
  }

  const modelOf = (name: string, version: string | undefined): BrowserModel => {
    const id = JSON.stringify([name, version])
    const known = models.get(id)
    if (known !== undefined) return known
    const made = new BrowserModel({ name, version, link, plans: { base, credentials, fetch, clock }, clock, limits })
    models.set(id, made)
    return made
  }

  const failures = new Failures(limits, () => clock.now())
  const router = new Router({
    placement: options.placement ?? 'auto',
    edge,
    local: (localFetch) =>
      createClient({ url: base, fetch: localFetch, clock, timeoutMs, random: options.random ?? systemRandom }),
    model: modelOf,
    failures,
    device: environment.device,
    bytesPerSecond: () => speed.bytesPerSecond ?? environment.bytesPerSecond(),
    clock,
    timeoutMs,
    limits,
    onMoved: (model, error) => {
      const { code, message } = error instanceof VergeError ? error : { code: 'internal', message: String(error) }
      onNotice?.({ type: 'moved', model, code, reason: message })
    },
  })

  const run: VergeClient['run'] = async (model, input, call = {}) => {
    const isOnce = input instanceof ReadableStream && router.mayRunHere(call)
    const kept = isOnce
      ? await collected(input, new Watch(clock, call.timeoutMs ?? timeoutMs, call.signal), limits)
      : input
    return router.send(model, call, (client, also) => client.run(model, kept as RunInput, { ...call, ...also }))
  }
  return {
    models: edge.models,
    run,
    classify: run as VergeClient['classify'],
    detect: (model, picture: Media, call) => run(model, picture, call),
    detectSpeech: (model, sound: Media, call) => run(model, sound, call),
    embed: ((model: string, input: string, call = {}) =>
      router.send(model, call, (client, also) =>
        client.embed(model, input, { ...call, ...also }),
      )) as VergeClient['embed'],
    infer: (model, inputs, call = {}) =>
      router.send(model, call, (client, also) => client.infer(model, inputs, { ...call, ...also })),
    rerank: (model, query, documents, call = {}) =>
      edge.rerank(model, query, documents, { ...call, ...router.atEdge(call) }),
    chat: (model, messages, call = {}) => edge.chat(model, messages, { ...call, ...router.atEdge(call) }),
    complete: (model, prompt, call = {}) => edge.complete(model, prompt, { ...call, ...router.atEdge(call) }),
    prepare: async (name, { signal, version } = {}) => {
      await modelOf(name, version).load(signal)
      failures.forget(name)
    },
    storage: () => link.call('storage', null),
    clear: async (name) => {
      await link.call('clear', { model: name })
      for (const model of models.values()) model.cleared()
    },
    dispose: () => link.dispose(),
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function absolute(workerUrl: string | URL): string {
  if (URL.canParse(String(workerUrl))) return String(workerUrl)
  throw new VergeError(
    'invalid_request',
    `The client's "workerUrl" must be absolute, such as "https://verge.example.com/worker.js".`,
  )
}
