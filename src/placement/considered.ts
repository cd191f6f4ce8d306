import { type EdgeArtifact, type EdgeFacts, edgeTrouble, type OriginFacts, type PlacementFacts } from './policy.ts'

/** What spoke for or against a place, for people who ask for an explanation. */
export type ConsideredReason =
  | 'fits-edge'
  | 'too-large-for-edge'
  | 'unsupported'
  | 'too-dear'
  | 'edge-full'
  | 'edge-failed'
  | 'up'
  /** Nothing speaks against it, and nobody has asked it yet. */
  | 'untried'
  | 'half-open'
  | 'origin-down'
  | 'no-model'
  | 'other-protocol'
  | 'model-stays-at-edge'
  | 'other-place-asked-for'

export interface Considered {
  readonly place: 'edge' | 'origin'
  /** Of the origin. */
  readonly name?: string
  /** At the edge. */
  readonly artifact?: string
  /** Whether it could compute the answer. */
  readonly ok: boolean
  readonly reason: ConsideredReason
}

/** Every artifact for the edge and every origin, in order. For people alone: no decision needs it. */
export function considered(facts: PlacementFacts): Considered[] {
  const { edge, hint, origins, preference } = facts
  const trouble = edgeTrouble(edge)
  const first = edge.artifacts.find(({ support }) => support.ok)
  const artifacts = edge.artifacts.map((artifact): Considered => {
    const against = hint === 'origin' ? 'other-place-asked-for' : artifactFault(edge, artifact)
    const fault = against ?? (artifact === first ? trouble : undefined)
    return { place: 'edge', artifact: artifact.id, ok: fault === undefined, reason: fault ?? 'fits-edge' }
  })
  const excluded = hint === 'edge' ? 'other-place-asked-for' : preference === 'edge' ? 'model-stays-at-edge' : undefined
  const others = origins.map((origin): Considered => {
    const fault = excluded ?? originFault(origin)
    const reason = fault ?? (origin.state === 'half-open' ? 'half-open' : origin.answered === false ? 'untried' : 'up')
    return { place: 'origin', name: origin.name, ok: fault === undefined, reason }
  })
  return [...artifacts, ...others]
}

function artifactFault({ costLimit, full }: EdgeFacts, artifact: EdgeArtifact): ConsideredReason | undefined {
  const { cost, support } = artifact
  if (!support.ok) return support.code === 'model_too_large' ? 'too-large-for-edge' : 'unsupported'
  if (cost !== undefined && costLimit !== undefined && cost > costLimit) return 'too-dear'
  return full ? 'edge-full' : undefined
}

function originFault({ hasModel, speaks, state }: OriginFacts): ConsideredReason | undefined {
  if (!hasModel) return 'no-model'
  if (speaks === 'no') return 'other-protocol'
  return state === 'down' ? 'origin-down' : undefined
}
