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
  /** The Worker, for a caller that it has authorized; `name` is that caller's. */
  | { readonly kind: 'relayed'; readonly name: string }

/**
 * `infer`: run a live version of a model and read its metadata. `unreleased`: the same for versions that are not live.
 * `browser`: receive what a browser needs to run a version. `download`: read the weights of every model, a separate
 * permission.
 */
export type Action = 'infer' | 'unreleased' | 'browser' | 'download' | 'explain' | 'metrics' | 'admin'

/** The model acted on; null for what concerns no single model. */
export interface Resource {
  readonly name: string
  readonly visibility: Visibility
  /** Of the version that is asked for: whether its manifest lets browsers download it. Left out: no. */
  readonly downloadable?: boolean | undefined
}

/**
 * The single access decision for every route, list, socket and call. Closed by default: an operator may do everything;
 * a Worker admitted by the operator may run the live versions of every model; for forwarded requests the Worker has
 * already decided, including the version; an origin may read the models that it serves; anyone may run the live
 * versions of a public model. Browsers receive a version that is downloadable, from the Worker alone, for callers who may
 * run it; one that is not, nobody's browser receives. Everything else is refused.
 */
export function authorize(caller: Caller, model: Resource | null, action: Action): boolean {
  if (action === 'browser') {
    return model?.downloadable === true && caller.kind !== 'relayed' && authorize(caller, model, 'infer')
  }
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
