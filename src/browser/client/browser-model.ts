import { VergeError } from '../../client/error.ts'
import type { ClientClock } from '../../client/runtime.ts'
import type { LoadProgress, LocalAnswer, LocalRequest } from '../messages.ts'
import { afterLoading } from './after-loading.ts'
import { isWithin } from './age.ts'
import { isOfServer } from './failures.ts'
import type { BrowserLimits } from './limits.ts'
import { fetchPlan, type Plan, type PlansOptions } from './plans.ts'
import { SharedWork } from './shared-work.ts'
import { Speed } from './speed.ts'
import type { WorkerLink } from './worker-link.ts'

export interface BrowserModelOptions {
  readonly name: string
  /** Where the page asks for a version other than the live one. */
  readonly version: string | undefined
  readonly link: Pick<WorkerLink, 'call' | 'warm'>
  readonly plans: PlansOptions
  readonly clock: ClientClock
  readonly limits: BrowserLimits
}

/** All of a request but its body, and the version that is to be decided. */
type RequestHead = Omit<LocalRequest, 'digest' | 'body'>

type MakeBody = () => Promise<LocalRequest['body']>

interface Held {
  readonly plan: Plan
  /** When the server last confirmed it. */
  readonly at: number
}

/** A model in this page: which version is live, how much of it is here, and how fast it answers here and at the edge. */
export class BrowserModel {
  readonly name: string
  readonly edge: Speed
  readonly browser: Speed
  readonly #options: BrowserModelOptions
  readonly #refreshed: SharedWork<Plan>
  readonly #inspected: SharedWork<Plan>
  readonly #loaded: SharedWork<Plan>
  #held: Held | undefined
  /** Digests of the versions that the worker knows, and of the one that is loaded. */
  #known = new Set<string>()
  #loadedDigest: string | undefined
  #missing: { readonly digest: string; readonly bytes: number } | undefined
  #queued = 0
  /** Nothing has run since the last load. */
  #cold = true

  constructor(options: BrowserModelOptions) {
    this.#options = options
    this.name = options.name
    this.edge = new Speed(options.limits.samples)
    this.browser = new Speed(options.limits.samples)
    this.#refreshed = new SharedWork((signal) => this.#refresh(signal))
    this.#inspected = new SharedWork((signal) => this.#inspect(signal))
    this.#loaded = new SharedWork((signal) => this.#load(signal))
  }

  get queued(): number {
    return this.#queued
  }

