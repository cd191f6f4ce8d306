import type { Context } from 'hono'
import { abortError, VergeError } from '../../core/errors.ts'
import { onAbort } from '../../core/runtime.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'

/** Whoever reads a stream: the signal is raised when they leave, and when the stream has taken too long. */
export class StreamReader {
  readonly #controller = new AbortController()
  readonly #cancelTimer: () => void
  readonly #releases: readonly (() => void)[]
  #left = false

  constructor({ clock, limits }: AppDeps, c: Context<AppEnv>) {
    // The request's own signal is no longer raised once its handler has answered.
    this.#releases = [c.get('context').signal, c.req.raw.signal].map((signal) =>
      onAbort(signal, () => this.#end(abortError(signal))),
    )
    const { streamedAnswerMs } = limits
    this.#cancelTimer = clock.after(streamedAnswerMs, () =>
      this.#controller.abort(
        new VergeError(
          'deadline_exceeded',
          `The answer was not complete within ${streamedAnswerMs} ms. Request fewer tokens.`,
          {
            details: { timeout_ms: streamedAnswerMs },
          },
        ),
      ),
    )
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Whether nobody listens any more. */
  get left(): boolean {
    return this.#left
  }

  leave(reason: unknown): void {
    this.#left = true
    this.#controller.abort(reason)
  }

  close(): void {
    this.#cancelTimer()
    for (const release of this.#releases) release()
  }

  #end(error: VergeError): void {
    this.#left = error.code === 'cancelled'
    this.#controller.abort(error)
  }
}
