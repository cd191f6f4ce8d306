import { quantizesRowsTogether } from '../catalog/dtype.ts'
import type { Artifact, Manifest } from '../catalog/manifest.ts'
import type { Tensors } from '../core/tensors.ts'
import { elementsOf, runFootprint, sessionFootprint } from '../engine/costs.ts'
import type { ArtifactInfo, ByteSource, Engine, PageSource, Session } from '../engine/engine.ts'
import type { SessionCache } from '../sessions/cache.ts'
import type { SessionRequest, SessionRun, SessionUse } from '../sessions/use.ts'
import type { BlobInfo } from '../weights/blob.ts'
import type { RunContext } from './serving.ts'

/** Where an engine gets weights from: a loader over stores, or a cache on disk before one. */
export interface BlobSource {
  /** @throws manifest_invalid, model_too_large if the blob's declaration is invalid */
  source(blob: BlobInfo, signal: AbortSignal): ByteSource | Promise<ByteSource>
}

export interface ModelSessionsOptions {
  readonly blobs: BlobSource
  /** Where pages of embedding tables are read from; absent where no engine needs them. */
  readonly pages?: { source(file: BlobInfo): PageSource }
  readonly engine: Engine
  readonly sessions: SessionCache
  /** Bytes of engine memory for a session of an artifact and its run, with nothing else loaded; unbounded if left out. */
  readonly roomBytes?: (artifact: ArtifactInfo) => number
  /** Models whose sessions are never evicted for others, from the beginning. */
  readonly pinned: ReadonlySet<string>
}

/** Sessions of models' artifacts: how each is loaded, and which are pinned. */
export class ModelSessions {
  readonly #options: ModelSessionsOptions
  /** Models whose sessions are not evicted for others, and the artifacts that these are of. */
  readonly #pinned: Map<string, Set<string>>

  constructor(options: ModelSessionsOptions) {
    this.#options = options
    this.#pinned = new Map([...options.pinned].map((model) => [model, new Set()]))
  }

  run(
    manifest: Manifest,
    artifact: Artifact,
    inputs: Tensors,
    outputs: readonly string[] | undefined,
    context: RunContext,
  ): Promise<SessionRun> {
    const request = { ...this.#request(manifest, artifact), runBytes: runFootprint(artifact, elementsOf(inputs)) }
    return this.#options.sessions.run(request, context, inputs, outputs)
  }

  /** As `SessionCache.use`. */
  use<T>(
    manifest: Manifest,
    artifact: Artifact,
    context: RunContext,
    work: (session: Session, use: SessionUse) => Promise<T>,
  ): Promise<T> {
    return this.#options.sessions.use(this.#request(manifest, artifact), context, work)
  }

  prefetch(manifest: Manifest, artifact: Artifact, context: RunContext): void {
    this.#options.sessions.prefetch(this.#request(manifest, artifact), context)
  }

  /** Loads the session, and waits until it is there. @throws what loading throws */
  async load(manifest: Manifest, artifact: Artifact, context: RunContext): Promise<void> {
    await this.use(manifest, artifact, context, async () => {})
  }

  /** Loads the session, and keeps it from being evicted for others. @throws what loading throws */
  async pin(manifest: Manifest, artifact: Artifact, context: RunContext): Promise<void> {
    const { model } = manifest
    await this.load(manifest, artifact, context)
    this.#pinned.set(model, (this.#pinned.get(model) ?? new Set()).add(artifact.sha256))
    this.#options.sessions.pin(artifact.sha256, true)
  }

  evict({ artifacts, model }: Manifest): void {
    // A version that was live before is pinned as well, and would hold its memory for as long as the process lives.
    const pinned = this.#pinned.get(model) ?? []
    this.#pinned.delete(model)
    for (const sha256 of [...pinned, ...artifacts.map((each) => each.sha256)]) this.#options.sessions.evict(sha256)
  }

  /** Whether an artifact's session is in memory. */
  loaded({ sha256 }: Pick<Artifact, 'sha256'>): boolean {
    return this.#options.sessions.has(sha256)
  }

  /** Whether an artifact's session is in memory, or can be without another one's leaving. */
  fitsBeside(artifact: Artifact): boolean {
    return this.loaded(artifact) || this.#options.sessions.fits(sessionFootprint(artifact))
  }

  #request(manifest: Manifest, artifact: Artifact): SessionRequest {
    const { blobs, engine, pages, roomBytes } = this.#options
    const pinned = this.#pinned.get(manifest.model)?.add(artifact.sha256)
    return {
      key: artifact.sha256,
      of: { model: manifest.model, version: manifest.version },
      bytes: sessionFootprint(artifact),
      ...(roomBytes && { roomBytes: roomBytes(artifact) }),
      pinned: pinned !== undefined,
      load: async ({ signal, onProgress }): Promise<Session> => {
        const source = await blobs.source(artifact, signal)
        const deliver: typeof source.deliver = (write, inner) =>
          source.deliver((offset, data) => {
            onProgress()
            write(offset, data)
          }, inner)
        const more = pages && artifact.pages && { pages: pages.source(artifact.pages) }
        return engine.load(infoOf(manifest, artifact), { ...source, ...more, deliver }, { signal })
      },
    }
  }
}

/** An artifact as an engine sees it. */
function infoOf({ batching }: Manifest, artifact: Artifact): ArtifactInfo {
  return { ...artifact, batchable: batching ?? !quantizesRowsTogether(artifact.dtype) }
}
