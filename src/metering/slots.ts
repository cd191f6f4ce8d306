import type { Clock } from '../core/runtime.ts'
import { tooManyAtOnce } from './refusals.ts'

export interface SlotsOptions {
  readonly clock: Clock
  /** A slot whose request gives no sign of life for this long is free: the request was killed. */
  readonly leaseMs: number
  /** Between two signs of life. */
  readonly beatMs: number
  /** A request at work for longer than this gives no more of them. */
  readonly mostMs: number
}

/** Names of which some may be of requests that were killed, before anybody looks. */
const FEW_NAMES = 1_000

interface Slot {
  until: number
}

/** Requests at once in this isolate, by whoever makes them or whatever they ask for. */
export class Slots {
  readonly #options: SlotsOptions
  readonly #held = new Map<string, Set<Slot>>()
  /** So many names are looked through for requests that were killed. */
  #mostNames = FEW_NAMES

  constructor(options: SlotsOptions) {
    this.#options = options
  }

  /** @returns gives the slot back; calling it again does nothing @throws rate_limited if there is none */
  enter(name: string, most: number): () => void {
    const { clock, leaseMs, beatMs, mostMs } = this.#options
    const now = clock.now()
    const held = this.#setOf(name)
    if (held.size >= most) dropExpired(held, now)
    if (held.size >= most) throw tooManyAtOnce(most)
    const slot: Slot = { until: now + leaseMs }
    held.add(slot)
    let callOff = (): void => {}
    const beat = (): void => {
      callOff = clock.after(beatMs, () => {
        if (clock.now() > now + mostMs) return
        slot.until = clock.now() + leaseMs
        // It may have been dropped: it was only slow.
        this.#setOf(name).add(slot)
        beat()
      })
    }
    beat()
    return () => {
      callOff()
      const left = this.#setOf(name)
      left.delete(slot)
      if (left.size === 0) this.#held.delete(name)
    }
  }

  #setOf(name: string): Set<Slot> {
    const known = this.#held.get(name)
    if (known !== undefined) return known
    if (this.#held.size >= this.#mostNames) this.#dropKilled()
    const made = new Set<Slot>()
    this.#held.set(name, made)
    return made
  }

  /** A request that was killed leaves its name behind, and nobody may come by that name again. */
  #dropKilled(): void {
    const now = this.#options.clock.now()
    for (const [name, held] of this.#held) {
      dropExpired(held, now)
      if (held.size === 0) this.#held.delete(name)
    }
    this.#mostNames = Math.max(FEW_NAMES, 2 * this.#held.size)
  }
}

function dropExpired(held: Set<Slot>, now: number): void {
  for (const slot of held) if (now >= slot.until) held.delete(slot)
}
