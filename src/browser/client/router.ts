import { VergeError } from '../../client/error.ts'
import type { CallOptions, FetchLike, VergeClient } from '../../client/index.ts'
import type { ClientClock } from '../../client/runtime.ts'
import type { AnswerInfo } from '../../client/transport.ts'
import { isWithin } from './age.ts'
import type { BrowserModel } from './browser-model.ts'
import { type Decision, type DeviceRefusal, decide, type PlaceReason } from './decide.ts'
import { type Failures, isOfDevice, isOfServer } from './failures.ts'
import type { BrowserLimits } from './limits.ts'
import { localFetch } from './local-fetch.ts'

export type Placement = 'auto' | 'browser' | 'edge'

export interface RouterOptions {
  readonly placement: Placement
  readonly edge: VergeClient
  /** A client whose requests end in this browser. */
  readonly local: (fetch: FetchLike) => VergeClient
  readonly model: (name: string, version: string | undefined) => BrowserModel
  readonly failures: Failures
  readonly device: () => DeviceRefusal | undefined
  readonly bytesPerSecond: () => number | undefined
  readonly clock: ClientClock
  readonly timeoutMs: number
  readonly limits: BrowserLimits
  /** A model failed here, and the edge answers in its place. */
  readonly onMoved: (model: string, error: unknown) => void
}

/** Why an answer comes from where it comes. */
interface Because {
  readonly reason: PlaceReason
  readonly failure?: string | undefined
}

/** One method of the client with its arguments, for whichever client is to do it. */
export type Send<T> = (client: VergeClient, options: CallOptions) => Promise<T>

/** Decides for each request where it runs, and moves it to the other place where that one fails. */
export class Router {
  readonly #options: RouterOptions
  #unreachableAt: number | undefined

  constructor(options: RouterOptions) {
    this.#options = options
  }

  /** @throws VergeError */
  async send<T>(name: string, options: CallOptions, send: Send<T>): Promise<T> {
    const place = options.place ?? this.#options.placement
    if (place === 'edge' || place === 'origin') return this.#atEdge(options, send, { reason: 'asked-for' })
    const model = this.#options.model(name, options.version)
    if (place === 'browser') return this.#here(model, options, send, 'asked-for')
    return this.#auto(model, options, send)
  }

  /** Whether a request may run here: what can be sent once must be kept then. */
  mayRunHere({ place }: CallOptions): boolean {
    const chosen = place ?? this.#options.placement
    return chosen === 'browser' || chosen === 'auto'
  }

  /** What the edge's answers to other methods say. */
  atEdge(options: CallOptions): CallOptions {
    return this.#informed(options, { place: 'edge', reason: 'asked-for' })
  }

