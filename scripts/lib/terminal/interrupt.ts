import { VergeError } from '../../../src/core/errors.ts'

/** What a shell expects of a process that a signal has ended: 128 and the signal's number. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const

let interrupted: AbortSignal | undefined

/**
 * A signal that Ctrl-C, or a request to end, raises: work that knows it stops where it leaves nothing half done. The
 * second Ctrl-C ends the process at once. An interrupted process ends with the exit code that shells expect, whatever
 * its work made of the interruption. There is one for the whole process.
 */
export function untilInterrupted(): AbortSignal {
  interrupted ??= listen()
  return interrupted
}

function listen(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(EXIT_CODES[name])
      process.once('exit', () => {
        process.exitCode = EXIT_CODES[name]
      })
      controller.abort(new VergeError('cancelled', 'Interrupted. Run the same command again to go on.'))
    })
  }
  return controller.signal
}
