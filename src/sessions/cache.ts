import { abortError, isVergeError, VergeError } from '../core/errors.ts'
import type { Clock, Logger, RequestContext } from '../core/runtime.ts'
import type { Tensors } from '../core/tensors.ts'
import type { RunOptions, Session } from '../engine/engine.ts'
import { type Flight, SingleFlight } from './single-flight.ts'

export interface SessionCacheOptions {
  /** Of all sessions together. */
  readonly budgetBytes: number
  /** Of all sessions, and what one run takes beside them; unbounded if left out. */
  readonly workingBytes?: number
  readonly clock: Clock
  readonly logger: Logger
  readonly loadStaleMs: number
  readonly loadPollMs: number
  /** A load that takes longer is given up. */
  readonly loadDeadlineMs: number
  /** A use that lasts longer belongs to a request that was killed. */
  readonly holdLeaseMs: number
  /** How long a run that found no room waits for sessions in use, before it is tried beside them. */
  readonly roomWaitMs: number
}

/** A session to be had: its identity, what it costs, and how to load it. */
export interface SessionRequest {
  /** Digest of the artifact. */
  readonly key: string
  readonly bytes: number
  /** What its runs take beside the session. */
  readonly runBytes?: number
  /** A pinned session is not evicted, except where the heap has to be rebuilt because of its holes. */
  readonly pinned: boolean
  load(context: { readonly signal: AbortSignal; onProgress(): void }): Promise<Session>
}

export type Start = 'warm' | 'cold'

/** What one run brought, and how long its parts took in milliseconds. */
export interface SessionRun {
  readonly outputs: Tensors
  readonly start: Start
  readonly timings: { readonly loadMs: number; readonly queueMs: number; readonly runMs: number }
}

/** What is known of a session's use by who uses it. */
export interface SessionUse {
  readonly start: Start
  /** Says that the user is still there: a use that is not renewed within its lease counts as dead. */
  renew(): void
  /**
   * One of several pieces of work within a use. Where the engine lost the session or has no room, room is made, and the
   * work is done again, perhaps with another session of the same artifact.
   * @param runBytes of memory that it takes beside the session
   */
  attempt<T>(work: (session: Session) => Promise<T>, runBytes: number): Promise<T>
}

/** One user's hold on a session; which one may change when room has to be made. */
interface Hold {
  readonly key: symbol
  entry: Entry | undefined
  start: Start
}

/** A run or a load that found no room: until it is done, nobody else loads anything. */
interface Claim {
  readonly key: string
  lastHeartbeat: number
}

interface Reservation {
  bytes: number
  lastHeartbeat: number
}

interface Entry {
  readonly session: Session
  readonly bytes: number
  readonly pinned: boolean
  lastUsed: number
  /** Chosen to make room: no new user gets it, and it goes when the last one is done. */
  leaving: boolean
  /** Users, each with the time at which it counts as dead. */
  readonly holders: Map<symbol, number>
}

const MOST_RELOADS = 2
/** First what is idle goes; then everything, so that the engine can rebuild its heap. */
const MOST_SQUEEZES = 2

/**
 * Loaded sessions under a byte budget, the least recently used going first. Sessions in use are never pulled away;
 * one load serves everyone who waits for it; sessions that their engine has lost are loaded again.
 */
export class SessionCache {
  readonly #entries = new Map<string, Entry>()
  /** Room promised to loads under way, by key. */
  readonly #reserved = new Map<string, Reservation>()
  readonly #loads: SingleFlight<Entry>
  readonly #options: SessionCacheOptions
  #claim: Claim | undefined
  #uses = 0

