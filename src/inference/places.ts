import { type Caller, mayCompute } from '../access/authorize.ts'
import { isVergeError, VergeError } from '../core/errors.ts'
import type { PlaceHint, Placement, Route, RouteFacts } from '../placement/placement.ts'
import type { ResolvedModel } from '../serving/serving.ts'
import { type Access, credentialOf } from './access.ts'
import type { CallContext } from './call.ts'

/**
 * Where a request is to be computed, within the places that its caller's grant names; undefined where there is one place alone.
 * @throws forbidden, placement_impossible, and what `Placement` throws
 */
export async function placedRoute(
  placement: Placement | undefined,
  access: Access,
  model: ResolvedModel,
  facts: RouteFacts,
): Promise<Route | undefined> {
  const { caller, context } = access
  const narrowed = narrowedContext(access)
  const hint = narrowed.placement?.hint
  if (placement === undefined) {
    if (narrowed === context || hint !== 'origin') return undefined
    throw nowhere(caller, 'origin', model)
  }
  try {
    return await placement.route(model, facts, narrowed)
  } catch (error) {
    // Nobody asked for the place, so asking for another one is of no use.
    if (narrowed === context || hint === undefined || !isVergeError(error, 'placement_impossible')) throw error
    throw nowhere(caller, hint, model, error)
  }
}

/**
 * The context of a request with the place that is left, where its caller's grant leaves one alone.
 * @throws forbidden if it leaves none, or another than the request asks for
 */
export function narrowedContext({ caller, context }: Access): CallContext {
  const [edge, origin] = [mayCompute(caller, 'edge'), mayCompute(caller, 'origin')]
  if (edge && origin) return context
  const asked = context.placement?.hint ?? 'auto'
  const left = edge ? 'edge' : 'origin'
  if (!edge && !origin) {
    throw forbidden(`Your ${credentialOf(caller)} allows running models in browsers only. Run the model in a browser.`)
  }
  if (asked === left) return context
  if (asked !== 'auto') {
    throw forbidden(`Your ${credentialOf(caller)} does not allow the place "${asked}". Ask for "auto" or "${left}".`)
  }
  return { ...context, placement: { ...context.placement, hint: left } }
}

function nowhere(caller: Caller, place: PlaceHint, { manifest }: ResolvedModel, cause?: unknown): VergeError {
  return forbidden(
    `Your ${credentialOf(caller)} allows the place "${place}" only, and model "${manifest.model}" cannot run there. Ask the operator for another one.`,
    cause,
  )
}

function forbidden(message: string, cause?: unknown): VergeError {
  return new VergeError('forbidden', message, { details: { field: 'places' }, ...(cause !== undefined && { cause }) })
}
