import type { Visibility } from '../catalog/alias.ts'

/** Who is calling, as far as the request proves it. */
export type Caller = { readonly kind: 'anonymous' } | { readonly kind: 'operator' }

/** `infer` is running a model and reading its metadata; `download` of weights is a grant of its own. */
export type Action = 'infer' | 'download' | 'explain' | 'metrics' | 'admin'

/** The model acted on; null for what concerns no single model. */
export interface Resource {
  readonly name: string
  readonly visibility: Visibility
}

/**
 * The one decision that stands before every route, list, socket and call. Closed by default: an operator may do
 * everything, anyone may run a public model, nobody else may do anything.
 */
export function authorize(caller: Caller, model: Resource | null, action: Action): boolean {
  switch (caller.kind) {
    case 'operator':
      return true
    case 'anonymous':
      return action === 'infer' && model !== null && model.visibility === 'public'
  }
}