  get weights(): 'absent' | 'loading' | 'loaded' {
    if (this.#held !== undefined && this.#loadedDigest === this.#held.plan.digest) return 'loaded'
    return this.#loaded.isRunning ? 'loading' : 'absent'
  }

  /** Bytes of the live version that are still to be downloaded, as far as that is known. */
  get missingBytes(): number | undefined {
    return this.#missing !== undefined && this.#missing.digest === this.#held?.plan.digest
      ? this.#missing.bytes
      : undefined
  }

  /** Of the version that the server last called live. */
  get planned(): Plan | undefined {
    return this.#held?.plan
  }

  /** Tells how far a download is. */
  progressed({ digest, loadedBytes, totalBytes }: LoadProgress): void {
    this.#missing = { digest, bytes: totalBytes - loadedBytes }
  }

  /** What was stored may have been removed. */
  cleared(): void {
    this.#missing = undefined
  }

  /** The worker is gone. */
  lost(): void {
    this.#known = new Set()
    this.#loadedDigest = undefined
    this.#missing = undefined
  }

  /** The edge answered with a version: if it is another than the one here, a newer one may have been released. */
  answeredBy(model: string | undefined): void {
    const { clock, limits, version } = this.#options
    if (version !== undefined || this.#held === undefined || model === undefined) return
    if (isWithin(limits.planRestMs, this.#held.at, clock.now())) return
    if (model !== `${this.#held.plan.model}@${this.#held.plan.version}`) this.#refreshSoon()
  }

  /**
   * The plan of the live version: one that the server confirmed a short while ago, or confirms now.
   * @throws VergeError
   */
  async plan(signal?: AbortSignal): Promise<Plan> {
    const { clock, limits } = this.#options
    if (this.#held === undefined) return this.#refreshed.join(signal)
    const { at, plan } = this.#held
    const now = clock.now()
    if (isWithin(limits.planFreshMs, at, now)) return plan
    if (isWithin(limits.planStaleMs, at, now)) {
      this.#refreshSoon()
      return plan
    }
    try {
      return await this.#refreshed.join(signal)
    } catch (error) {
      // Without a network, or while the server fails, the page goes on with what it has.
      if (isOfServer(error)) return plan
      throw error
    }
  }

  /** Finds out how much there is to download. */
  inspect(signal?: AbortSignal): Promise<Plan> {
    return this.#inspected.join(signal)
  }

  /** Downloads and loads the live version. @returns its plan @throws VergeError */
  async load(signal?: AbortSignal): Promise<Plan> {
    // The script is on its way while the server says what to load.
    this.#options.link.warm()
    const plan = await this.plan(signal)
    return this.#loadedDigest === plan.digest ? plan : this.#loaded.join(signal)
  }

  /**
   * Runs a request on the live version, here.
   * @param body makes the memory of one, which is given away
   * @throws VergeError
   */
  async ask(request: RequestHead, body: MakeBody, signal?: AbortSignal): Promise<LocalAnswer> {
    const { clock } = this.#options
    const asked = clock.now()
    const waits = this.weights !== 'loaded'
    this.#queued++
    try {
      const { digest } = await this.load(signal)
      const waitedMs = clock.now() - asked
      try {
        const answer = await this.#run({ ...request, digest, body: await body() }, signal)
        return waits ? afterLoading(answer, waitedMs) : answer
      } catch (error) {
        if (!(await this.#isReplaced(digest, error, signal))) throw error
        const next = await this.load(signal)
        return await this.#run({ ...request, digest: next.digest, body: await body() }, signal)
      }
    } finally {
      this.#queued--
    }
  }

  async #run(request: LocalRequest, signal: AbortSignal | undefined): Promise<LocalAnswer> {
    const { clock, link } = this.#options
    const transfer = typeof request.body === 'string' ? [] : [request.body.buffer]
    const began = clock.now()
    const answer = await link.call('ask', request, { signal, transfer })
    this.#measure(clock.now() - began)
    return answer
  }

  /** Whether it failed because another version is live by now: the server gives out no more bytes of the one here. */
  async #isReplaced(digest: string, error: unknown, signal: AbortSignal | undefined): Promise<boolean> {
    if (!(error instanceof VergeError) || error.code !== 'not_found') return false
    const plan = await this.#refreshed.join(signal).catch(() => undefined)
    return plan !== undefined && plan.digest !== digest
  }

  /** Those that waited for others say how long the others took, and count only where nothing else is known. */
  #measure(ms: number): void {
    const { clock, limits } = this.#options
    const first = this.#cold
    this.#cold = false
    const counts = this.#queued === 1 || this.browser.ms === undefined
    if (counts && (!first || ms > limits.firstRunMs)) this.browser.add(ms, clock.now())
  }

  async #refresh(signal: AbortSignal): Promise<Plan> {
    const { clock, name, plans, version } = this.#options
    const before = this.#held?.plan
    let plan = await fetchPlan(plans, name, version, signal)
    if (before !== undefined && plan.digest !== before.digest && version === undefined && !plans.credentials.isUsed) {
      // Several versions may be live: the one that is here stays as long as it is one of them.
      plan = await fetchPlan(plans, name, before.version, signal).catch(() => plan)
      if (plan.digest !== before.digest && plan.version === before.version)
        plan = await fetchPlan(plans, name, version, signal)
    }
    this.#held = { plan, at: clock.now() }
    return plan
  }

  #refreshSoon(): void {
    if (!this.#refreshed.isRunning) this.#refreshed.join().catch(() => {})
  }

  async #inspect(signal: AbortSignal): Promise<Plan> {
    const { link } = this.#options
    const plan = await this.plan(signal)
    if (!this.#known.has(plan.digest)) {
      const known = this.#known
      await link.call('know', { plan: plan.answer, pinned: this.#options.version !== undefined }, { signal })
      known.add(plan.digest)
    }
    if (this.missingBytes !== undefined) return plan
    const { missingBytes } = await link.call('missing', { digest: plan.digest }, { signal })
    this.#missing = { digest: plan.digest, bytes: missingBytes }
    return plan
  }

  async #load(signal: AbortSignal): Promise<Plan> {
    const plan = await this.#inspect(signal)
    try {
      await this.#options.link.call('load', { digest: plan.digest }, { signal })
    } catch (error) {
      if (await this.#isReplaced(plan.digest, error, signal)) return this.#load(signal)
      throw error
    }
    this.#loadedDigest = plan.digest
    this.#cold = true
    this.#missing = { digest: plan.digest, bytes: 0 }
    return plan
  }
}
