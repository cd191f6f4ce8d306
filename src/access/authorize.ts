import type { Visibility } from '../catalog/alias.ts'

/** Who is calling, as far as the request proves it. */
export type Caller =
  /**
   * `unaccepted`: a key was sent, or a binding names a caller, that is not known here. It gives no rights and takes away
   * none.
   */
  | { readonly kind: 'anonymous'; readonly unaccepted?: 'key' | 'name' }
  | { readonly kind: 'operator' }
  /** Another Worker of the account, by the name that its binding has and that the operator let in. */
  | { readonly kind: 'service'; readonly name: string }
  /** An origin of the operator's, which needs weights and catalogue. */
  | { readonly kind: 'origin'; readonly name: string }
  /** The Worker, for somebody whom it has let in; `name` is that caller's. */
  | { readonly kind: 'relayed'; readonly name: string }

/**
 * `infer` is running a live version of a model and reading its metadata, `unreleased` the same for versions that are not
 * live; `download` of weights is a grant of its own.
 */
export type Action = 'infer' | 'unreleased' | 'download' | 'explain' | 'metrics' | 'admin'

/** The model acted on; null for what concerns no single model. */
export interface Resource {
  readonly name: string
  readonly visibility: Visibility
}

/**
 * The one decision that stands before every route, list, socket and call. Closed by default: an operator may do
 * everything; a Worker that the operator let in may run the live versions of every model; what the Worker passes on to an
 * origin was decided by the Worker, the version included; an origin may read what it serves; anyone may run the live
 * versions of a public model. Everything else is refused.
 */
export function authorize(caller: Caller, model: Resource | null, action: Action): boolean {
  switch (caller.kind) {
    case 'operator':
      return true
    case 'service':
      return action === 'infer' && model !== null
    case 'relayed':
      return (action === 'infer' || action === 'unreleased') && model !== null
    case 'origin':
      return action === 'download'
    case 'anonymous':
      return action === 'infer' && model !== null && model.visibility === 'public'
  }
}

/** A name that tells callers apart; empty for all of whom nothing is known. */
export function callerName(caller: Caller): string {
  switch (caller.kind) {
    case 'operator':
      return 'operator'
    case 'service':
      return `service:${caller.name}`
    case 'origin':
      return `origin:${caller.name}`
    case 'relayed':
      return caller.name
    case 'anonymous':
      return ''
  }
}
