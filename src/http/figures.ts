import { authorize, type Caller } from '../access/authorize.ts'
import { VergeError } from '../core/errors.ts'
import { refusedCredential } from '../inference/access.ts'

/** No model is called so: only a grant for all models covers it. */
const ANY_MODEL = { name: '', visibility: 'private' } as const

/**
 * For figures of all models together. They name private models, so that a key for some models is not enough.
 * @param what in the plural: `metrics`
 * @throws unauthorized, forbidden
 */
export function assertSeesFigures(caller: Caller, what: string): void {
  if (authorize(caller, null, 'metrics') && authorize(caller, ANY_MODEL, 'metrics')) return
  const who = `only the operator, and keys that allow "metrics" for all models, may see ${what}`
  throw caller.kind === 'anonymous'
    ? (refusedCredential(caller, who) ?? new VergeError('unauthorized', `Send a key: ${who}.`))
    : new VergeError('forbidden', `Send another key: ${who}.`)
}
