import type { Limits } from '../../core/limits.ts'
import type { UsageBlock, UsageRow } from './block.ts'
import { addCounts } from './counts.ts'
import { OTHER_MODELS } from './usage-by-day.ts'

export interface UsageBookOptions {
  readonly limits: Pick<Limits, 'usagePrincipals' | 'usageRows'>
  /** A name of this isolate that no other has. Asked for with the first request: at start-up there is no randomness. */
  readonly randomId: () => string
}

interface Entry {
  /** Sent, and maybe booked: it stays as it is until that is known. */
  sent?: UsageBlock
  /** By day and model. */
  readonly rows: Map<string, UsageRow>
  requests: number
  lastUsedAt: number
}

/** What this isolate has counted and not yet handed over, by principal. Its memory is bounded by `usageRows`. */
export class UsageBook {
  readonly #options: UsageBookOptions
  readonly #entries = new Map<string, Entry>()
  #source: string | undefined
  #seq = 0
  #rows = 0
  #lost = 0

  constructor(options: UsageBookOptions) {
    this.#options = options
  }

  /** Requests that found no room, because the ledgers of very many principals did not answer. */
  get lost(): number {
    return this.#lost
  }

  add(principal: string, { counts, day, model }: UsageRow, at: number): void {
    const entry = this.#entryOf(principal)
    if (entry === undefined) {
      this.#lost += counts.requests
      return
    }
    entry.requests += counts.requests
    entry.lastUsedAt = Math.max(entry.lastUsedAt, at)
    const known = entry.rows.has(keyOf(day, model))
    // Beyond the bound the models of a principal are counted together: two rows a principal and day at most.
    const name = known || this.#rows < this.#options.limits.usageRows ? model : OTHER_MODELS
    const key = keyOf(day, name)
    const before = entry.rows.get(key)
    if (before === undefined) this.#rows++
    entry.rows.set(key, { day, model: name, counts: before ? addCounts(before.counts, counts) : counts })
  }

  /** Requests of a principal that are not in a block yet. */
  pending(principal: string): number {
    return this.#entries.get(principal)?.requests ?? 0
  }

  /** What is to be sent now: the block that may not have arrived, or all that was counted. Undefined: nothing. */
  take(principal: string): UsageBlock | undefined {
    const entry = this.#entries.get(principal)
    if (entry === undefined) return undefined
    if (entry.sent !== undefined || entry.rows.size === 0) return entry.sent
    this.#source ??= this.#options.randomId()
    const { lastUsedAt } = entry
    entry.sent = { source: this.#source, seq: ++this.#seq, lastUsedAt, rows: [...entry.rows.values()] }
    entry.rows.clear()
    entry.requests = 0
    return entry.sent
  }

  /** A block was booked: it is never sent again. */
  booked(principal: string, seq: number): void {
    const entry = this.#entries.get(principal)
    if (entry?.sent?.seq !== seq) return
    this.#rows -= entry.sent.rows.length
    delete entry.sent
    if (entry.rows.size === 0) this.#entries.delete(principal)
  }

  #entryOf(principal: string): Entry | undefined {
    const known = this.#entries.get(principal)
    if (known !== undefined || this.#entries.size >= this.#options.limits.usagePrincipals) return known
    const entry: Entry = { rows: new Map(), requests: 0, lastUsedAt: 0 }
    this.#entries.set(principal, entry)
    return entry
  }
}

function keyOf(day: string, model: string): string {
  return `${day} ${model}`
}
