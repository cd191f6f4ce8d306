import type { Alias } from '../catalog/alias.ts'
import type { ListQuery, ModelPage } from '../catalog/index/query.ts'
import type { Artifact, Manifest, Place } from '../catalog/manifest.ts'
import type { ModelFile } from '../catalog/model-file.ts'
import type { RequestContext } from '../core/runtime.ts'
import type { Tensors } from '../core/tensors.ts'
import type { InputShapes } from '../engine/costs.ts'
import type { EngineHealth, GenerateOptions } from '../engine/engine.ts'
import type { RunLedger, RunTimings, Start } from './ledger.ts'
import type { ModelStatistics } from './statistics.ts'

/** Use of the result cache that a caller allows: read and write, write only, or none. */
export type CacheMode = 'use' | 'refresh' | 'off'

/** What a request passes down to the runs that are made for it. */
export interface RunContext extends RequestContext {
  /**
   * Runs that had finished when this request came in. If none has finished since, the event loop has turned after the
   * last one: it brought this request.
   */
  readonly runsBefore: number
  /**
   * Use of the result cache by this request; absent: none. `scope` names the caller: results of private models are
   * cached per caller.
   */
  readonly cache?: { readonly mode: CacheMode; readonly scope: string }
  /** Whose requests one version answers while several are live. Absent: each is given one by itself. Never logged. */
  readonly sticky?: string | undefined
  readonly ledger?: RunLedger
}

/** A model's alias with the version asked for, or the one chosen among the live. */
export interface ResolvedModel {
  readonly alias: Alias
  readonly manifest: Manifest
  /** SHA-256 of the manifest's bytes. */
  readonly digest: string
}

export interface RunResult {
  /** Exactly the outputs asked for, in the order asked for; all that are tensors, in the model's order, if none were named. */
  readonly outputs: Tensors
  /** Undefined if the operator's own server ran its weights. */
  readonly artifact: Artifact | undefined
  readonly start: Start
  /** Set where less than the best was answered: such a result is never kept. */
  readonly degraded?: boolean
  /** Where it ran; the edge if left out. */
  readonly place?: Place
  /** The origin's name, where an origin ran it. */
  readonly origin?: string
  /** Why there, as `verge-placement` says it: `only-place` if left out. */
  readonly reason?: string
  readonly timings: RunTimings
}

export type GenerationOptions = Pick<GenerateOptions, 'stopTokens' | 'maxNewTokens' | 'choose' | 'signal'>

/** A text that is being written, token by token. */
export interface Generation extends Pick<RunResult, 'artifact' | 'start' | 'degraded' | 'place' | 'origin' | 'reason'> {
  /** To be read to the end, or left by `return`: until then its session is held. */
  readonly tokens: AsyncIterableIterator<number>
}

/** Finds models and what belongs to them. */
export interface Models {
  /** The alias alone, for authorization. Null if there is no such model. @throws alias_invalid, store_unavailable */
  alias(model: string, context: RunContext): Promise<Alias | null>
  /** @throws version_not_found, manifest_invalid, weights_unavailable */
  resolve(alias: Alias, version: string | undefined, context: RunContext): Promise<ResolvedModel>
  /** A part of the list of models. @throws store_unavailable */
  list(query: ListQuery, context: RunContext): Promise<ModelPage>
  /** One of the manifest's files, verified, parsed, and kept as long as the isolate keeps the model. */
  file<T>(model: ResolvedModel, file: ModelFile<T>, context: RunContext): Promise<T>
  /**
   * Begins to read files that a request is going to ask for, before its body is there. Never throws: what goes wrong is
   * for `file` to say.
   */
  prefetchFiles(model: ResolvedModel, files: readonly ModelFile[], context: RunContext): void
}

/** Runs models. */
export interface Runner {
  /** Whose artifacts are run; the edge's if left out. */
  readonly place?: Place
  /**
   * Refuses runs that together are over the cost limit, from their shapes alone and before the first of them. `run` refuses each
   * that exceeds the limit with those before it; this spares a request of many runs the ones that would be thrown away.
   * @throws cost_too_high
   */
  checkCost(model: ResolvedModel, runs: readonly InputShapes[], context: RunContext): void
  /**
   * Begins to load what `run` or `generate` is going to run here, before it is known with what. Never throws: what goes
   * wrong is for them to say.
   */
  prefetch(model: ResolvedModel, context: RunContext): void
  /** Runs the best artifact for this place, loading it first where needed. Inputs have been checked for size. */
  run(
    model: ResolvedModel,
    inputs: Tensors,
    outputs: readonly string[] | undefined,
    context: RunContext,
  ): Promise<RunResult>
  /**
   * Continues a prompt with a causal language model; the session is loaded when this resolves, and nothing has run yet.
   * `options.signal` ends the writing; the context's is for the time until then.
   * @throws cost_too_high for prompt and answer together, engine_unsupported, and what loading throws
   */
  generate(
    model: ResolvedModel,
    prompt: readonly number[],
    options: GenerationOptions,
    context: RunContext,
  ): Promise<Generation>
}

/** Says what can be answered. */
export interface Readiness {
  /** Whether the model could answer now: its manifest reads and some engine supports it. */
  ready(model: ResolvedModel): Promise<boolean>
  /** Whether an artifact's session is in memory. */
  loaded(artifact: Pick<Artifact, 'sha256'>): boolean
  /** Versions with an artifact whose session is in memory, as far as their manifests are. */
  held(): readonly Manifest[]
  health(): Promise<EngineHealth>
}

/** What an operator may know and decide of the models in this process. */
export interface Residence {
  /** Loads the model, and keeps it from being evicted for others as long as this process lives. @throws what loading throws */
  pin(model: ResolvedModel, context: RunContext): Promise<void>
  /**
   * Lets a version's weights go as soon as no request uses them, and those of the model's other versions that were pinned.
   * They are loaded again when a request needs them.
   */
  evict(model: ResolvedModel): void
  /** Since this process began. */
  statistics(model: ResolvedModel): ModelStatistics
}

/** Is told what requests ask of a serving. */
export interface ServingObserver {
  resolved(model: ResolvedModel): void
  /** A token of a text was written. */
  token(model: string): void
}

/** The interface of a place where models run. Most callers need one of its three parts. */
export interface Serving extends Models, Runner, Readiness {}
