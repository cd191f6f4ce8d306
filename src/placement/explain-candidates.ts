import { type EdgeArtifact, type EdgeFacts, edgeObstacle, type OriginFacts, type PlacementFacts } from './policy.ts'

/** What spoke for or against a place, for people who ask for an explanation. */
export type CandidateReason =
  | 'fits-edge'
  | 'too-large-for-edge'
  | 'unsupported'
  | 'cost-too-high'
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

export interface CandidateExplanation {
  readonly place: 'edge' | 'origin'
  /** Of the origin. */
  readonly name?: string
  /** At the edge. */
  readonly artifact?: string
  /** Whether it could compute the answer. */
  readonly ok: boolean
  readonly reason: CandidateReason
}

/** Every artifact for the edge and every origin, in order. For people alone: no decision needs it. */
export function explainCandidates(facts: PlacementFacts): CandidateExplanation[] {
  const { edge, hint, origins, preference } = facts
  const trouble = edgeObstacle(edge)
  const first = edge.artifacts.find(({ support }) => support.ok)
  const artifacts = edge.artifacts.map((artifact): CandidateExplanation => {
    const against = hint === 'origin' ? 'other-place-asked-for' : artifactFault(edge, artifact)
    const fault = against ?? (artifact === first ? trouble : undefined)
    return { place: 'edge', artifact: artifact.id, ok: fault === undefined, reason: fault ?? 'fits-edge' }
  })
  const excluded = hint === 'edge' ? 'other-place-asked-for' : preference === 'edge' ? 'model-stays-at-edge' : undefined
  const others = origins.map((origin): CandidateExplanation => {
    const fault = excluded ?? originFault(origin)
    const reason = fault ?? (origin.state === 'half-open' ? 'half-open' : origin.answered === false ? 'untried' : 'up')
    return { place: 'origin', name: origin.name, ok: fault === undefined, reason }
  })
  return [...artifacts, ...others]
}

function artifactFault({ costLimit, full }: EdgeFacts, artifact: EdgeArtifact): CandidateReason | undefined {
  const { cost, support } = artifact
  if (!support.ok) return support.code === 'model_too_large' ? 'too-large-for-edge' : 'unsupported'
  if (cost !== undefined && costLimit !== undefined && cost > costLimit) return 'cost-too-high'
  return full ? 'edge-full' : undefined
}

function originFault({ hasModel, routeSupport, state }: OriginFacts): CandidateReason | undefined {
  if (!hasModel) return 'no-model'
  if (routeSupport === 'no') return 'other-protocol'
  return state === 'down' ? 'origin-down' : undefined
}
