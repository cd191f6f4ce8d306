import { isVergeError, VergeError } from '../core/errors.ts'
import type { Logger, RequestContext } from '../core/runtime.ts'
import { type Flight, SingleFlight } from '../core/single-flight.ts'
import type { Tensors } from '../core/tensors.ts'
import type { RunOptions, Session } from '../engine/engine.ts'
import { isHeldByOthers } from '../engine/heap-budget.ts'
import { type Claim, type Entry, type Reservation, Room, type RoomOptions } from './room.ts'
import type { SessionMemory, SessionObserver, SessionRequest, SessionRun, SessionUse, Start } from './use.ts'

export interface SessionCacheOptions extends RoomOptions {
  readonly logger: Logger
  /** A load that takes longer is given up. */
  readonly loadDeadlineMs: number
  readonly observer?: SessionObserver
  /** A use that lasts longer belongs to a request that was killed. */
  readonly holdLeaseMs: number
}

/** One user's hold on a session; which one may change when room has to be made. */
interface Hold {
  readonly key: symbol
  entry: Entry | undefined
  start: Start
  /** What loading the session ahead took; undefined where it was not. */
  loadMs?: number
}

const MOST_RELOADS = 2
/** Evicts idle sessions first, then all sessions, so that the engine can rebuild its heap. */
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
  readonly #room: Room
  #uses = 0

  constructor(options: SessionCacheOptions) {
    this.#options = options
    this.#loads = new SingleFlight({
      clock: options.clock,
      staleMs: options.loadStaleMs,
      pollMs: options.loadPollMs,
    })
    this.#room = new Room(
      {
        entries: this.#entries,
        takenBytes: () => this.#takenBytes(),
        sweep: () => this.#sweep(),
      },
      options,
    )
  }

  has(key: string): boolean {
    const entry = this.#entries.get(key)
    return entry?.session.alive === true && !entry.leaving
  }

  /**
   * Begins to load a session for a request that has yet to say what it wants of it. It may turn out to be refused, so no
   * other session leaves for it, and it holds nothing: where there is no room, or a load is under way, nothing is done.
   * What goes wrong is for `use` to say.
   */
  prefetch(request: SessionRequest, context: RequestContext): void {
    const { bytes, key } = request
    this.#sweep()
    if (this.#entries.has(key) || this.#loads.isUnderWay(key) || !this.#room.isFree(bytes)) return
    const { clock } = this.#options
    const begun = clock.now()
    const load = async (flight: Flight): Promise<Entry> => {
      const entry = await this.#load(request, flight)
      entry.prefetch = { by: context.waitUntil, loadMs: clock.now() - begun }
      return entry
    }
    this.#loads.run(key, load, context).catch(() => {})
  }

  /** Whether a session finds room without another one's leaving. */
  fits(bytes: number): boolean {
    this.#sweep()
    return this.#room.isFree(bytes)
  }

  /** Keeps a loaded session from being evicted for others, or no longer. */
  pin(key: string, pinned: boolean): void {
    const entry = this.#entries.get(key)
    if (entry !== undefined) entry.pinned = pinned
  }

  /** Lets a session go, as soon as nothing uses it. */
  evict(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    entry.leaving = true
    this.#sweep()
  }

  /** Bytes of all loaded sessions. */
  get bytes(): number {
    let total = 0
    for (const entry of this.#entries.values()) total += entry.bytes
    return total
  }

  /** Of each loaded session that is known by its version. */
  get memory(): readonly SessionMemory[] {
    return [...this.#entries.values()].flatMap(({ asked, of, session }) =>
      of === undefined ? [] : [{ model: of.model, usedBytes: session.bytes, grantedBytes: asked }],
    )
  }

  get size(): number {
    return this.#entries.size
  }

  /**
   * Runs `work` with a loaded session, and loads it if needed. If a restart of the engine lost the session between load
   * and use, it is loaded again, twice at most: work queued behind an input that ends the engine loses its session, and
   * with batches a second time. If the engine has no room, other sessions are evicted and the work is repeated.
   * @throws model_too_large, engine_full if there is still no room, errors of the load and the work, cancelled,
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
      ...(hold.loadMs !== undefined && { loadMs: hold.loadMs }),
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
    return this.use(request, context, async (session, { loadMs, start }) => {
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
      const timings = { loadMs: loadMs ?? loaded - begun, queueMs: turned - loaded, runMs: clock.now() - turned }
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
          } else if (isVergeError(error, 'engine_full') && !isHeldByOthers(error) && squeezes < MOST_SQUEEZES) {
            squeezes++
            this.#options.logger.warn('session_squeeze', { key: request.key, squeezes, sessions: this.size })
            // Given up first: two that waited for each other's sessions would wait in vain.
            this.#release(hold)
            claim ??= await this.#room.claim(request.key, context.signal)
            if (squeezes < MOST_SQUEEZES) this.#room.evictIdle(request.key, Number.POSITIVE_INFINITY)
            else await this.#room.evictAll(claim, context.signal)
          } else throw error
        }
      }
    } finally {
      if (claim !== undefined) this.#room.giveUp(claim)
    }
  }

  /** Holds a session that lives, with room for the run where idle sessions can make it. */
  async #take(hold: Hold, request: SessionRequest, context: RequestContext): Promise<Entry> {
    if (hold.entry === undefined || !hold.entry.session.alive) {
      this.#release(hold)
      const { entry, start } = await this.#acquire(request, context)
      hold.entry = entry
      const loadMs = takePrefetch(entry, context)
      if (loadMs !== undefined) hold.loadMs = loadMs
      // A use that began cold stays so, however often its session is loaded again.
      if (start === 'cold' || loadMs !== undefined) hold.start = 'cold'
    }
    const { entry } = hold
    this.#renew(hold)
    entry.lastUsed = ++this.#uses
    const { runBytes = 0, roomBytes = Number.POSITIVE_INFINITY } = request
    const missing = this.#takenBytes() + runBytes - roomBytes
    if (missing > 0) this.#room.evictIdle(request.key, missing)
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
        new VergeError('deadline_exceeded', 'The model took too long to load. Send the request again.', {
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
      await this.#room.reserve(request, reservation, heartbeat, deadline.signal)
      const session = await request.load({ signal: deadline.signal, onProgress: heartbeat })
      // A session of work that another request took over would be in memory beside the other's, and nothing would drop it.
      endIfThrows(session, heartbeat)
      const { of } = request
      const entry: Entry = {
        session,
        ...(of && { of }),
        asked: request.bytes,
        bytes: Math.max(session.bytes, request.bytes),
        pinned: request.pinned,
        lastUsed: ++this.#uses,
        leaving: false,
        holders: new Map(),
      }
      this.#entries.set(request.key, entry)
      if (of !== undefined) this.#options.observer?.loaded(of, true)
      return entry
    } catch (error) {
      if (request.of !== undefined) this.#options.observer?.loaded(request.of, false)
      throw error
    } finally {
      cancelDeadline()
      if (this.#reserved.get(request.key) === reservation) this.#reserved.delete(request.key)
    }
  }

  /** Of all loaded sessions, and what is promised to loads under way. */
  #takenBytes(): number {
    const now = this.#options.clock.now()
    let total = this.bytes
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
      if (entry.leaving && entry.of !== undefined) this.#options.observer?.evicted(entry.of)
      this.#options.logger.info('session_dropped', { key, bytes: entry.bytes, lost: !entry.leaving })
    }
  }
}

function endIfThrows(session: Session, check: () => void): void {
  try {
    check()
  } catch (error) {
    session.dispose()
    throw error
  }
}

/** How long the load took that this request began, or undefined where it began none. The first use of a session is told. */
function takePrefetch(entry: Entry, { waitUntil }: RequestContext): number | undefined {
  const { prefetch } = entry
  entry.prefetch = undefined
  return prefetch?.by === waitUntil ? prefetch.loadMs : undefined
}
