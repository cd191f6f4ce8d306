import type { Context } from 'hono'
import { throwIfAborted } from '../core/errors.ts'
import type { ForwardRoute } from '../placement/placement.ts'
import type { ResolvedModel } from '../serving/serving.ts'
import type { AppDeps, AppEnv } from './app-env.ts'
import { forwarded } from './forwarding.ts'
import { type Access, resolveVersion, visibleModel } from './model-access.ts'
import { Place } from './place.ts'

export interface ModelRequest {
  readonly name: string
  readonly version: string | undefined
  readonly route: ForwardRoute
}

/**
 * The order that every inference keeps: find the model, ask whether the caller may run it, take a place, see whether an
 * origin is to answer, and only then read the body, which `work` does. A run blocks the event loop, so a queue would
 * never be seen to fill if bodies were read first; and a caller who is refused has cost nothing but its headers.
 */
export async function withAdmittedModel(
  deps: AppDeps,
  c: Context<AppEnv>,
  request: ModelRequest,
  work: (model: ResolvedModel, place: Place) => Promise<Response>,
): Promise<Response> {
  const access: Access = accessOf(deps, c)
  const { requestId, signal } = access.context
  const alias = await visibleModel(access, request.name)
  const place = new Place(deps.admission, requestId)
  return place.during(async () => {
    if (deps.placement === undefined) place.take()
    // An origin may have room where there is none here.
    else place.takeIfFree()
    throwIfAborted(signal)
    const model = await resolveVersion(access, alias, request.version)
    const answer = await forwarded(deps, c, { model, route: request.route, place })
    if (answer !== undefined) return answer
    place.take()
    return work(model, place)
  })
}

export function accessOf(deps: AppDeps, c: Context<AppEnv>): Access {
  return { serving: deps.serving, caller: c.get('caller'), context: c.get('context') }
}
