import type { Visibility } from '../catalog/alias.ts'

/** Who is calling, as far as the request proves it. */
export type Caller =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'operator' }
  /** Another Worker of the account, by the name that its binding has and that the operator let in. */
  | { readonly kind: 'service'; readonly name: string }

/** `infer` is running a model and reading its metadata; `download` of weights is a grant of its own. */
export type Action = 'infer' | 'download' | 'explain' | 'metrics' | 'admin'

/** The model acted on; null for what concerns no single model. */
export interface Resource {
  readonly name: string
  readonly visibility: Visibility
}

/**
 * The one decision that stands before every route, list, socket and call. Closed by default: an operator may do
 * everything, a Worker that it let in may run every model, anyone may run a public one, nobody may do anything else.
 */
export function authorize(caller: Caller, model: Resource | null, action: Action): boolean {
  switch (caller.kind) {
    case 'operator':
      return true
    case 'service':
      return action === 'infer' && model !== null
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
    case 'anonymous':
      return ''
  }
}
