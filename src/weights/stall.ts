import { abortError, VergeError } from '../core/errors.ts'
import { type Clock, onAbort } from '../core/runtime.ts'

export interface StallGuard {
  /** Fires with the outer signal's reason, or with `store_unavailable` after a time without progress. */
  readonly signal: AbortSignal
  /** Whether it fired for lack of progress. */
  stalled(): boolean
  progress(): void
  stop(): void
}

/** Looks without progress before a wait counts as a stall. */
const LOOKS = 4

/**
 * Ends a wait without data for `stallMs`. Several timers count the time, because an inference can block the event loop
 * for longer: a single late timer would then blame a store whose bytes have already arrived.
 */
export function guardAgainstStall(outer: AbortSignal, clock: Clock, stallMs: number): StallGuard {
  const controller = new AbortController()
  const over = new AbortController()
  let moved = false
  let stalled = false
  const release = onAbort(outer, () => controller.abort(abortError(outer)))

  async function watch(): Promise<void> {
    for (let idle = 0; idle < LOOKS; idle = moved ? 0 : idle + 1) {
      moved = false
      await clock.sleep(stallMs / LOOKS, over.signal)
    }
    stalled = true
    controller.abort(new VergeError('store_unavailable', `The store sent nothing for ${stallMs} ms.`))
  }
  // it ends by rejecting when it is stopped
  watch().catch(() => {})

  return {
    signal: controller.signal,
    stalled: () => stalled,
    progress() {
      moved = true
    },
    stop() {
      over.abort()
      release()
    },
  }
}
