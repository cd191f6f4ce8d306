import { VergeError } from '../core/errors.ts'
import type { Clock } from '../core/runtime.ts'

/** Permission to read a body and to be worked on. */
export interface Ticket {
  /**
   * Says how many bytes of body this request holds or is about to hold, all together.
   * @throws overloaded if all requests' bodies would not fit, or if another request was given this one's slot
   */
  hold(bytes: number): void
  /**
   * Says how many bytes of the body have come so far; `undefined`: all of them. Until then the request counts as
   * reading, and makes way for others if its body comes slowly.
   * @throws overloaded if another request was given this one's slot
   */
  reading(received: number | undefined): void
  /** Says that the request is still there: a slot that is not renewed within its lease can be given away. */
  renew(): void
  /** Gives the slot back. Calling it again does nothing. */
  leave(): void
}

export interface Admission {
  /**
   * Admits a request before its body is read.
   * @param leaseMs another lease than that of all slots, for a request that renews its own
   * @throws overloaded at once when the isolate is full
   */
  enter(requestId: string, leaseMs?: number): Ticket
}

export interface AdmissionOptions {
  /** Requests admitted at once. */
  readonly slots: number
  /** Bytes of body that all admitted requests may hold together. */
  readonly bodyBytes: number
  /** The same for bodies above `smallBodyBytes`, so that they leave room for the others. As `bodyBytes` if left out. */
  readonly largeBodyBytes?: number
  /** A ticket older than this belongs to a request that was killed before it could give it back. */
  readonly leaseMs: number
  readonly clock: Clock
}

/** Seconds after which an overloaded isolate has usually worked its queue off. */
const RETRY_AFTER_SECONDS = 1

/** A larger body is one of those that may not take all the room. */
const SMALL_BODY_BYTES = 256 * 1024

/** A body of a fast caller has come within this time, or most of it. */
const READING_GRACE_MS = 1_000
/** A body that comes more slowly than this makes way where there is no room. 16 MiB would take over four minutes. */
const SLOW_BYTES_PER_SECOND = 64 * 1024

interface Holder {
  expires: number
  bytes: number
  /** While the body is being read. */
  reading: { readonly since: number; received: number } | undefined
  /** Its slot was given to another request. */
  displaced: boolean
  left: boolean
}

/**
 * A bounded number of slots and of bytes; what does not fit is refused at once, never queued. Where there is none left,
 * requests whose bodies come slowly lose theirs, so that slow callers, however many, keep nobody else out.
 */
export class BoundedAdmission implements Admission {
  readonly #options: AdmissionOptions
  readonly #holders = new Set<Holder>()

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  get admitted(): number {
    return this.#holders.size
  }

  enter(_requestId: string, leaseMs: number = this.#options.leaseMs): Ticket {
    const { slots, clock } = this.#options
    if (!this.#makeRoom((holders) => holders.size < slots)) {
      throw new VergeError('overloaded', 'This isolate is processing too many requests. Try again in a moment.', {
        retryAfter: RETRY_AFTER_SECONDS,
        details: { admitted: slots },
      })
    }
    const holder: Holder = {
      expires: clock.now() + leaseMs,
      bytes: 0,
      reading: undefined,
      displaced: false,
      left: false,
    }
    this.#holders.add(holder)
    return {
      renew: () => {
        holder.expires = clock.now() + leaseMs
        // Its lease ran out, and it was only slow: it is counted again, even where others took its slot meanwhile.
        if (!holder.left && !holder.displaced) this.#holders.add(holder)
      },
      reading: (received) => {
        refuseDisplaced(holder)
        if (received === undefined) holder.reading = undefined
        else if (holder.reading === undefined) holder.reading = { since: clock.now(), received }
        else holder.reading.received = received
      },
      hold: (bytes) => {
        refuseDisplaced(holder)
        if (!this.#makeRoom((holders) => this.#hasRoom(holder, bytes, holders), holder)) {
          throw new VergeError('overloaded', 'This isolate is reading other large requests. Try again in a moment.', {
            retryAfter: RETRY_AFTER_SECONDS,
          })
        }
        holder.bytes = bytes
      },
      leave: () => {
        holder.left = true
        this.#holders.delete(holder)
      },
    }
  }

