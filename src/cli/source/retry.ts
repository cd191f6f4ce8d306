import { doublingPauseMs } from '../../core/backoff.ts'
import { isVergeError, throwIfAborted } from '../../core/errors.ts'
import { type Clock, systemClock } from '../../core/runtime.ts'
import { UsageError } from '../terminal/command-line.ts'
import { SOURCE_LIMITS } from './limits.ts'

/** How patient a transfer is; left out, as `SOURCE_LIMITS` has it. */
export interface Patience {
  readonly clock?: Pick<Clock, 'sleep'>
  /** Between 0 and 1, so that clients that failed together do not return together. */
  readonly random?: () => number
  readonly attempts?: number
  readonly idleMs?: number
}

/** A failure that may be gone the next time: a busy server, a broken or silent connection. */
export class TransientError extends Error {
  override readonly name = 'TransientError'
  /** The pause that the server asked for. */
  readonly pauseMs: number | undefined
  /** Whether so much came that the count of attempts starts again. */
  readonly progressed: boolean

  constructor(message: string, options: { pauseMs?: number; progressed?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.pauseMs = options.pauseMs
    this.progressed = options.progressed ?? false
  }
}

/**
 * Runs network work, and retries after a `TransientError` with doubling pauses, or with the pause that the server
 * requests.
 * @param what names the work in messages: "https://example.com"
 * @throws UsageError after too many failures, or if the requested pause is too long; other errors of `work`
 */
export async function retrying<T>(
  what: string,
  work: () => Promise<T>,
  { clock = systemClock, random = Math.random, attempts = SOURCE_LIMITS.attempts }: Patience,
  signal: AbortSignal | undefined,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    throwIfAborted(signal)
    try {
      return await work()
    } catch (error) {
      throwIfAborted(signal)
      if (!(error instanceof TransientError) || isVergeError(error)) throw error
      if (error.progressed) attempt = 1
      const backoff = doublingPauseMs(attempt, SOURCE_LIMITS.firstPauseMs, random())
      const pause = error.pauseMs ?? backoff
      if (attempt >= attempts || pause > SOURCE_LIMITS.longestPauseMs) {
        const asked = error.pauseMs === undefined ? '' : `, requested a pause of ${Math.ceil(error.pauseMs / 1000)} s`
        throw new UsageError(
          `${what}: ${error.message} (${attempt} ${attempt === 1 ? 'attempt' : 'attempts'}${asked}). Check the network and ` +
            'run the command again later. The downloaded part is kept.',
          { cause: error },
        )
      }
      await clock.sleep(pause, signal)
    }
  }
}
