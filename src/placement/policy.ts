import type { PlacementPreference } from '../catalog/manifest.ts'
import type { ErrorCode } from '../core/errors.ts'
import type { Support } from '../engine/engine.ts'
import type { PlaceHint } from './placement.ts'

/** Why a place: what `verge-placement` says. */
export type PlacementReason =
  | 'only-place'
  | 'fits-edge'
  | 'too-large-for-edge'
  | 'edge-full'
  | 'cost-too-high'
  | 'edge-failed'
  | 'model-prefers-origin'
  | 'asked-for'
  | 'origin-down'

/** An artifact that the manifest names for the edge. */
export interface EdgeArtifact {
  readonly id: string
  readonly support: Support
  /** Price of this request, in a manifest's units, where it is known before the body is read. */
  readonly cost?: number
}

export interface EdgeFacts {
  /** In the manifest's order; the first that is supported is the one that the edge runs. */
  readonly artifacts: readonly EdgeArtifact[]
  /** No slot is free among the requests that are computed here. */
  readonly full: boolean
  /** A session of the artifact that it runs is in memory, and has not just failed for this very request. */
  readonly loaded: boolean
  /** One could be loaded: false where that failed a short while ago. Asked where none is. */
  readonly startable: boolean
  /** Units that one request may cost. */
  readonly costLimit?: number
}

/** An origin, as far as it matters for one request. */
export interface OriginFacts {
  readonly name: string
  readonly state: 'up' | 'half-open' | 'down'
  /** Whether it is known to have answered; left out: it is not known. For people alone. */
  readonly answered?: boolean
  readonly hasModel: boolean
  /** `forward`: this route's requests as they are; `tensors`: the model's inputs alone; `no`: neither. */
  readonly routeSupport: 'forward' | 'tensors' | 'no'
  /** Whether one to which requests are forwarded takes tensors too: all that is left once the edge has read a body. */
  readonly takesTensors?: boolean
}

export interface PlacementFacts {
  readonly model: string
  /** `placement` of the manifest; `auto` if that is left out. */
  readonly preference: PlacementPreference
  readonly hint: PlaceHint
  readonly edge: EdgeFacts
  /** In the order in which they are to be asked. */
  readonly origins: readonly OriginFacts[]
  /** Seconds until an origin that is down may be asked again, where that is known. */
  readonly retryAfter?: number
}

export interface EdgeStep {
  readonly place: 'edge'
  readonly artifact: string
  /** A lesser answer than the model's best: marked, and never kept. */
  readonly degraded: boolean
  readonly reason: PlacementReason
}

export interface OriginStep {
  readonly place: 'origin'
  /** Names, in the order in which they are to be asked. */
  readonly origins: readonly string[]
  readonly how: 'forward' | 'tensors'
  readonly reason: PlacementReason
}

export type Step = EdgeStep | OriginStep

/** Why a request can be computed nowhere, for whoever asked. */
export interface PlacementRefusal {
  readonly code: ErrorCode
  readonly message: string
  /** Seconds. */
  readonly retryAfter?: number
}

export interface Decision {
  /** To be tried in this order; empty: refused. */
  readonly steps: readonly Step[]
  /** Of the first step, or of the refusal. */
  readonly reason: PlacementReason
  readonly refusal?: PlacementRefusal
}

/** Seconds after which an origin of which no more is known may be back: a breaker's first wait. */
const RETRY_AFTER_SECONDS = 5

/**
 * Where a request is to be computed, and where else if that fails.
 *
 * | Model and request | First | Then |
 * | --- | --- | --- |
 * | hint `edge` | edge, `asked-for` | |
 * | hint `origin` | origin, `asked-for` | |
 * | `edge` | edge, `only-place` | |
 * | `origin` | origin, `model-prefers-origin` | edge, degraded, `origin-down` |
 * | `auto`, an artifact fits the edge | edge, `fits-edge` or `only-place` | origin, `edge-failed` |
 * | `auto`, the edge is full | origin, `edge-full` | edge, `origin-down` |
 * | `auto`, it could not load the model | origin, `edge-failed` | edge, `origin-down` |
 * | `auto`, over the cost limit of the edge | origin, `cost-too-high` | |
 * | `auto`, no artifact fits the edge | origin, `too-large-for-edge` or `only-place` | |
 *
 * Wherever the edge is allowed, the next artifact that it supports and that is within the cost limit comes last, degraded. Steps
 * at origins that are all down are left out. A hint for a place that the model does not have is `placement_impossible`;
 * where the origins that have the model are down and nothing else is left, `origin_unavailable`; where no origin has it,
 * the edge's own refusal. An edge that is full or over its cost limit is a step all the same if it is the only one: it refuses by
 * itself, with figures. Requests are forwarded before tensors are sent, because that reads the body.
 */
