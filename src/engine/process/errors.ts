import { VergeError } from '../../core/errors.ts'
import type { Request } from './protocol.ts'

/** For what waited, and for sessions that went with the process. */
export function sessionsLost(): VergeError {
  return new VergeError('session_lost', 'The model was lost when the engine restarted. Send the request again.', {
    retryAfter: 1,
  })
}

/** Error for work in progress when the process ended. @param reason for logs */
export function engineAborted(kind: Request['kind'], reason: string): VergeError {
  const message: Readonly<Record<Request['kind'], string>> = {
    start: 'The engine could not be started.',
    health: 'The engine ended and was restarted. Send the request again.',
    open: 'The engine ended while it loaded the model, and was restarted. The same model may end it again.',
    run: 'The model aborted the engine, which was restarted. The same input may abort it again. Change the input.',
    feed: 'The model aborted the engine, which was restarted. The same input may abort it again. Change the input.',
  }
  return new VergeError('engine_aborted', message[kind], { cause: reason })
}
