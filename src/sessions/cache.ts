import { abortError, isVergeError, VergeError } from '../core/errors.ts'
import type { CallContext, Clock, Logger } from '../core/runtime.ts'
import type { Session } from '../engine/engine.ts'
import { type Flight, Flights } from './flights.ts'

export interface SessionCacheOptions {
  readonly budgetBytes: number
  readonly clock: Clock
  readonly logger: Logger
  readonly loadStaleMs: number
  readonly loadPollMs: number
  /** A load that takes longer is given up. */
  readonly loadDeadlineMs: number
  /** A use that lasts longer belongs to a request that was killed. */
  readonly holdLeaseMs: number
}

/** A session to be had: its identity, what it costs, and how to load it. */
export interface SessionRequest {
  /** Digest of the artifact. */
  readonly key: string
  readonly bytes: number
  /** A pinned session is never evicted. */
  readonly pinned: boolean
  load(context: { readonly signal: AbortSignal; onProgress(): void }): Promise<Session>
}

export type Start = 'warm' | 'cold'

/** What is known of a session's use by who uses it. */
export interface SessionUse {
  readonly start: Start
  /** Says that the user is still there: a use that is not renewed within its lease counts as dead. */
  renew(): void
}

interface Reservation {
  bytes: number
  lastBeat: number
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

/**
 * Loaded sessions under a byte budget, the least recently used going first. Sessions in use are never pulled away;
 * one load serves everyone who waits for it; sessions that their engine has lost are loaded again.
 */
export class SessionCache {
  readonly #entries = new Map<string, Entry>()
  /** Room promised to loads under way, by key. */
  readonly #reserved = new Map<string, Reservation>()
  readonly #flights: Flights<Entry>
  readonly #options: SessionCacheOptions
  #uses = 0

  constructor(options: SessionCacheOptions) {
    this.#options = options
    this.#flights = new Flights({
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
   * engine loses its session with it, and with batches once more.
   * @throws model_too_large, what the load and the work throw, cancelled, deadline_exceeded
   */
  async use<T>(
    request: SessionRequest,
    context: CallContext,
    work: (session: Session, use: SessionUse) => Promise<T>,
  ): Promise<T> {
    for (let reloads = 0; ; reloads++) {
      try {
        return await this.#useOnce(request, context, work)
      } catch (error) {
        if (!isVergeError(error, 'session_lost') || reloads === MOST_RELOADS) throw error
        this.#options.logger.warn('session_reloaded', { key: request.key })
      }
    }
  }

  async #useOnce<T>(
    request: SessionRequest,
    context: CallContext,
    work: (session: Session, use: SessionUse) => Promise<T>,
  ): Promise<T> {
    const { entry, start } = await this.#acquire(request, context)
    const holder = Symbol(context.requestId)
    const renew = (): void => {
      entry.holders.set(holder, this.#options.clock.now() + this.#options.holdLeaseMs)
    }
    renew()
    entry.lastUsed = ++this.#uses
    try {
      return await work(entry.session, { start, renew })
    } finally {
      entry.holders.delete(holder)
      this.#sweep()
    }
  }

  /** The caller must hold the entry before it awaits anything. */
  async #acquire(request: SessionRequest, context: CallContext): Promise<{ entry: Entry; start: Start }> {
    const { clock, loadPollMs } = this.#options
    for (;;) {
      this.#sweep()
      const loaded = this.#entries.get(request.key)
      if (loaded && !loaded.leaving) return { entry: loaded, start: 'warm' }
      if (loaded) {
        await clock.sleep(loadPollMs, context.signal)
        continue
      }
      const entry = await this.#flights.join(request.key, (flight) => this.#load(request, flight), context)
      if (this.#entries.get(request.key) === entry && !entry.leaving) return { entry, start: 'cold' }
    }
  }

  async #load(request: SessionRequest, flight: Flight): Promise<Entry> {
    const deadline = new AbortController()
    const timer = setTimeout(
      () =>
        deadline.abort(
          new VergeError('deadline_exceeded', 'The model took too long to load; it is being tried again on request.', {
            retryAfter: 5,
          }),
        ),
      this.#options.loadDeadlineMs,
    )
    const reservation: Reservation = { bytes: 0, lastBeat: this.#options.clock.now() }
    this.#reserved.set(request.key, reservation)
    const beat = (): void => {
      flight.beat()
      reservation.lastBeat = this.#options.clock.now()
    }
    try {
      await this.#makeRoom(request, reservation, beat, deadline.signal)
      const session = await this.#loadOrEvictAll(request, beat, deadline.signal)
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
      clearTimeout(timer)
      if (this.#reserved.get(request.key) === reservation) this.#reserved.delete(request.key)
    }
  }

  /** The budget is an estimate and a heap has holes: where the engine has no room after all, everything else goes. */
  async #loadOrEvictAll(request: SessionRequest, beat: () => void, signal: AbortSignal): Promise<Session> {
    try {
      return await request.load({ signal, onProgress: beat })
    } catch (error) {
      const others = [...this.#entries.values()].filter((entry) => !entry.pinned)
      if (!isVergeError(error, 'model_too_large') || others.length === 0) throw error
      this.#options.logger.warn('session_evict_all', { key: request.key })
      for (const entry of others) entry.leaving = true
      await this.#until(() => others.every((entry) => !this.#isListed(entry)), beat, signal)
      return request.load({ signal, onProgress: beat })
    }
  }

  /** Reserves room, sending the least recently used sessions away until it is there. @throws model_too_large */
  async #makeRoom(
    request: SessionRequest,
    reservation: Reservation,
    beat: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { budgetBytes } = this.#options
    const pinned = [...this.#entries.values()].reduce((sum, entry) => sum + (entry.pinned ? entry.bytes : 0), 0)
    if (pinned + request.bytes > budgetBytes) {
      throw new VergeError(
        'model_too_large',
        `The model needs about ${request.bytes} bytes of memory; ${budgetBytes - pinned} are left for models here. Use a smaller or more strongly quantised artifact.`,
        { details: { bytes_needed: request.bytes, bytes_available: budgetBytes - pinned } },
      )
    }
    await this.#until(
      () => {
        const missing = this.bytes + this.#reservedBytes() + request.bytes - budgetBytes
        if (missing <= 0) {
          reservation.bytes = request.bytes
          return true
        }
        this.#chooseVictims(missing)
        return false
      },
      beat,
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

  async #until(condition: () => boolean, beat: () => void, signal: AbortSignal): Promise<void> {
    for (;;) {
      if (signal.aborted) throw abortError(signal)
      this.#sweep()
      if (condition()) return
      this.#sweep()
      if (condition()) return
      await this.#options.clock.sleep(this.#options.loadPollMs, signal)
      beat()
    }
  }

  #reservedBytes(): number {
    const now = this.#options.clock.now()
    let total = 0
    for (const [key, reservation] of this.#reserved) {
      if (now - reservation.lastBeat > this.#options.loadStaleMs) this.#reserved.delete(key)
      else total += reservation.bytes
    }
    return total
  }

  #isListed(entry: Entry): boolean {
    for (const listed of this.#entries.values()) if (listed === entry) return true
    return false
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