export function decide(facts: PlacementFacts): Decision {
  const { steps, reason, refusal } = plan(facts)
  return { steps, reason: steps[0]?.reason ?? reason, ...(refusal && { refusal }) }
}

interface Plan {
  readonly steps: readonly Step[]
  readonly reason: PlacementReason
  readonly refusal?: PlacementRefusal
}

function plan(facts: PlacementFacts): Plan {
  const { hint, preference } = facts
  if (hint === 'edge') return preference === 'edge' ? edgeAlone(facts, 'asked-for') : askedForEdge(facts)
  if (hint === 'origin') return askedForOrigin(facts)
  if (preference === 'edge') return edgeAlone(facts, 'only-place')
  return preference === 'origin' ? originPreferred(facts) : automatic(facts)
}

function askedForEdge(facts: PlacementFacts): Plan {
  if (best(facts) !== undefined) return edgeAlone(facts, 'asked-for')
  const message = `Model "${facts.model}" cannot run at the edge${becauseOf(facts.edge)}. Set "auto" or "origin".`
  return refuse('asked-for', { code: 'placement_impossible', message })
}

function askedForOrigin(facts: PlacementFacts): Plan {
  const steps = originSteps(facts, 'asked-for')
  if (steps.length > 0) return { steps, reason: 'asked-for' }
  if (facts.preference !== 'edge' && able(facts).length > 0) return originsDown(facts)
  const message = `No origin runs model "${facts.model}" for this kind of request. Set "auto" or "edge".`
  return refuse('asked-for', { code: 'placement_impossible', message })
}

function edgeAlone(facts: PlacementFacts, reason: PlacementReason): Plan {
  const first = best(facts)
  if (first === undefined) return edgeRefuses(facts)
  const degraded = facts.preference === 'origin'
  return { steps: [edgeStep(first, reason, degraded), ...spare(facts, 'edge-failed')], reason }
}

function originPreferred(facts: PlacementFacts): Plan {
  const steps: Step[] = originSteps(facts, 'model-prefers-origin')
  const first = best(facts)
  if (first !== undefined && (able(facts).length === 0 || !exceedsCostLimit(facts.edge, first))) {
    steps.push(edgeStep(first, 'origin-down', true))
  }
  steps.push(...spare(facts, 'origin-down'))
  return steps.length > 0 ? { steps, reason: 'model-prefers-origin' } : originsDown(facts)
}

function automatic(facts: PlacementFacts): Plan {
  const first = best(facts)
  const known = able(facts).length > 0
  if (first === undefined) {
    const tooLarge = facts.edge.artifacts.some(({ support }) => !support.ok && support.code === 'model_too_large')
    const reason = tooLarge ? 'too-large-for-edge' : 'only-place'
    const steps = originSteps(facts, reason)
    if (steps.length > 0) return { steps, reason }
    return known ? originsDown(facts) : edgeRefuses(facts)
  }
  const trouble = edgeObstacle(facts.edge)
  if (!known) return edgeAlone(facts, 'only-place')
  if (trouble === undefined) {
    const elsewhere = originSteps(facts, 'edge-failed', true)
    const last = spare(facts, elsewhere.length > 0 ? 'origin-down' : 'edge-failed')
    return { steps: [edgeStep(first, 'fits-edge', false), ...elsewhere, ...last], reason: 'fits-edge' }
  }
  const here = trouble === 'cost-too-high' ? [] : [edgeStep(first, 'origin-down', false)]
  const steps = [...originSteps(facts, trouble), ...here, ...spare(facts, 'origin-down')]
  return steps.length > 0 ? { steps, reason: trouble } : originsDown(facts)
}

