import * as z from 'zod'
import type { Limits } from '../core/limits.ts'
import { type Clock, type Logger, type RequestContext, untilLate } from '../core/runtime.ts'

/** Where the record lies in KV. */
export const HEALTH_KEY = 'health/origins'

/** Rises only when an old reader would misread the record. */
const SCHEMA = 1

type RecordLimits = Pick<Limits, 'healthStaleMs' | 'originDetailLength' | 'origins'>

const entrySchema = z.object({
  ok: z.boolean(),
  /** Of the last probe, failed ones included. */
  latencyMs: z.number().nonnegative(),
  /** Unix time in milliseconds. */
  checkedAt: z.number(),
  /** Probes that failed one after another, up to the last. */
  failures: z.number().int().nonnegative(),
  /** Requests that wait there. */
  queue: z.number().nonnegative().optional(),
  /** What computes there: `cuda`, `webgpu`, `cpu`. */
  provider: z.string().optional(),
  detail: z.string().optional(),
})

const recordSchema = z.object({
  schema: z.literal(SCHEMA),
  /** When it was written: Unix time in milliseconds. */
  at: z.number(),
  origins: z.record(z.string(), entrySchema),
})

export type OriginHealth = z.infer<typeof entrySchema>

/** How the origins fare, as the last probes found them: written by the cron trigger, read by every isolate. */
export type HealthRecord = z.infer<typeof recordSchema>

/** Where the record is shared. Eventually consistent: a read may bring an older record, or none. */
export interface HealthStore {
  /** Whatever is there, unchecked; null if nothing is. */
  read(): Promise<unknown>
  write(record: HealthRecord): Promise<void>
}

/** The record in a stored value; undefined if it is of another form, too old to say anything, or from the future. */
export function readRecord(value: unknown, now: number, limits: RecordLimits): HealthRecord | undefined {
  const parsed = recordSchema.safeParse(value)
  const fits = parsed.success && isWithin(parsed.data, limits) && isFresh(parsed.data.at, now, limits)
  return fits ? parsed.data : undefined
}

function isWithin({ origins }: HealthRecord, { originDetailLength, origins: most }: RecordLimits): boolean {
  const entries = Object.values(origins)
  const short = (text = ''): boolean => text.length <= originDetailLength
  return entries.length <= most && entries.every(({ detail, provider }) => short(detail) && short(provider))
}

function isFresh(at: number, now: number, { healthStaleMs }: RecordLimits): boolean {
  return Math.abs(now - at) <= healthStaleMs
}

export interface HealthViewOptions {
  /** Of Unix time: the record was written elsewhere. */
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: RecordLimits & Pick<Limits, 'healthReadMs' | 'healthTtlMs' | 'healthWaitMs'>
}

/**
 * The shared record as one isolate knows it. A request whose look finds it outdated reads it anew, waits a moment for
 * that, and else goes on with what was known. A read is awaited by the request that began it alone, and another begins
 * one if that request seems to have been killed; where nothing is known yet, the others look again on their own timers.
 */
export class HealthView {
  readonly #store: HealthStore
  readonly #options: HealthViewOptions
  #record: HealthRecord | undefined
  /** When a read last ended, well or not. */
  #readAt: number | undefined
  /** When the read in work began. */
  #begunAt: number | undefined

  constructor(store: HealthStore, options: HealthViewOptions) {
    this.#store = store
    this.#options = options
  }

  /** What is known of an origin; undefined: nothing, or nothing that is fresh enough. */
  of(name: string): OriginHealth | undefined {
    const record = this.#record
    if (record === undefined || !isFresh(record.at, this.#options.clock.now(), this.#options.limits)) return undefined
    return Object.hasOwn(record.origins, name) ? record.origins[name] : undefined
  }

  /** Brings the record up to date if that can be done within 50 ms; otherwise after this request. Never fails. */
  async refresh(context: Pick<RequestContext, 'waitUntil'>): Promise<void> {
    const { clock, limits } = this.#options
    const now = clock.now()
    if (this.#readAt !== undefined && now - this.#readAt < limits.healthTtlMs) return
    if (this.#begunAt === undefined || now - this.#begunAt >= limits.healthReadMs) {
      this.#begunAt = now
      const read = this.#read(now)
      context.waitUntil(read)
      await untilLate(read, limits.healthWaitMs, clock, () => {})
      return
    }
    const polls = limits.healthWaitMs / POLL_MS
    for (let poll = 0; poll < polls && this.#readAt === undefined; poll++) await clock.sleep(POLL_MS)
  }

  async #read(begunAt: number): Promise<void> {
    const { clock, limits, logger } = this.#options
    try {
      const record = readRecord(await this.#store.read(), clock.now(), limits)
      // KV may bring an older record after a newer one
      if (record !== undefined && record.at > (this.#record?.at ?? Number.NEGATIVE_INFINITY)) this.#record = record
    } catch (error) {
      logger.warn('health_unreadable', { error: error instanceof Error ? error.message : String(error) })
    } finally {
      this.#readAt = clock.now()
      if (this.#begunAt === begunAt) this.#begunAt = undefined
    }
  }
}

/** How often a request looks whether another's first read is done. */
const POLL_MS = 10
