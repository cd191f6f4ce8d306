import type { Context } from 'hono'
import { throwIfAborted } from '../core/errors.ts'
import type { Ticket } from '../serving/admission.ts'
import type { ResolvedModel } from '../serving/serving.ts'
import type { AppDeps, AppEnv } from './app-env.ts'
import { type Access, resolveVersion, visibleModel } from './model-access.ts'

export interface ModelRequest {
  readonly name: string
  readonly version: string | undefined
}

/**
 * The order that every inference keeps: find the model, ask whether the caller may run it, take a place, and only then
 * read the body, which `work` does. A run blocks the event loop, so a queue would never be seen to fill if bodies were
 * read first; and a caller who is refused has cost nothing but its headers.
 */
export async function withAdmittedModel<T>(
  deps: AppDeps,
  c: Context<AppEnv>,
  request: ModelRequest,
  work: (model: ResolvedModel, ticket: Ticket) => Promise<T>,
): Promise<T> {
  const access: Access = accessOf(deps, c)
  const alias = await visibleModel(access, request.name)
  const ticket = deps.admission.enter(access.context.requestId)
  try {
    throwIfAborted(access.context.signal)
    return await work(await resolveVersion(access, alias, request.version), ticket)
  } finally {
    ticket.leave()
  }
}

export function accessOf(deps: AppDeps, c: Context<AppEnv>): Access {
  return { serving: deps.serving, caller: c.get('caller'), context: c.get('context') }
}
