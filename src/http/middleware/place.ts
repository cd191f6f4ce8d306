import type { MiddlewareHandler } from 'hono'
import { VergeError } from '../../core/errors.ts'
import { PLACE_HEADER } from '../../core/headers.ts'
import type { Coordinates, PlaceHint } from '../../core/runtime.ts'
import type { AppEnv } from '../app-env.ts'

const HINTS: readonly PlaceHint[] = ['edge', 'origin', 'auto']

/**
 * Opens a request to placement: notes where its caller is, and where it wants to be computed.
 * @param near where a request comes from, as far as the platform knows
 */
export function placeAsk(near: (request: Request) => Coordinates | undefined): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const given = c.req.header(PLACE_HEADER)
    const hint = HINTS.find((candidate) => candidate === (given ?? 'auto'))
    if (hint === undefined) {
      throw new VergeError('invalid_request', `The header "${PLACE_HEADER}" may be ${HINTS.join(', ')}.`, {
        details: { field: PLACE_HEADER },
      })
    }
    const at = near(c.req.raw)
    c.set('context', { ...c.get('context'), placement: { hint, ...(at && { near: at }) } })
    await next()
  }
}
