import { isVergeError } from '../../core/errors.ts'
import type { Clock } from '../../core/runtime.ts'
import type { Metering, Permit, RequestUsage } from '../metering.ts'
import { bookedFor, rowOf } from './request-row.ts'
import type { UsageReporter } from './usage-reporter.ts'

export interface CountedOptions {
  readonly reporter: Pick<UsageReporter, 'record'>
  /** Its `now` must count from 1970. */
  readonly clock: Pick<Clock, 'now'>
}

/** A metering whose requests are counted, those that it refuses among them. */
export function counted(metering: Metering, { clock, reporter }: CountedOptions): Metering {
  return {
    async admit(caller, facts, context) {
      const principal = bookedFor(caller)
      if (principal === undefined) return metering.admit(caller, facts, context)
      const count = (usage: RequestUsage): void => {
        const row = rowOf(usage, caller, clock.now(), facts.continued !== true)
        reporter.record(principal, row, (work) => context.waitUntil(work))
      }
      try {
        return new CountedPermit(await metering.admit(caller, facts, context), count)
      } catch (error) {
        if (isVergeError(error)) count(REFUSED)
        throw error
      }
    },
  }
}

/** No more is known of a request that was refused before anything of it was read. */
const REFUSED: RequestUsage = {
  status: 429,
  inputTokens: 0,
  outputTokens: 0,
  units: 0,
  originMs: 0,
  cached: false,
}

class CountedPermit implements Permit {
  readonly #permit: Permit
  readonly #count: (usage: RequestUsage) => void
  #open = true

  constructor(permit: Permit, count: (usage: RequestUsage) => void) {
    this.#permit = permit
    this.#count = count
  }

  get plan() {
    return this.#permit.plan
  }

  get low() {
    return this.#permit.low
  }

  get state() {
    return this.#permit.state
  }

  forModel(model: string): Promise<void> | undefined {
    return this.#permit.forModel(model)
  }

  spend(units: number): Promise<void> | undefined {
    return this.#permit.spend(units)
  }

  tokens(input: number, output: number): Promise<void> | undefined {
    return this.#permit.tokens(input, output)
  }

  refund(amounts: Parameters<Permit['refund']>[0]): void {
    this.#permit.refund(amounts)
  }

  finish(usage: RequestUsage): void {
    if (this.#open) this.#count(usage)
    this.#open = false
    this.#permit.finish(usage)
  }
}
