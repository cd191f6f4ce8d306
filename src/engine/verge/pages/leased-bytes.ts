import type { Clock } from '../../../core/runtime.ts'

interface Lease {
  readonly bytes: number
  readonly since: number
}

/** Bytes that requests have at present. One that was killed gives nothing back: its lease ends by itself. */
export class LeasedBytes {
  readonly #leaseMs: number
  readonly #clock: Clock
  readonly #leases = new Set<Lease>()

  constructor(leaseMs: number, clock: Clock) {
    this.#leaseMs = leaseMs
    this.#clock = clock
  }

  get taken(): number {
    const now = this.#clock.now()
    let taken = 0
    for (const lease of this.#leases) {
      if (now - lease.since > this.#leaseMs) this.#leases.delete(lease)
      else taken += lease.bytes
    }
    return taken
  }

  /** @returns a function that gives them back */
  take(bytes: number): () => void {
    const lease = { bytes, since: this.#clock.now() }
    this.#leases.add(lease)
    return () => {
      this.#leases.delete(lease)
    }
  }
}