  #hasRoom(holder: Holder, bytes: number, holders: ReadonlySet<Holder>): boolean {
    const { bodyBytes, largeBodyBytes = bodyBytes } = this.#options
    let all = bytes
    let large = isLarge(bytes) ? bytes : 0
    for (const other of holders) {
      if (other === holder) continue
      all += other.bytes
      if (isLarge(other.bytes)) large += other.bytes
    }
    return all <= bodyBytes && (!isLarge(bytes) || large <= largeBodyBytes)
  }

  /**
   * Drops requests that were killed, then slow ones, until there is room. Slow ones stay where no room can be made, and
   * those stay that take none of it.
   * @returns whether there is room
   */
  #makeRoom(hasRoom: (holders: ReadonlySet<Holder>) => boolean, but?: Holder): boolean {
    if (hasRoom(this.#holders)) return true
    this.#dropExpired()
    const left = new Set(this.#holders)
    const gone: Holder[] = []
    for (const slow of this.#slowReaders(but)) {
      if (hasRoom(left)) break
      left.delete(slow)
      gone.push(slow)
    }
    if (!hasRoom(left)) return false
    for (const holder of gone.reverse()) {
      left.add(holder)
      if (hasRoom(left)) continue
      left.delete(holder)
      holder.displaced = true
      this.#holders.delete(holder)
    }
    return true
  }

  /** Requests with slow bodies, slowest first. */
  #slowReaders(but: Holder | undefined): Holder[] {
    const now = this.#options.clock.now()
    const slow: { readonly holder: Holder; readonly rate: number }[] = []
    for (const holder of this.#holders) {
      const { reading } = holder
      if (holder === but || reading === undefined || now - reading.since <= READING_GRACE_MS) continue
      const rate = reading.received / (now - reading.since)
      if (rate < SLOW_BYTES_PER_SECOND / 1000) slow.push({ holder, rate })
    }
    return slow.sort((a, b) => a.rate - b.rate).map(({ holder }) => holder)
  }

  #dropExpired(): void {
    const now = this.#options.clock.now()
    for (const holder of this.#holders) if (now > holder.expires) this.#holders.delete(holder)
  }
}

function isLarge(bytes: number): boolean {
  return bytes > SMALL_BODY_BYTES
}

function refuseDisplaced({ displaced }: Holder): void {
  if (!displaced) return
  throw new VergeError(
    'overloaded',
    'The request body came slowly, and its slot was given to another request. Try again in a moment.',
    { retryAfter: RETRY_AFTER_SECONDS },
  )
}

export interface RenewingOptions {
  readonly admission: Admission
  readonly clock: Clock
  /** A slot whose request gives no sign of life for this long can be given away. */
  readonly leaseMs: number
  /** Time between two signs of life: a fraction of the lease. */
  readonly renewMs: number
  /** A request at work for longer than this gives no more of them. */
  readonly mostMs: number
}

/**
 * Admission for requests whose end nobody is told of. When a caller leaves, or a request takes too much CPU, the platform
 * stops the request where it stands, and no `finally` is reached. Its timers stop too. So each slot here has a short
 * lease that a timer of the same request renews: 256 callers that leave at once would otherwise close the isolate for as
 * long as the lease of all slots is, and one with a body of 16 MiB would close it to all large bodies.
 */
export class RenewingAdmission implements Admission {
  readonly #options: RenewingOptions

  constructor(options: RenewingOptions) {
    this.#options = options
  }

  enter(requestId: string): Ticket {
    const { admission, renewMs, clock, leaseMs, mostMs } = this.#options
    const ticket = admission.enter(requestId, leaseMs)
    const end = clock.now() + mostMs
    let cancelTimer = (): void => {}
    const arm = (): void => {
      cancelTimer = clock.after(renewMs, () => {
        if (clock.now() >= end) return
        ticket.renew()
        arm()
      })
    }
    arm()
    return {
      hold: (bytes) => ticket.hold(bytes),
      reading: (received) => ticket.reading(received),
      renew: () => ticket.renew(),
      leave: () => {
        cancelTimer()
        ticket.leave()
      },
    }
  }
}
