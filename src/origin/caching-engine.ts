import { createReadStream } from 'node:fs'
import type { Clock } from '../core/runtime.ts'
import type {
  ArtifactInfo,
  ByteSource,
  Engine,
  EngineHealth,
  GenerateOptions,
  LoadContext,
  RunOptions,
  Session,
  Support,
} from '../engine/engine.ts'
import type { DiskCache } from './disk-cache.ts'
import type { LeasedFile } from './file-leases.ts'

/** What became of a load. */
export interface LoadReport {
  readonly sha256: string
  readonly ok: boolean
  /** Milliseconds, fetching included. */
  readonly ms: number
}

export interface CachingEngineOptions {
  readonly clock: Pick<Clock, 'now'>
  readonly report?: (report: LoadReport) => void
}

/** Loads artifacts from files of a disk cache, which stay for as long as their sessions do. Itself an engine. */
export class CachingEngine implements Engine {
  readonly name: string
  readonly #inner: Engine
  readonly #cache: DiskCache
  readonly #options: CachingEngineOptions

  constructor(inner: Engine, cache: DiskCache, options: CachingEngineOptions) {
    this.name = inner.name
    this.#inner = inner
    this.#cache = cache
    this.#options = options
  }

  supports(artifact: ArtifactInfo): Support {
    return this.#inner.supports(artifact)
  }

  async load(artifact: ArtifactInfo, source: ByteSource, context: LoadContext): Promise<Session> {
    const { clock, report } = this.#options
    const begun = clock.now()
    let ok = false
    try {
      const session = await this.#load(artifact, source, context)
      ok = true
      return session
    } finally {
      report?.({ sha256: artifact.sha256, ok, ms: clock.now() - begun })
    }
  }

  health(): Promise<EngineHealth> {
    return this.#inner.health()
  }

  async #load(artifact: ArtifactInfo, source: ByteSource, context: LoadContext): Promise<Session> {
    if (source.file !== undefined) return this.#inner.load(artifact, source, context)
    const file = await this.#cache.hold(artifact, source, context.signal)
    try {
      return new CachedSession(await this.#inner.load(artifact, sourceOf(file, artifact.bytes), context), file)
    } catch (error) {
      file.release()
      throw error
    }
  }
}

function sourceOf(file: LeasedFile, bytes: number): ByteSource {
  return {
    bytes,
    file: file.path,
    async deliver(write, signal) {
      let offset = 0
      for await (const piece of createReadStream(file.path, { ...(signal && { signal }) })) {
        write(offset, piece as Uint8Array)
        offset += (piece as Uint8Array).length
      }
    },
  }
}

class CachedSession implements Session {
  readonly #inner: Session
  readonly #file: LeasedFile
  readonly generate?: NonNullable<Session['generate']>

  constructor(inner: Session, file: LeasedFile) {
    this.#inner = inner
    this.#file = file
    if (inner.generate !== undefined) {
      const generate = inner.generate.bind(inner)
      this.generate = (prompt: readonly number[], options: GenerateOptions) => generate(prompt, options)
    }
  }

  get signature(): Session['signature'] {
    return this.#inner.signature
  }

  get bytes(): number {
    return this.#inner.bytes
  }

  get alive(): boolean {
    const { alive } = this.#inner
    // A session that its engine has lost is never disposed.
    if (!alive) this.#file.release()
    return alive
  }

  run(inputs: Parameters<Session['run']>[0], options: RunOptions): ReturnType<Session['run']> {
    return this.#inner.run(inputs, options)
  }

  dispose(): void {
    this.#inner.dispose()
    this.#file.release()
  }
}
