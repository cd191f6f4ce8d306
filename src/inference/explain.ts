import { authorize } from '../access/authorize.ts'
import type { Manifest } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import type { ForwardRoute, Placement } from '../placement/placement.ts'
import { type Access, refusedCredential, resolveVersion, visibleModel } from './access.ts'

/** Where a request would be computed now, and why. */
export interface Explanation {
  readonly manifest: Manifest
  readonly decision: unknown
}

/**
 * The decision for a request to a model, without computing it. For the operator alone.
 * @param placement undefined where there is one place alone
 * @throws forbidden, unauthorized, and what finding a model throws
 */
export async function explainPlacement(
  placement: Placement | undefined,
  access: Access,
  {
    name,
    route,
    version,
  }: { readonly name: string; readonly route: ForwardRoute; readonly version: string | undefined },
): Promise<Explanation> {
  const alias = await visibleModel(access, name)
  const { caller, context } = access
  if (!authorize(caller, { name: alias.model, visibility: alias.visibility }, 'explain')) {
    throw (
      refusedCredential(caller, 'only the operator may see how a request is placed') ??
      new VergeError('forbidden', "Only the operator may see how a request is placed. Send the operator's key.")
    )
  }
  const model = await resolveVersion(access, alias, version)
  const decision = (await placement?.explain(model, { route, full: false }, context)) ?? { reason: 'only-place' }
  return { manifest: model.manifest, decision }
}
