import type { Context } from 'hono'
import type { Access } from '../inference/access.ts'
import { type AdmittedModel, infer } from '../inference/infer.ts'
import type { Slot } from '../inference/slot.ts'
import type { ForwardRoute } from '../placement/placement.ts'
import type { AppDeps, AppEnv } from './app-env.ts'
import { ForwardedHttpRequest } from './forwarding.ts'

export interface ModelRequest {
  readonly name: string
  readonly version: string | undefined
  readonly route: ForwardRoute
}

/** An inference whose path names the model: its body is read by `work`, after everything else. */
export function withAdmittedModel(
  deps: AppDeps,
  c: Context<AppEnv>,
  request: ModelRequest,
  work: (admitted: AdmittedModel, slot: Slot) => Promise<Response>,
): Promise<Response> {
  const { route } = request
  return infer<Response>(deps, accessOf(deps, c), {
    ...request,
    forwarding: ({ manifest }) => new ForwardedHttpRequest(deps, c, { route, manifest }),
    work,
  })
}

export function accessOf(deps: AppDeps, c: Context<AppEnv>): Access {
  return { serving: deps.serving, caller: c.get('caller'), context: c.get('context') }
}