  async #auto<T>(model: BrowserModel, options: CallOptions, send: Send<T>): Promise<T> {
    const decision = this.#decide(model)
    const { place, reason } = decision
    const failure = reason === 'failed-here' ? this.#options.failures.of(model.name) : undefined
    const began = this.#options.clock.now()
    if (place === 'browser') {
      try {
        const timeoutMs = this.#patienceMs(model, options)
        return await this.#here(model, { ...options, timeoutMs }, send, reason)
      } catch (error) {
        if (options.signal?.aborted || !isOfDevice(error)) throw error
        this.#options.onMoved(model.name, error)
        const because = { reason: 'failed-here', failure: codeOf(error) } as const
        return this.#atEdge(this.#remaining(options, began), send, because, model)
      }
    }
    try {
      return await this.#atEdge(options, send, { reason, failure }, model)
    } catch (error) {
      if (options.signal?.aborted || !isOfServer(error) || model.weights !== 'loaded') throw error
      // What failed at the edge is what the caller hears of, where the model fails here too.
      return this.#here(model, this.#remaining(options, began), send, 'edge-unreachable').catch(() => {
        throw error
      })
    } finally {
      if (decision.download) this.#downloadLater(model)
    }
  }

  /** Milliseconds that an answer from here may take, so that time is left for the edge. */
  #patienceMs(model: BrowserModel, options: CallOptions): number {
    const half = (options.timeoutMs ?? this.#options.timeoutMs) / 2
    const { ms } = model.edge
    // A download that was expected to be quicker than the edge may stall.
    return model.weights === 'loaded' || ms === undefined ? half : Math.min(half, 2 * ms)
  }

  #decide(model: BrowserModel): Decision {
    const { bytesPerSecond, clock, device, failures, limits } = this.#options
    const now = clock.now()
    const { at, ms } = model.browser
    // Learns of a release, without waiting for it.
    if (model.weights !== 'absent') model.plan().catch(() => {})
    return decide(
      {
        device: device(),
        failure: failures.of(model.name),
        weights: model.weights,
        missingBytes: model.missingBytes,
        bytesPerSecond: bytesPerSecond(),
        edgeMs: model.edge.ms,
        browserMs: ms,
        browserAgeMs: at === undefined ? undefined : Math.abs(now - at),
        queued: model.queued,
        edgeUnreachable: this.#unreachableAt !== undefined && isWithin(limits.edgeRestMs, this.#unreachableAt, now),
      },
      limits,
    )
  }

  /** After the answer, so that the download does not delay it. */
  #downloadLater(model: BrowserModel): void {
    const { failures } = this.#options
    const download = async (): Promise<void> => {
      await model.inspect()
      if (this.#decide(model).download) await model.load()
    }
    download().catch((error: unknown) => failures.note(model.name, error))
  }

  async #here<T>(model: BrowserModel, options: CallOptions, send: Send<T>, reason: PlaceReason): Promise<T> {
    const { failures, local } = this.#options
    const { place: _, version: __, ...rest } = options
    const wasLoaded = model.weights === 'loaded'
    try {
      const answer = await send(
        local(localFetch(model)),
        this.#informed({ ...rest, retries: 0 }, { place: 'browser', reason }),
      )
      failures.forget(model.name)
      return answer
    } catch (error) {
      // That weights took long to come says nothing of the device; that a run did does.
      const isWeights = !wasLoaded && error instanceof VergeError && error.code === 'deadline_exceeded'
      if (!options.signal?.aborted && !isWeights) failures.note(model.name, error)
      throw error
    }
  }

  async #atEdge<T>(options: CallOptions, send: Send<T>, because: Because, model?: BrowserModel): Promise<T> {
    const { clock, edge } = this.#options
    const { place, ...rest } = options
    const chosen = place === 'edge' || place === 'origin' ? { place } : {}
    const began = clock.now()
    const informed = this.#informed({ ...rest, ...chosen }, { place: 'edge', ...because }, (info) => {
      this.#unreachableAt = undefined
      model?.edge.add(clock.now() - began, clock.now())
      model?.answeredBy(info.model)
    })
    try {
      return await send(edge, informed)
    } catch (error) {
      if (error instanceof VergeError && error.code === 'network_error') this.#unreachableAt = clock.now()
      throw error
    }
  }

  /** Adds to what an answer's headers say where it was computed, and how long that took as the page sees it. */
  #informed(
    options: CallOptions,
    { place, ...because }: Because & { readonly place: 'browser' | 'edge' },
    also?: (info: AnswerInfo) => void,
  ): CallOptions {
    const began = this.#options.clock.now()
    return {
      ...options,
      onAnswer: (info) => {
        also?.(info)
        const { artifact, engine, origin } = partsOf(info.placement)
        const ms = this.#options.clock.now() - began
        options.onAnswer?.({ ...info, place: origin ? 'origin' : place, ...because, engine, artifact, ms })
      },
    }
  }

  #remaining(options: CallOptions, began: number): CallOptions {
    const limit = options.timeoutMs ?? this.#options.timeoutMs
    return { ...options, timeoutMs: Math.max(1, limit - (this.#options.clock.now() - began)) }
  }
}

function codeOf(error: unknown): string {
  return error instanceof VergeError ? error.code : 'internal'
}

function partsOf(placement = '') {
  return {
    origin: placement.startsWith('origin'),
    engine: /;engine=([a-z0-9-]+)/.exec(placement)?.[1],
    artifact: /;artifact="([^"]*)"/.exec(placement)?.[1],
  }
}
