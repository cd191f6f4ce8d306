import type { OriginKind } from '../origin.ts'
import type { ForwardRoute } from '../placement.ts'

/** How a route can be had from an origin: the request as it is, its tensors alone, or not at all. */
export type RouteSupport = 'forward' | 'tensors' | 'no'

/**
 * What an origin of a kind makes of a route. One that speaks the Open Inference Protocol alone runs the network of a
 * task; what comes before and after is then done here.
 * @param generates whether the model runs once for each token of the answer, which tensors alone cannot ask for
 */
export function routeSupport(kind: OriginKind, route: ForwardRoute, generates = false): RouteSupport {
  switch (kind) {
    case 'verge':
      return 'forward'
    case 'oip':
      if (generates) return 'no'
      return route === 'oip' ? 'forward' : 'tensors'
    case 'openai':
      return route === 'openai' || route === 'rerank' ? 'forward' : 'no'
  }
}
