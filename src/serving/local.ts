import type { Alias } from '../catalog/alias.ts'
import { chooseLive } from '../catalog/choose.ts'
import type { Artifact, Manifest } from '../catalog/manifest.ts'
import type { CatalogReader } from '../catalog/reader.ts'
import { VergeError } from '../core/errors.ts'
import type { CallContext, Clock } from '../core/runtime.ts'
import type { Tensors } from '../core/tensors.ts'
import type { Engine, EngineHealth } from '../engine/engine.ts'
import { sessionFootprint } from '../engine/footprint.ts'
import type { SessionCache } from '../sessions/cache.ts'
import type { BlobLoader } from '../weights/loader.ts'
import type { FileCache } from './files.ts'
import { assertAffordable, type InputShapes } from './pricing.ts'
import type { RunCache } from './results/run-cache.ts'
import type { ResolvedModel, RunResult, Serving } from './serving.ts'

export interface EdgeServingOptions {
  readonly catalog: CatalogReader
  readonly blobs: BlobLoader
  readonly files: FileCache
  readonly engine: Engine
  readonly sessions: SessionCache
  readonly results: RunCache
  /** Units that the runs of one request may cost together. */
  readonly costLimit: number
  /** Models whose sessions are never evicted. */
  readonly pinned: ReadonlySet<string>
  readonly clock: Clock
  /** Uniform in [0, 1): picks among the live versions. */
  readonly random: () => number
}

/** Serves models from this isolate: catalogue, weights, sessions and engine put together. */
export class EdgeServing implements Serving {
  readonly #options: EdgeServingOptions

  constructor(options: EdgeServingOptions) {
    this.#options = options
  }

  alias(model: string, context: CallContext): Promise<Alias | null> {
    return this.#options.catalog.alias(model, context.signal)
  }

  list(context: CallContext): Promise<readonly Alias[]> {
    return this.#options.catalog.list(context.signal)
  }

  async resolve(alias: Alias, version: string | undefined, context: CallContext): Promise<ResolvedModel> {
    const chosen = version ?? chooseLive(alias, this.#options.random())
    const digest = Object.hasOwn(alias.versions, chosen) ? alias.versions[chosen] : undefined
    if (digest === undefined) {
      throw new VergeError('version_not_found', `Model "${alias.model}" has no version "${chosen}".`, {
        details: { model: alias.model, versions: Object.keys(alias.versions).slice(0, 20) },
      })
    }
    const manifest = await this.#options.catalog.manifest(alias.model, chosen, digest, context.signal)
    return { alias, manifest, digest }
  }

  afford(model: ResolvedModel, runs: readonly InputShapes[], context: CallContext): void {
    this.#afford(model, this.#artifactFor(model.manifest), runs, context)
  }

  #afford({ manifest }: ResolvedModel, artifact: Artifact, runs: readonly InputShapes[], context: CallContext): number {
    const spent = context.ledger?.cost ?? 0
    const { model, inputs } = manifest
    return assertAffordable(runs, { model, artifact, inputs, spent, limit: this.#options.costLimit })
  }

  async run(
    model: ResolvedModel,
    inputs: Tensors,
    outputs: readonly string[] | undefined,
    context: CallContext,
  ): Promise<RunResult> {
    const artifact = this.#artifactFor(model.manifest)
    const price = this.#afford(model, artifact, [inputs], context)
    if (context.ledger !== undefined) context.ledger.cost += price
    return this.#options.results.through({ model, artifact, inputs, outputs, price }, context, () =>
      this.#run(model, artifact, inputs, outputs, context),
    )
  }

  #run(
    model: ResolvedModel,
    artifact: Artifact,
    inputs: Tensors,
    outputs: readonly string[] | undefined,
    context: CallContext,
  ): Promise<RunResult> {
    const { blobs, clock, engine, pinned, sessions } = this.#options
    const begun = clock.now()
    return sessions.use(
      {
        key: artifact.sha256,
        bytes: sessionFootprint(artifact),
        pinned: pinned.has(model.manifest.model),
        load: async ({ signal, onProgress }) => {
          const source = blobs.source(artifact)
          const deliver: typeof source.deliver = (write, inner) =>
            source.deliver((offset, data) => {
              onProgress()
              write(offset, data)
            }, inner)
          return engine.load(artifact, { bytes: source.bytes, deliver }, { signal })
        },
      },
      context,
      async (session, start) => {
        const loaded = clock.now()
        let turned = loaded
        const result = await session.run(inputs, {
          ...(outputs && { outputs }),
          signal: context.signal,
          runsBefore: context.runsBefore,
          onTurn: () => {
            turned = clock.now()
          },
        })
        return {
          outputs: result,
          artifact,
          start,
          timings: { loadMs: loaded - begun, queueMs: turned - loaded, runMs: clock.now() - turned },
        }
      },
    )
  }

  async file<T>(model: ResolvedModel, name: string, parse: (bytes: Uint8Array) => T, context: CallContext): Promise<T> {
    const files = model.manifest.files ?? {}
    const blob = Object.hasOwn(files, name) ? files[name] : undefined
    if (!blob) {
      throw new VergeError(
        'manifest_invalid',
        `Model "${model.manifest.model}" lacks the file "${name}"; push it again.`,
        {
          details: { model: model.manifest.model, file: name },
        },
      )
    }
    return this.#options.files.get(blob, name, parse, context)
  }

  async ready(model: ResolvedModel): Promise<boolean> {
    try {
      this.#artifactFor(model.manifest)
    } catch {
      return false
    }
    return (await this.health()).ok
  }

  health(): Promise<EngineHealth> {
    return this.#options.engine.health()
  }

  /** The first artifact meant for the edge that the engine can run. */
  #artifactFor(manifest: Manifest): Artifact {
    const { engine } = this.#options
    const edge = manifest.artifacts.filter((artifact) => artifact.places.includes('edge'))
    const refusals = edge.map((artifact) => ({ artifact, support: engine.supports(artifact) }))
    const runnable = refusals.find(({ support }) => support.ok)
    if (runnable) return runnable.artifact
    const refusal = refusals.find(({ support }) => !support.ok)
    if (refusal && !refusal.support.ok) {
      throw new VergeError(
        refusal.support.code,
        `Model "${manifest.model}" cannot run here: artifact ${refusal.artifact.id} ${refusal.support.reason}.`,
        { details: { model: manifest.model, artifact: refusal.artifact.id } },
      )
    }
    throw new VergeError('engine_unsupported', `Model "${manifest.model}" has no artifact for the edge; push one.`, {
      details: { model: manifest.model },
    })
  }
}
