import { authorize } from '../access/authorize.ts'
import type { Manifest } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import type { ForwardRoute, Placement } from '../placement/placement.ts'
import { type Access, refusedCredential, resolveVersion, resourceOf, seenModel } from './access.ts'
import { narrowedContext } from './places.ts'

/** Where a request would be computed now, and why. */
export interface Explanation {
  readonly manifest: Manifest
  readonly decision: unknown
}

/**
 * The decision for a request to a model, without computing it. For the operator, and keys that allow it.
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
  const alias = await seenModel(access, name)
  const { caller } = access
  if (!authorize(caller, resourceOf(alias), 'explain')) {
    const who = 'only the operator, and keys that allow "explain" for the model, may see how a request is placed'
    if (caller.kind === 'anonymous') {
      throw refusedCredential(caller, who) ?? new VergeError('unauthorized', `Send a key: ${who}.`)
    }
    throw new VergeError('forbidden', `Send another key: ${who}.`)
  }
  const model = await resolveVersion(access, alias, version)
  const decision = (await placement?.explain(model, { route, full: false }, narrowedContext(access))) ?? {
    reason: 'only-place',
  }
  return { manifest: model.manifest, decision }
}
