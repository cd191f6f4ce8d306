import { VergeError } from '../../core/errors.ts'
import type { Request } from './protocol.ts'

/** For what waited, and for sessions that went with the process. */
export function sessionsLost(): VergeError {
  return new VergeError('session_lost', 'The loaded model was lost when its engine was restarted; ask again.', {
    retryAfter: 1,
  })
}

/** For what was being done when the process ended. @param reason for logs */
export function engineAborted(kind: Request['kind'], reason: string): VergeError {
  const message: Readonly<Record<Request['kind'], string>> = {
    start: 'The engine could not be started.',
    health: 'The engine ended and has been restarted.',
    open: 'The engine ended while it loaded the model, and has been restarted; the same model may end it again.',
    run: 'The model made the engine abort. The engine has been restarted; the same input may abort it again.',
    feed: 'The model made the engine abort. The engine has been restarted; the same input may abort it again.',
  }
  return new VergeError('engine_aborted', message[kind], { cause: reason })
}