/** What keeps the edge from running the model's first artifact for this request. */
export function edgeObstacle(edge: EdgeFacts): 'edge-full' | 'cost-too-high' | 'edge-failed' | undefined {
  const first = edge.artifacts.find(({ support }) => support.ok)
  if (first === undefined) return undefined
  // first of all: what is over the cost limit is so wherever there is room
  if (exceedsCostLimit(edge, first)) return 'cost-too-high'
  if (!edge.loaded && !edge.startable) return 'edge-failed'
  return edge.full ? 'edge-full' : undefined
}

function exceedsCostLimit({ costLimit }: EdgeFacts, { cost }: EdgeArtifact): boolean {
  return cost !== undefined && costLimit !== undefined && cost > costLimit
}

function best({ edge }: PlacementFacts): EdgeArtifact | undefined {
  return edge.artifacts.find(({ support }) => support.ok)
}

/** The artifact that is left when the first has failed. A request over the cost limit of the first alone is the edge's to refuse. */
function spare(facts: PlacementFacts, reason: PlacementReason): EdgeStep[] {
  const { edge } = facts
  const [first, ...others] = edge.artifacts.filter(({ support }) => support.ok)
  const next = others.find((artifact) => !exceedsCostLimit(edge, artifact))
  if (first === undefined || next === undefined) return []
  return reason === 'edge-failed' && exceedsCostLimit(edge, first) ? [] : [edgeStep(next, reason, true)]
}

function edgeStep({ id }: EdgeArtifact, reason: PlacementReason, degraded: boolean): EdgeStep {
  return { place: 'edge', artifact: id, degraded, reason }
}

/** Origins that have the model and could be asked, were they up. */
function able({ origins }: PlacementFacts): readonly OriginFacts[] {
  return origins.filter(({ hasModel, routeSupport }) => hasModel && routeSupport !== 'no')
}

/** @param bodyRead the edge is asked before, so that what can take tensors gets those */
function originSteps(facts: PlacementFacts, reason: PlacementReason, bodyRead = false): Step[] {
  if (facts.preference === 'edge') return []
  const live = able(facts).filter(({ state }) => state !== 'down')
  const takesTensors = (origin: OriginFacts): boolean =>
    origin.routeSupport === 'tensors' || (bodyRead && origin.takesTensors === true)
  const tensors = live.filter(takesTensors).map(({ name }) => name)
  const forward = live.filter((origin) => !takesTensors(origin)).map(({ name }) => name)
  const steps: OriginStep[] = [
    { place: 'origin', origins: forward, how: 'forward', reason },
    { place: 'origin', origins: tensors, how: 'tensors', reason },
  ]
  return (bodyRead ? steps.reverse() : steps).filter(({ origins }) => origins.length > 0)
}

function originsDown({ model, origins, retryAfter = RETRY_AFTER_SECONDS }: PlacementFacts): Plan {
  const message = origins.some(({ hasModel }) => hasModel)
    ? `No origin that runs model "${model}" can be reached. Try again in a moment.`
    : `Model "${model}" runs only at origins, but no configured origin has it. Its operator must add an origin to ORIGINS.`
  return refuse('origin-down', { code: 'origin_unavailable', message, retryAfter })
}

function edgeRefuses({ model, edge }: PlacementFacts): Plan {
  const refused = edge.artifacts.find(({ support }) => !support.ok)
  const code = refused === undefined || refused.support.ok ? 'engine_unsupported' : refused.support.code
  const message =
    refused === undefined
      ? `Model "${model}" has no artifact for the edge, and no origin runs it. Push such an artifact, or add an origin.`
      : `Model "${model}" cannot run at the edge${becauseOf(edge)}, and no origin runs it.`
  return refuse('only-place', { code, message })
}

function becauseOf({ artifacts }: EdgeFacts): string {
  const refused = artifacts.find(({ support }) => !support.ok)
  if (refused === undefined || refused.support.ok) return ': it has no artifact for the edge'
  return `: artifact ${refused.id} ${refused.support.reason}`
}

function refuse(reason: PlacementReason, refusal: PlacementRefusal): Plan {
  return { steps: [], reason, refusal }
}
