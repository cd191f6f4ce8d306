import type { Artifact, Manifest } from '../catalog/manifest.ts'
import type { Tensors } from '../core/tensors.ts'
import type { InputShapes } from '../engine/costs.ts'
import type { ArtifactCandidate, RefusedArtifact } from '../serving/candidates.ts'
import type { Generation, GenerationOptions, ResolvedModel, Runner, RunResult } from '../serving/serving.ts'
import type { PlacementContext } from './placement.ts'

/** What placement needs to know of the isolate before it decides. */
export interface EdgeState {
  /** As much work has been taken on here as callers would wait for. */
  readonly busy: boolean
  /** What a manifest has for the edge, best first, or smallest first. Loads nothing. */
  candidates(manifest: Manifest, smallest?: boolean): readonly ArtifactCandidate[]
  /** What a manifest has for the edge that is not understood here, because a newer Verge has written it. */
  aside(manifest: Manifest): readonly RefusedArtifact[]
  /** Whether an artifact's session is in memory. */
  loaded(artifact: Pick<Artifact, 'sha256'>): boolean
  /** What runs would cost here together with those before them, and what one request may. */
  estimateCost(
    model: ResolvedModel,
    artifact: Artifact,
    runs: readonly InputShapes[],
    context: PlacementContext,
  ): { readonly cost: number; readonly limit: number }
}

/** Runs an artifact that placement has chosen, whichever would be chosen otherwise. */
export interface EdgeRunner extends Pick<Runner, 'checkCost'> {
  prefetchOn(artifact: Artifact, model: ResolvedModel, context: PlacementContext): void
  runOn(
    artifact: Artifact,
    model: ResolvedModel,
    inputs: Tensors,
    outputs: readonly string[] | undefined,
    context: PlacementContext,
  ): Promise<RunResult>
  generateOn(
    artifact: Artifact,
    model: ResolvedModel,
    prompt: readonly number[],
    options: GenerationOptions,
    context: PlacementContext,
  ): Promise<Generation>
}
