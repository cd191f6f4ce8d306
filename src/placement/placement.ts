import type { Coordinates } from '../core/runtime.ts'
import type { Admission } from '../serving/admission.ts'
import type { ResolvedModel, RunContext, Runner } from '../serving/serving.ts'
import type { PlacementReason } from './policy.ts'

/** Where a request would like to be computed. */
export type PlaceHint = 'edge' | 'origin' | 'auto'

/** Where a request may be computed, as far as its caller has a say in it. */
export interface PlacementHints {
  readonly hint: PlaceHint
  /** Of the caller, where the platform knows it. */
  readonly callerAt?: Coordinates
}

/** What a request passes down to placement, and to the runs behind it. */
export interface PlacementContext extends RunContext {
  /** Absent where there is one place alone. */
  readonly placement?: PlacementHints
}

/** What a route speaks, as far as an origin has to speak it too; `own` is a path that Verge alone has. */
export type ForwardRoute = 'task' | 'oip' | 'openai' | 'rerank' | 'own'

/** A request as an origin may get it. */
export interface ForwardedRequest {
  readonly route: ForwardRoute
  readonly method: 'GET' | 'POST'
  /** With its query. */
  readonly path: string
  readonly headers: Headers
  /** Bytes can be sent again if the first origin fails; a stream only if nothing of it has been read. */
  readonly body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null
  /** `callerName` of who asks: an origin believes the Worker. */
  readonly caller: string
  /** The model by the name that the caller has for it, where it is not the model's own: answers repeat it. */
  readonly asked?: string | undefined
  /** The answer is a whole text, of which not even the headers come before it is written. */
  readonly wholeText?: boolean
}

/** An origin's answer to a request that was forwarded. */
export interface ForwardedAnswer {
  readonly response: Response
  /** The origin's name. */
  readonly origin: string
  /** What an hour of its work costs, where that is known. */
  readonly usdPerHour?: number | undefined
  readonly reason: PlacementReason
  /** Tries, the successful one included. */
  readonly attempts: number
}

/**
 * Where one request is computed: decided once, before its body is read, and kept as long as the request. It runs the
 * model where that is decided, and at the next place where one fails. Only what the decision could not know changes it:
 * that the body asks for too much, or that origins have failed.
 */
export interface Route extends Runner {
  /** An origin is to answer the request as it is. */
  readonly forward: boolean
  /** If that fails, the model can be run instead. */
  readonly fallback: boolean
  /**
   * Has an origin answer. Its body is passed on as it comes.
   * @throws origin_unavailable, origin_failed, overloaded, cancelled, deadline_exceeded
   */
  send(request: ForwardedRequest, context: PlacementContext): Promise<ForwardedAnswer>
  /** No origin is to be asked any more for this request. */
  giveUpOrigins(): void
}

export interface RouteFacts {
  readonly route: ForwardRoute
  /** No slot was free among the requests that are computed here. */
  readonly full: boolean
  /** What kept the edge from answering this very request. */
  readonly failed?: boolean
  /** The request cannot be forwarded as it is: tensors are all that an origin can be given. */
  readonly tensorsAlone?: boolean
}

/** Decides where requests are computed. Absent where there is one place alone: on an origin. */
export interface Placement {
  /** Slots for forwarded requests: many, because they take next to nothing here. */
  readonly admission: Admission
  /**
   * Where a request goes.
   * @throws placement_impossible, origin_unavailable where it can go nowhere
   */
  route(model: ResolvedModel, facts: RouteFacts, context: PlacementContext): Promise<Route>
  /** Whether an origin could answer for a model that cannot be run here. */
  reaches(model: ResolvedModel): boolean
  /** An origin has said that it is ready: what kept requests from it before is to be tried anew. */
  originReady?(): void
  /** The decision for a model, with all that was considered, for people. */
  explain(model: ResolvedModel, facts: RouteFacts, context: PlacementContext): Promise<unknown>
}
