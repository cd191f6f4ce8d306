import { isVergeError, VergeError } from '../core/errors.ts'
import { type Clock, type Logger, type RequestContext, untilLate } from '../core/runtime.ts'
import { isWithin, type Span } from '../core/span.ts'

/** What a part of the report was read as, or why it could not be read. */
export type Read<T> = { readonly value: T; readonly why?: undefined } | { readonly value: null; readonly why: string }

export interface KeptOptions {
  /** For the log. */
  readonly name: string
  readonly clock: Pick<Clock, 'after' | 'now'>
  readonly logger: Logger
  /** For how long the isolate answers with what it has read. */
  readonly ttlMs: number
  /** A read that takes longer has failed. */
  readonly mostMs: number
}

/**
 * One part of the report, read from its source and kept for a few seconds. It fails by itself: a source that does not answer
 * costs its part and no other. The isolate keeps values, never promises, because in workerd a request must not wait for
 * another request's work; two that find nothing both read.
 */
export class Kept<T> {
  readonly #options: KeptOptions
  readonly #read: (context: RequestContext) => Promise<T>
  #last: { readonly read: Read<T>; readonly kept: Span } | undefined

  constructor(read: (context: RequestContext) => Promise<T>, options: KeptOptions) {
    this.#read = read
    this.#options = options
  }

  /** Never rejects. A failure is kept, too: a source that hangs is not waited for with every look. */
  async get(context: RequestContext): Promise<Read<T>> {
    const { clock, ttlMs } = this.#options
    if (this.#last !== undefined && isWithin(this.#last.kept, clock.now())) return this.#last.read
    const read = await this.#readNow(context)
    // The caller of this request left: that says nothing of the source.
    if (!context.signal.aborted) this.#last = { read, kept: { at: clock.now(), ms: ttlMs } }
    return read
  }

  async #readNow(context: RequestContext): Promise<Read<T>> {
    const { clock, logger, mostMs, name } = this.#options
    try {
      return {
        value: await untilLate(this.#read(context), mostMs, clock, () => {
          throw new VergeError('store_unavailable', `The source did not answer within ${mostMs / 1000} s.`)
        }),
      }
    } catch (error) {
      logger.warn('operations_part_failed', { part: name, error })
      return { value: null, why: isVergeError(error) ? error.message : 'The source failed. The log has the reason.' }
    }
  }
}
