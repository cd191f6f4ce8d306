import { randomBytes } from 'node:crypto'
import { type SigningKey, signRequest } from '../access/signature.ts'
import type { Clock } from '../core/runtime.ts'
import type { WorkerSigner } from '../weights/worker.ts'

/** Whom the Worker is told that it speaks with. */
const NAME = 'origin'
/** A smaller difference changes nothing: timestamps may be off by a minute. */
const NOTICEABLE_MS = 1_000

/** Signs an origin's requests for weights to its Worker, with the key that both hold. */
export function workerSigner(key: SigningKey, clock: Pick<Clock, 'now'>): WorkerSigner {
  let ahead = 0
  return {
    headers: (method, path) =>
      signRequest({ method, path, caller: NAME, requestId: '', body: null }, key, {
        now: clock.now() + ahead,
        nonce: randomBytes(16).toString('hex'),
      }),
    correct(workerTimeMs) {
      const before = ahead
      ahead = workerTimeMs - clock.now()
      return Math.abs(ahead - before) > NOTICEABLE_MS
    },
  }
}
