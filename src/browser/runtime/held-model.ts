import type { Manifest } from '../../catalog/manifest.ts'
import type { ModelFile } from '../../catalog/model-file.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Clock } from '../../core/runtime.ts'
import type { Engine, PageSource } from '../../engine/engine.ts'
import { TOKENIZER_IMAGE } from '../../media/text/compiled/format.ts'
import { FileCache } from '../../serving/files.ts'
import { LocalServing } from '../../serving/local.ts'
import type { BlobSource } from '../../serving/model-sessions.ts'
import type { ResolvedModel, RunContext } from '../../serving/serving.ts'
import type { SessionCache } from '../../sessions/cache.ts'
import type { BlobInfo } from '../../weights/blob.ts'
import type { BrowserEngine, SuitableArtifact } from './artifacts.ts'

/** Where the bytes of one model come from, verified. */
export interface WeightsSource extends BlobSource {
  /** Where pages of embedding tables are read from; absent where they cannot be. */
  pages?(file: BlobInfo): PageSource
}

/** How far a model's load is. */
export interface LoadProgress {
  /** Of its weights and files together. A part that is delivered again after an error counts once more, up to the total. */
  readonly loadedBytes: number
  readonly totalBytes: number
}

export interface HeldModelOptions {
  readonly manifest: Manifest
  readonly digest: string
  readonly chosen: SuitableArtifact
  readonly engine: Engine
  readonly weights: WeightsSource
  readonly sessions: SessionCache
  readonly limits: Limits
  readonly clock: Clock
  readonly random: () => number
}

/** A model in a browser: the Worker's own serving, with one model and the artifact that suits the device. */
export class HeldModel {
  readonly engine: BrowserEngine
  /** With the artifact that was chosen as its only one. */
  readonly manifest: Manifest
  readonly resolved: ResolvedModel
  readonly serving: LocalServing
  readonly #listeners = new Set<(bytes: number) => void>()

  constructor(options: HeldModelOptions) {
    const { chosen, clock, digest, limits, weights } = options
    const { artifact, engine } = chosen
    this.engine = engine
    this.manifest = { ...options.manifest, artifacts: [{ ...artifact, places: ['browser'] }] }
    const { model, version } = this.manifest
    const alias = {
      schema: 1,
      model,
      generation: 1,
      visibility: 'public' as const,
      versions: { [version]: digest },
      live: [{ version, weight: 1 }],
    }
    this.resolved = { alias, manifest: this.manifest, digest }
    const blobs: BlobSource = { source: (blob, signal) => this.#observed(weights, blob, signal) }
    const pages = weights.pages?.bind(weights)
    this.serving = new LocalServing({
      place: 'browser',
      catalog: {
        alias: async (name) => (name === model ? alias : null),
        manifest: async () => this.manifest,
        kept: () => [this.manifest],
      },
      // A page knows the models that it asks for.
      lists: { page: async () => ({ entries: [] }) },
      blobs,
      ...(pages && { pages: { source: pages } }),
      files: new FileCache({
        clock,
        staleMs: limits.loadStaleMs,
        pollMs: limits.loadPollMs,
        budgetBytes: limits.parsedFilesBytes,
        read: (blob, name, signal) => readWhole(blobs, blob, mostBytes(name, limits), signal),
      }),
      engine: options.engine,
      sessions: options.sessions,
      // A page that wants the same answer again has it.
      results: { through: (_run, _context, compute) => compute() },
      costLimit: limits.requestCost,
      prefillTokens: limits.prefillTokens,
      roomBytes: ({ format }) => (format === 'verge' ? limits.ownWorkingBytes : limits.workingBytes),
      pinned: new Set(),
      clock,
      random: options.random,
    })
  }

  /** Loads the weights and the files that a task reads. @throws what loading throws */
  async load(
    files: readonly ModelFile[],
    context: RunContext,
    onProgress?: (progress: LoadProgress) => void,
  ): Promise<void> {
    const [artifact] = this.manifest.artifacts
    const blobs = [artifact, ...files.map(({ name }) => this.manifest.files?.[name])]
    const totalBytes = blobs.reduce((sum, blob) => sum + (blob?.bytes ?? 0), 0)
    let loadedBytes = 0
    const listener = (bytes: number): void => {
      loadedBytes = Math.min(totalBytes, loadedBytes + bytes)
      onProgress?.({ loadedBytes, totalBytes })
    }
    this.#listeners.add(listener)
    try {
      await Promise.all([
        ...files.map((file) => this.serving.file(this.resolved, file, context)),
        this.serving.load(this.resolved, context),
      ])
    } finally {
      this.#listeners.delete(listener)
    }
    // What was there already came in no pieces.
    onProgress?.({ loadedBytes: totalBytes, totalBytes })
  }

  async #observed(weights: WeightsSource, blob: BlobInfo, signal: AbortSignal) {
    const source = await weights.source(blob, signal)
    const deliver: typeof source.deliver = (write, inner) =>
      source.deliver((offset, data) => {
        write(offset, data)
        for (const listener of this.#listeners) listener(data.length)
      }, inner)
    return { ...source, deliver }
  }
}

function mostBytes(name: string, limits: Limits): number {
  return name === TOKENIZER_IMAGE ? limits.tokenizerImageBytes : limits.tokenizerBytes
}

async function readWhole(
  blobs: BlobSource,
  blob: BlobInfo,
  mostBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  if (blob.bytes > mostBytes) {
    throw new VergeError(
      'model_too_large',
      `A file of this model has ${blob.bytes} bytes; the limit is ${mostBytes}. Make it smaller and push again.`,
    )
  }
  const source = await blobs.source(blob, signal)
  const whole = new Uint8Array(blob.bytes)
  await source.deliver((offset, data) => whole.set(data, offset), signal)
  return whole
}
