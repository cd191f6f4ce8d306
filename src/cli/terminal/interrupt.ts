import { VergeError } from '../../core/errors.ts'

/** Exit codes that shells expect after a signal: 128 plus the signal's number. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const
const SIGNALS = ['SIGINT', 'SIGTERM'] as const

let interrupted: AbortSignal | undefined

/** A terminal's Ctrl-C comes twice where a launcher hands its own on: this close together they are one. */
const SAME_MS = 300

/**
 * A signal that Ctrl-C, or a request to end, raises: work that knows it stops where it leaves nothing half done. The
 * second Ctrl-C ends the process at once. An interrupted process ends with the exit code that shells expect, whatever
 * its work made of the interruption. There is one for the whole process.
 */
export function untilInterrupted(): AbortSignal {
  interrupted ??= listen()
  return interrupted
}

/**
 * Starts a library that ends the process on a signal, as Miniflare does, and removes its signal handlers, because they
 * would prevent a clean stop. If no handler is registered here, the library's handlers stay.
 */
export async function withoutItsSignals<T>(start: () => Promise<T>): Promise<T> {
  if (interrupted === undefined) return start()
  const before = SIGNALS.map((name) => [name, new Set(process.listeners(name))] as const)
  const take = (): void => {
    for (const [name, known] of before) {
      for (const listener of process.listeners(name)) if (!known.has(listener)) process.off(name, listener)
    }
  }
  try {
    const started = start()
    take()
    return await started
  } finally {
    take()
  }
}

function listen(): AbortSignal {
  const controller = new AbortController()
  let first = 0
  for (const name of SIGNALS) {
    process.on(name, () => {
      if (controller.signal.aborted) {
        if (performance.now() - first > SAME_MS) process.exit(EXIT_CODES[name])
        return
      }
      first = performance.now()
      process.once('exit', () => {
        process.exitCode = EXIT_CODES[name]
      })
      controller.abort(new VergeError('cancelled', 'Interrupted. Run the same command again to continue.'))
    })
  }
  return controller.signal
}
