import { abortError, VergeError } from '../core/errors.ts'
import type { Clock, RequestContext } from '../core/runtime.ts'
import type { Session } from '../engine/engine.ts'
import type { SessionOwner } from './use.ts'

/** A run or a load that found no room: until it finishes, no other session is loaded. */
export interface Claim {
  readonly key: string
  lastHeartbeat: number
}

export interface Reservation {
  bytes: number
  lastHeartbeat: number
}

export interface Entry {
  readonly of?: SessionOwner
  readonly session: Session
  /** Bytes that its manifest asks for. */
  readonly asked: number
  /** Those, or what it holds where that is more. */
  readonly bytes: number
  pinned: boolean
  lastUsed: number
  /** Chosen to make room: no new user gets it, and it goes when the last one is done. */
  leaving: boolean
  /** Users, each with the time at which it counts as dead. */
  readonly holders: Map<symbol, number>
  /** The request that had it loaded before it could use it, and how long that took, until a request uses it. */
  prefetch?: { readonly by: RequestContext['waitUntil']; readonly loadMs: number } | undefined
}

/** The sessions that share the memory. */
export interface Residents {
  readonly entries: ReadonlyMap<string, Entry>
  /** Of all loaded sessions, and what is promised to loads under way. */
  takenBytes(): number
  /** Drops sessions that are leaving and no longer in use. */
  sweep(): void
}

export interface RoomOptions {
  /** Of all sessions together. */
  readonly budgetBytes: number
  readonly clock: Clock
  /** A load or a claim without a sign of life for this long does not count. */
  readonly loadStaleMs: number
  readonly loadPollMs: number
  /** How long a run that found no room waits for sessions in use, before it is tried beside them. */
  readonly roomWaitMs: number
}

/** Makes room in memory: decides which sessions leave, and who may evict others. */
export class Room {
  readonly #residents: Residents
  readonly #options: RoomOptions
  #claim: Claim | undefined

  constructor(residents: Residents, options: RoomOptions) {
    this.#residents = residents
    this.#options = options
  }

  /** Waits until no other claim stands. Its owner may have been killed: one without a sign of life does not count. */
  async claim(key: string, signal: AbortSignal): Promise<Claim> {
    const { clock, loadPollMs } = this.#options
    while (this.#standing) await clock.sleep(loadPollMs, signal)
    const claim: Claim = { key, lastHeartbeat: clock.now() }
    this.#claim = claim
    return claim
  }

  /** Lets others load again. */
  giveUp(claim: Claim): void {
    if (this.#claim === claim) this.#claim = undefined
  }

  get #standing(): Claim | undefined {
    const { clock, loadStaleMs } = this.#options
    return this.#claim !== undefined && clock.now() - this.#claim.lastHeartbeat <= loadStaleMs ? this.#claim : undefined
  }

  /** Evicts unused sessions, least recently used first, except pinned sessions and that of `key`. */
  evictIdle(key: string, missing: number): void {
    const idle = [...this.#residents.entries].filter(
      ([other, entry]) => other !== key && !entry.pinned && entry.holders.size === 0,
    )
    leave(
      idle.map(([, entry]) => entry),
      missing,
    )
    this.#residents.sweep()
  }

  /**
   * Evicts every session, including pinned ones and that of the claim: only an empty engine rebuilds its heap, and a
   * fragmented heap would refuse other models for the isolate's life. Sessions in use for longer than `roomWaitMs`
   * stay.
   */
  async evictAll(claim: Claim, signal: AbortSignal): Promise<void> {
    const { clock, loadPollMs, roomWaitMs } = this.#options
    const { entries } = this.#residents
    const end = clock.now() + roomWaitMs
    for (;;) {
      for (const entry of entries.values()) entry.leaving = true
      this.#residents.sweep()
      if (entries.size === 0 && this.#residents.takenBytes() === 0) return
      if (clock.now() >= end) break
      await clock.sleep(loadPollMs, signal)
      claim.lastHeartbeat = clock.now()
    }
    for (const entry of entries.values()) entry.leaving = false
  }

  /** Whether a session can be loaded at once, and no other one leaves for it. */
  isFree(bytes: number): boolean {
    return this.#standing === undefined && this.#residents.takenBytes() + bytes <= this.#options.budgetBytes
  }

  /** Reserves room, sending the least recently used sessions away until it is there. @throws model_too_large */
  async reserve(
    request: { readonly key: string; readonly bytes: number },
    reservation: Reservation,
    heartbeat: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { budgetBytes } = this.#options
    const entries = this.#residents.entries
    const pinned = [...entries.values()].reduce((sum, entry) => sum + (entry.pinned ? entry.bytes : 0), 0)
    if (pinned + request.bytes > budgetBytes) {
      throw new VergeError(
        'model_too_large',
        `The model needs about ${request.bytes} bytes of memory; ${budgetBytes - pinned} are free for models here. Use a smaller model, or a lower precision.`,
        { details: { bytes_needed: request.bytes, bytes_available: budgetBytes - pinned } },
      )
    }
    await this.#until(
      () => {
        const claim = this.#standing
        if (claim !== undefined && claim.key !== request.key) return false
        const missing = this.#residents.takenBytes() + request.bytes - budgetBytes
        if (missing <= 0) {
          reservation.bytes = request.bytes
          return true
        }
        const all = [...entries.values()]
        const leaving = all.reduce((sum, entry) => sum + (entry.leaving ? entry.bytes : 0), 0)
        leave(
          all.filter((entry) => !entry.pinned && !entry.leaving),
          missing - leaving,
        )
        return false
      },
      heartbeat,
      signal,
    )
  }

  async #until(condition: () => boolean, heartbeat: () => void, signal: AbortSignal): Promise<void> {
    for (;;) {
      if (signal.aborted) throw abortError(signal)
      this.#residents.sweep()
      if (condition()) return
      // The condition may have had sessions leave: those that nobody uses go at once.
      this.#residents.sweep()
      if (condition()) return
      await this.#options.clock.sleep(this.#options.loadPollMs, signal)
      heartbeat()
    }
  }
}

/** Has sessions leave, the least recently used first, until so many bytes become free. */
function leave(entries: readonly Entry[], bytes: number): void {
  let freed = 0
  for (const entry of entries.toSorted((a, b) => a.lastUsed - b.lastUsed)) {
    if (freed >= bytes) return
    entry.leaving = true
    freed += entry.bytes
  }
}
