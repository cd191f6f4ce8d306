import type { Caller } from '../access/authorize.ts'
import { VergeError } from '../core/errors.ts'

/**
 * A failure as a caller may see it. Why an engine could not load a model is for its operator, in the engine's own words:
 * they name nodes and types of a model that may be nobody else's business, and tell others nothing that they can act on.
 */
export function shownTo(caller: Caller | undefined, error: VergeError): VergeError {
  if (error.code !== 'model_invalid' || caller?.kind === 'operator') return error
  return new VergeError(
    'model_invalid',
    'The model could not be loaded. Its operator has to push it again; the log says why under the id of this request.',
    { cause: error },
  )
}
