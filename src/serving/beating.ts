import type { Clock } from '../core/runtime.ts'
import type { Admission, Ticket } from './admission.ts'

export interface BeatingOptions {
  readonly admission: Admission
  readonly clock: Clock
  /** A place whose request gives no sign of life for this long can be given away. */
  readonly leaseMs: number
  /** Time between two signs of life: a fraction of the lease. */
  readonly beatMs: number
  /** A request at work for longer than this gives no more of them. */
  readonly mostMs: number
}

/**
 * Admission for requests whose end nobody is told of. When a caller leaves, or a request takes too much CPU, the platform
 * stops the request where it stands, and no `finally` is reached. Its timers stop too. So each place here has a short
 * lease that a timer of the same request renews: 256 callers that leave at once would otherwise close the isolate for as
 * long as the lease of all places is, and one with a body of 16 MiB would close it to all large bodies.
 */
export class BeatingAdmission implements Admission {
  readonly #options: BeatingOptions

  constructor(options: BeatingOptions) {
    this.#options = options
  }

  enter(requestId: string): Ticket {
    const { admission, beatMs, clock, leaseMs, mostMs } = this.#options
    const ticket = admission.enter(requestId, leaseMs)
    const end = clock.now() + mostMs
    let callOff = (): void => {}
    const arm = (): void => {
      callOff = clock.after(beatMs, () => {
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
        callOff()
        ticket.leave()
      },
    }
  }
}
