import type { Alias } from '../catalog/alias.ts'
import type { Artifact, Manifest } from '../catalog/manifest.ts'
import type { CallContext } from '../core/runtime.ts'
import type { Tensors } from '../core/tensors.ts'
import type { EngineHealth } from '../engine/engine.ts'
import type { InputShapes } from './pricing.ts'

/** A model's alias with the version asked for, or the one chosen among the live. */
export interface ResolvedModel {
  readonly alias: Alias
  readonly manifest: Manifest
  /** SHA-256 of the manifest's bytes. */
  readonly digest: string
}

export interface RunResult {
  /** Exactly the outputs asked for, in the order asked for; all of them, in the model's order, if none were named. */
  readonly outputs: Tensors
  readonly artifact: Artifact
  /** Whether the weights were already in memory; `cached`: the model was not run, the result cache had the outputs. */
  readonly start: 'warm' | 'cold' | 'cached'
  /** Set where less than the best was answered: such a result is never kept. */
  readonly degraded?: boolean
  /** Milliseconds by this isolate's clock, which stands still during pure CPU work in production. */
  readonly timings: { readonly loadMs: number; readonly queueMs: number; readonly runMs: number }
}

/** What the HTTP layer asks of everything below it. */
export interface Serving {
  /** The alias alone, for authorisation. Null if there is no such model. @throws alias_invalid, store_unavailable */
  alias(model: string, context: CallContext): Promise<Alias | null>
  /** @throws version_not_found, manifest_invalid, weights_unavailable */
  resolve(alias: Alias, version: string | undefined, context: CallContext): Promise<ResolvedModel>
  /** Every model's alias, for lists; the caller filters by `authorize`. */
  list(context: CallContext): Promise<readonly Alias[]>
  /**
   * Refuses runs that are too dear together, from their shapes alone and before the first of them. `run` refuses each
   * that is too dear with those before it; this spares a request of many runs the ones that would be thrown away.
   * @throws cost_too_high
   */
  afford(model: ResolvedModel, runs: readonly InputShapes[], context: CallContext): void
  /** Runs the best artifact for this place, loading it first where needed. Inputs have been checked for size. */
  run(
    model: ResolvedModel,
    inputs: Tensors,
    outputs: readonly string[] | undefined,
    context: CallContext,
  ): Promise<RunResult>
  /** One of the manifest's files, verified, parsed, and kept as long as the isolate keeps the model. */
  file<T>(model: ResolvedModel, name: string, parse: (bytes: Uint8Array) => T, context: CallContext): Promise<T>
  /** Whether the model could answer now: its manifest reads and some engine supports it. */
  ready(model: ResolvedModel): Promise<boolean>
  health(): Promise<EngineHealth>
}