  constructor(options: SessionCacheOptions) {
    this.#options = options
    this.#loads = new SingleFlight({
      clock: options.clock,
      staleMs: options.loadStaleMs,
      pollMs: options.loadPollMs,
    })
  }

  has(key: string): boolean {
    const entry = this.#entries.get(key)
    return entry?.session.alive === true && !entry.leaving
  }

  /** Bytes of all loaded sessions. */
  get bytes(): number {
    let total = 0
    for (const entry of this.#entries.values()) total += entry.bytes
    return total
  }

  get size(): number {
    return this.#entries.size
  }

  /**
   * Runs `work` with a loaded session, loading it first where needed. Where the session was lost to a restart of its
   * engine between loading and use, it is loaded again, twice at most: what is queued behind an input that ends its
   * engine loses its session with it, and with batches once more. Where the engine has no room, other sessions are
   * evicted and the work is done again.
   * @throws model_too_large, engine_full if there was no room after all, what the load and the work throw, cancelled,
   * deadline_exceeded
   */
  async use<T>(
    request: SessionRequest,
    context: RequestContext,
    work: (session: Session, use: SessionUse) => Promise<T>,
  ): Promise<T> {
    const hold: Hold = { key: Symbol(context.requestId), entry: undefined, start: 'warm' }
    const use = (): SessionUse => ({
      start: hold.start,
      renew: () => this.#renew(hold),
      attempt: (step, runBytes) => this.#attempt(hold, { ...request, runBytes }, context, step),
    })
    try {
      return await this.#attempt(hold, request, context, (session) => work(session, use()))
    } finally {
      this.#release(hold)
    }
  }

  /** As `use`, for one run. Its timings are by the isolate's clock. @throws what `use` throws */
  run(
    request: SessionRequest,
    context: RequestContext & Pick<RunOptions, 'runsBefore'>,
    inputs: Tensors,
    outputs: readonly string[] | undefined,
  ): Promise<SessionRun> {
    const { clock } = this.#options
    const begun = clock.now()
    return this.use(request, context, async (session, { start }) => {
      const loaded = clock.now()
      let turned = loaded
      const result = await session.run(inputs, {
        ...(outputs && { outputs }),
        signal: context.signal,
        ...(context.runsBefore !== undefined && { runsBefore: context.runsBefore }),
        onTurn: () => {
          turned = clock.now()
        },
      })
      const timings = { loadMs: loaded - begun, queueMs: turned - loaded, runMs: clock.now() - turned }
      return { outputs: result, start, timings }
    })
  }

  async #attempt<T>(
    hold: Hold,
    request: SessionRequest,
    context: RequestContext,
    work: (session: Session) => Promise<T>,
  ): Promise<T> {
    let claim: Claim | undefined
    let reloads = 0
    let squeezes = 0
    try {
      for (;;) {
        try {
          const { session } = await this.#take(hold, request, context)
          if (claim !== undefined) claim.lastHeartbeat = this.#options.clock.now()
          return await work(session)
        } catch (error) {
          if (isVergeError(error, 'session_lost') && reloads < MOST_RELOADS) {
            reloads++
            this.#options.logger.warn('session_reloaded', { key: request.key })
            this.#release(hold)
          } else if (isVergeError(error, 'engine_full') && squeezes < MOST_SQUEEZES) {
            squeezes++
            this.#options.logger.warn('session_squeeze', { key: request.key, squeezes, sessions: this.size })
            // Given up first: two that waited for each other's sessions would wait in vain.
            this.#release(hold)
            claim ??= await this.#claimRoom(request.key, context)
            if (squeezes < MOST_SQUEEZES) this.#evictIdle(request.key, Number.POSITIVE_INFINITY)
            else await this.#evictAll(claim, context)
          } else throw error
        }
      }
    } finally {
      if (claim !== undefined && this.#claim === claim) this.#claim = undefined
    }
  }

  /** Holds a session that lives, with room for the run where idle sessions can make it. */
  async #take(hold: Hold, request: SessionRequest, context: RequestContext): Promise<Entry> {
    if (hold.entry === undefined || !hold.entry.session.alive) {
      this.#release(hold)
      const { entry, start } = await this.#acquire(request, context)
      hold.entry = entry
      // A use that began cold stays so, however often its session is loaded again.
      if (start === 'cold') hold.start = start
    }
    const { entry } = hold
    this.#renew(hold)
    entry.lastUsed = ++this.#uses
    const { workingBytes = Number.POSITIVE_INFINITY } = this.#options
    const missing = this.bytes + this.#reservedBytes() + (request.runBytes ?? 0) - workingBytes
    if (missing > 0) this.#evictIdle(request.key, missing)
    return entry
  }

  #renew({ entry, key }: Hold): void {
    entry?.holders.set(key, this.#options.clock.now() + this.#options.holdLeaseMs)
  }

  #release(hold: Hold): void {
    hold.entry?.holders.delete(hold.key)
    hold.entry = undefined
    this.#sweep()
  }

  /** Evicts sessions that nobody uses, the least recently used first, but neither pinned ones nor that of `key`. */
  #evictIdle(key: string, missing: number): void {
    const idle = [...this.#entries]
      .filter(([other, entry]) => other !== key && !entry.pinned && entry.holders.size === 0)
      .map(([, entry]) => entry)
      .sort((a, b) => a.lastUsed - b.lastUsed)
    let freed = 0
    for (const entry of idle) {
      if (freed >= missing) break
      entry.leaving = true
      freed += entry.bytes
    }
    this.#sweep()
  }

  /** Waits until no other claim stands. Its owner may have been killed: one without a sign of life does not count. */
  async #claimRoom(key: string, { signal }: RequestContext): Promise<Claim> {
    const { clock, loadPollMs } = this.#options
    while (this.#claimed) await clock.sleep(loadPollMs, signal)
    const claim: Claim = { key, lastHeartbeat: clock.now() }
    this.#claim = claim
    return claim
  }

  get #claimed(): Claim | undefined {
    const { clock, loadStaleMs } = this.#options
    return this.#claim !== undefined && clock.now() - this.#claim.lastHeartbeat <= loadStaleMs ? this.#claim : undefined
  }

  /**
   * Evicts every session, pinned ones and that of the claim itself included: only an empty engine rebuilds its heap, and
   * one that stayed full of holes would refuse others for the isolate's life. Sessions that are in use for longer than
   * `roomWaitMs` stay.
   */
  async #evictAll(claim: Claim, { signal }: RequestContext): Promise<void> {
    const { clock, loadPollMs, roomWaitMs } = this.#options
    const end = clock.now() + roomWaitMs
    for (;;) {
      for (const entry of this.#entries.values()) entry.leaving = true
      this.#sweep()
      if (this.#entries.size === 0 && this.#reservedBytes() === 0) return
      if (clock.now() >= end) break
      await clock.sleep(loadPollMs, signal)
      claim.lastHeartbeat = clock.now()
    }
    for (const entry of this.#entries.values()) entry.leaving = false
  }

  /** The caller must hold the entry before it awaits anything. */
  async #acquire(request: SessionRequest, context: RequestContext): Promise<{ entry: Entry; start: Start }> {
    const { clock, loadPollMs } = this.#options
    for (;;) {
      this.#sweep()
      const loaded = this.#entries.get(request.key)
      if (loaded && !loaded.leaving) return { entry: loaded, start: 'warm' }
      if (loaded) {
        await clock.sleep(loadPollMs, context.signal)
        continue
      }
      const entry = await this.#loads.run(request.key, (flight) => this.#load(request, flight), context)
      if (this.#entries.get(request.key) === entry && !entry.leaving) return { entry, start: 'cold' }
    }
  }

  async #load(request: SessionRequest, flight: Flight): Promise<Entry> {
    const deadline = new AbortController()
    const cancelDeadline = this.#options.clock.after(this.#options.loadDeadlineMs, () =>
      deadline.abort(
        new VergeError('deadline_exceeded', 'The model took too long to load; it is being tried again on request.', {
          retryAfter: 5,
        }),
      ),
    )
    const reservation: Reservation = { bytes: 0, lastHeartbeat: this.#options.clock.now() }
    this.#reserved.set(request.key, reservation)
    const heartbeat = (): void => {
      flight.heartbeat()
      reservation.lastHeartbeat = this.#options.clock.now()
    }
    try {
      await this.#makeRoom(request, reservation, heartbeat, deadline.signal)
      const session = await request.load({ signal: deadline.signal, onProgress: heartbeat })
      const entry: Entry = {
        session,
        bytes: Math.max(session.bytes, request.bytes),
        pinned: request.pinned,
        lastUsed: ++this.#uses,
        leaving: false,
        holders: new Map(),
      }
      this.#entries.set(request.key, entry)
      return entry
    } finally {
      cancelDeadline()
      if (this.#reserved.get(request.key) === reservation) this.#reserved.delete(request.key)
    }
  }

  /** Reserves room, sending the least recently used sessions away until it is there. @throws model_too_large */
  async #makeRoom(
    request: SessionRequest,
    reservation: Reservation,
    heartbeat: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { budgetBytes } = this.#options
    const pinned = [...this.#entries.values()].reduce((sum, entry) => sum + (entry.pinned ? entry.bytes : 0), 0)
    if (pinned + request.bytes > budgetBytes) {
      throw new VergeError(
        'model_too_large',
        `The model needs about ${request.bytes} bytes of memory; ${budgetBytes - pinned} are left for models here. Use a smaller or more strongly quantized artifact.`,
        { details: { bytes_needed: request.bytes, bytes_available: budgetBytes - pinned } },
      )
    }
    await this.#until(
      () => {
        const claim = this.#claimed
        if (claim !== undefined && claim.key !== request.key) return false
        const missing = this.bytes + this.#reservedBytes() + request.bytes - budgetBytes
        if (missing <= 0) {
          reservation.bytes = request.bytes
          return true
        }
        this.#chooseVictims(missing)
        return false
      },
      heartbeat,
      signal,
    )
  }

  #chooseVictims(missing: number): void {
    let leaving = 0
    for (const entry of this.#entries.values()) if (entry.leaving) leaving += entry.bytes
    const candidates = [...this.#entries.values()]
      .filter((entry) => !entry.pinned && !entry.leaving)
      .sort((a, b) => a.lastUsed - b.lastUsed)
    for (const entry of candidates) {
      if (leaving >= missing) return
      entry.leaving = true
      leaving += entry.bytes
    }
  }

  async #until(condition: () => boolean, heartbeat: () => void, signal: AbortSignal): Promise<void> {
    for (;;) {
      if (signal.aborted) throw abortError(signal)
      this.#sweep()
      if (condition()) return
      this.#sweep()
      if (condition()) return
      await this.#options.clock.sleep(this.#options.loadPollMs, signal)
      heartbeat()
    }
  }

  #reservedBytes(): number {
    const now = this.#options.clock.now()
    let total = 0
    for (const [key, reservation] of this.#reserved) {
      if (now - reservation.lastHeartbeat > this.#options.loadStaleMs) this.#reserved.delete(key)
      else total += reservation.bytes
    }
    return total
  }

  /** Drops sessions that their engine lost, and those that are leaving and no longer in use. */
  #sweep(): void {
    const now = this.#options.clock.now()
    for (const [key, entry] of this.#entries) {
      for (const [holder, expires] of entry.holders) if (now > expires) entry.holders.delete(holder)
      if (entry.session.alive && (!entry.leaving || entry.holders.size > 0)) continue
      this.#entries.delete(key)
      if (entry.session.alive) entry.session.dispose()
      this.#options.logger.info('session_dropped', { key, bytes: entry.bytes, lost: !entry.leaving })
    }
  }
}
