import type { Alias } from '../catalog/alias.ts'
import { isVergeError, throwIfAborted } from '../core/errors.ts'
import type { Metering } from '../metering/metering.ts'
import { isEdgeFailure } from '../placement/failures.ts'
import type { ForwardRoute, Route, RouteFacts } from '../placement/placement.ts'
import type { Admission } from '../serving/admission.ts'
import type { Models, ResolvedModel, Runner } from '../serving/serving.ts'
import { type Access, noted, resolveVersion, visibleModel } from './access.ts'
import { type Forwarding, type ForwardingDeps, forwardToOrigin } from './forwarding.ts'
import { isAlike, MeteredRequest } from './metered.ts'
import type { AdmittedModel } from './model-runner.ts'
import { type ObservedDeps, ObservedRequest } from './observed.ts'
import { placedRoute } from './places.ts'
import type { Shadows } from './shadow/shadows.ts'
import { Slot } from './slot.ts'

/** An inference as HTTP, RPC or a stream asks for it. */
export interface Inference<A> {
  /** The model's name, where it is known before the body is read. */
  readonly name?: string
  /** The version asked for; undefined: one of those that are live. */
  readonly version?: string | undefined
  /** The version was chosen earlier, and is kept though it may no longer be live. */
  readonly settled?: boolean
  /** Part of a request that was counted when it began: a message of a stream. */
  readonly continued?: boolean
  readonly route: ForwardRoute
  /** Waits for a slot; left out: the request is refused where none is free. */
  readonly wait?: (slot: Slot) => Promise<void>
  /**
   * Reads the body before the model is resolved, where only the body names it.
   * @returns the model's name
   */
  readonly read?: (slot: Slot) => Promise<string>
  /** How the request is passed on to an origin as it is; undefined where it cannot be, and tensors alone can. */
  readonly forwarding?: (model: ResolvedModel) => Forwarding<A> | undefined
  /** Computes the answer here, as far as the runner does not have an origin run the model. */
  readonly work: (admitted: AdmittedModel, slot: Slot) => Promise<A>
}

/**
 * The order that every inference keeps: ask what the caller has left, find the model, ask whether the caller may run it,
 * take a slot, decide where the request is computed, pass it on if an origin is to answer, and only then do the work, which
 * reads the body. A run blocks the event loop, so a queue would never be seen to fill if bodies were read first; and a caller who is refused has cost
 * nothing but its headers. Protocols that name the model in the body have it read first, in the slot, and nothing of it is
 * looked at but the name before the caller is known to have access.
 * @throws what each of these steps throws
 */
export async function infer<A>(deps: InferenceDeps, access: Access, inference: Inference<A>): Promise<A> {
  const { metering, placement, serving } = deps
  const { context } = access
  const { name, forwarding: forwardingOf, read, route, settled = false, version, wait, work } = inference
  const { continued = false } = inference
  const observed = ObservedRequest.begin(deps, access, { via: route, continued })
  const metered = metering && (await begun(metering, access, continued, observed))
  const told: Told = { metered, observed }
  const slot = new Slot(deps.admission, context.requestId, endOf(told))
  return slot.during(async () => {
    const known = name === undefined ? undefined : await allowedModel(access, name, told)
    if (wait !== undefined) await wait(slot)
    // An origin may have room where there is none here.
    else if (placement !== undefined) slot.takeIfFree()
    else slot.take()
    throwIfAborted(context.signal)
    const named = await read?.(slot)
    if (version !== undefined && context.ledger !== undefined) context.ledger.named = true
    const alias: Alias = known ?? (await allowedModel(access, named ?? '', told))
    const asked = settled
      ? noted(context.ledger, await serving.resolve(alias, version, context))
      : await resolveVersion(access, alias, version)
    const instead = settled || version !== undefined ? undefined : metered?.insteadOf(asked.manifest.model)
    const model = instead === undefined ? asked : await cheaperModel(access, asked, instead, told)
    const shadowed = model.alias.canary && deps.shadows?.begin(model, context)
    const forwarding = forwardingOf?.(model)
    const facts: RouteFacts = {
      route,
      full: !slot.held,
      failed: false,
      ...(forwarding === undefined && { tensorsAlone: true }),
    }
    const first = await placedRoute(placement, access, model, facts)
    const forward = (decision: Route | undefined) =>
      decision === undefined || forwarding === undefined
        ? undefined
        : forwardToOrigin(deps, access, { model, forwarding, slot, decision })
    const answer = await forward(first)
    if (answer !== undefined) {
      shadowed?.forwarded()
      return answer.value
    }
    slot.take()
    try {
      const runner = first ?? serving
      const done = await work({ model, runner: shadowed?.around(runner) ?? runner }, slot)
      shadowed?.answered()
      return done
    } catch (error) {
      if (placement === undefined || forwarding?.replayable !== true || !isEdgeFailure(error)) throw error
      // What the edge could not do is a new fact, by which an origin may be asked after all.
      const elsewhere = await forward(
        await placedRoute(placement, access, model, { ...facts, full: !slot.held, failed: true }),
      )
      if (elsewhere === undefined) throw error
      shadowed?.forwarded()
      return elsewhere.value
    }
  })
}

/** Who is told of a request, from its beginning to its end. */
interface Told {
  readonly metered: MeteredRequest | undefined
  readonly observed: ObservedRequest | undefined
}

/** What ends a request; undefined where nobody is to be told. */
function endOf({ metered, observed }: Told): ((failure?: unknown) => void) | undefined {
  if (metered === undefined || observed === undefined) return metered?.finish ?? observed?.finish
  return (failure) => {
    metered.finish(failure)
    observed.finish(failure)
  }
}

/** A request that is limited and counted. Who watches is told of those that are refused, too. */
async function begun(
  metering: Metering,
  access: Access,
  continued: boolean,
  observed: ObservedRequest | undefined,
): Promise<MeteredRequest> {
  try {
    return await MeteredRequest.begin(metering, access, continued)
  } catch (error) {
    observed?.finish(error)
    throw error
  }
}

/** A model that the caller may run, and that has room for the request by its own limits. */
async function allowedModel(access: Access, name: string, { metered, observed }: Told): Promise<Alias> {
  const alias = await visibleModel(access, name)
  observed?.found(alias.model)
  const granted = metered?.forModel(alias.model)
  if (granted !== undefined) await granted
  return alias
}

/** What the caller's plan has answered instead, where the caller may run it and its answers have the same form. */
async function cheaperModel(access: Access, asked: ResolvedModel, name: string, told: Told): Promise<ResolvedModel> {
  try {
    const cheaper = await resolveVersion(access, await allowedModel(access, name, told), undefined)
    if (isAlike(asked.manifest, cheaper.manifest)) return cheaper
  } catch (error) {
    if (!isVergeError(error)) throw error
    throwIfAborted(access.context.signal)
  }
  noted(access.context.ledger, asked)
  return asked
}

/** What an inference needs from outside, whichever way it was asked for. */
export interface InferenceDeps extends ForwardingDeps, ObservedDeps {
  readonly serving: Models & Runner
  readonly admission: Admission
  /** Limits and counts requests. Absent where nothing is limited and nobody counts. */
  readonly metering?: Metering
  /** Repeats requests to models with a canary. Absent where none is watched. */
  readonly shadows?: Pick<Shadows, 'begin'>
}
