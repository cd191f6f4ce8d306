import { isVergeError, throwIfAborted, VergeError } from '../../core/errors.ts'
import type { Clock, Logger, RunCounter } from '../../core/runtime.ts'
import { sessionFootprint } from '../costs.ts'
import type { ArtifactInfo, ByteSource, Engine, EngineHealth, LoadContext, Support } from '../engine.ts'
import type { HeapBudget } from '../heap-budget.ts'
import { RunQueue } from '../run-queue.ts'
import { type OrtBinary, OrtInstance } from './instance.ts'
import { Allocations, heapFull, isOutOfMemory, lastError } from './marshal.ts'
import { LOG_FATAL, type OrtModule } from './module.ts'
import { OrtSession } from './session.ts'
import { readSignature } from './signature.ts'
import { Tenancy } from './tenancy.ts'

export interface OrtEngineOptions {
  readonly binary: OrtBinary
  /** Version of onnxruntime-web, for health and for refusing artifacts made by a newer runtime. */
  readonly version: string
  readonly heapLimitBytes: number
  /** What the engine's memory has to share with others, where there are any. */
  readonly heapBudget?: HeapBudget
  readonly turnLeaseMs: number
  /** Runs up to this cost together need no yield between them: in units of `runCost`. */
  readonly costBetweenYields: number
  readonly runs: RunCounter
  readonly loadStaleMs: number
  readonly clock: Clock
  readonly logger: Logger
}

/** Weights on their way into the heap. */
interface PendingLoad {
  pointer: number
  /** Of the instance whose heap it is. */
  readonly tenancy: Tenancy
  lastProgress: number
  /** A session was made of it. */
  created?: boolean
  /** It no longer counts among its tenancy's loads. */
  ended?: boolean
}

/**
 * ONNX Runtime's WebAssembly build, driven directly. Weights stream into the wasm heap at their final place; an
 * ORT-format model is used where it lies, a plain ONNX one is parsed and its bytes are freed.
 */
export class OrtEngine implements Engine {
  readonly name = 'ort'
  readonly #options: OrtEngineOptions
  readonly #instance: OrtInstance
  readonly #runQueue: RunQueue
  readonly #pending = new Map<string, PendingLoad>()
  #tenancy = new Tenancy(0)

  constructor(options: OrtEngineOptions) {
    this.#options = options
    this.#instance = new OrtInstance(
      options.binary,
      options.heapLimitBytes,
      options.clock,
      options.logger,
      (bytes) => options.heapBudget?.grow(this.name, bytes) ?? true,
    )
    this.#runQueue = new RunQueue({ ...options, leaseMs: options.turnLeaseMs })
  }

  supports(artifact: ArtifactInfo): Support {
    if (artifact.format === 'verge') {
      return {
        ok: false,
        code: 'engine_unsupported',
        reason: "is compiled for Verge's own engine",
      }
    }
    const needed = sessionFootprint(artifact)
    if (needed > this.#options.heapLimitBytes) {
      return {
        ok: false,
        code: 'model_too_large',
        reason: `needs about ${needed} bytes of memory; the limit of the engine is ${this.#options.heapLimitBytes}`,
      }
    }
    return { ok: true }
  }

  async load(artifact: ArtifactInfo, source: ByteSource, context: LoadContext): Promise<OrtSession> {
    throwIfAborted(context.signal)
    this.#dropAbandoned(artifact.sha256)
    // A new instance clears all holes, but its predecessor's tables stay in memory until they are collected (some
    // 10 MB each, measured over 50 swaps), so this is done only where room was missing.
    if (this.#tenancy.worthRebuilding && this.#instance.isCurrent(this.#tenancy.generation)) {
      this.#instance.discard('defragment')
    }
    await this.#instance.ready()
    const { generation } = this.#instance
    if (this.#tenancy.generation !== generation) this.#tenancy = new Tenancy(generation)
    const tenancy = this.#tenancy
    // From here to the entry in #pending nothing may be awaited, or two loads of one artifact could miss each other.
    this.#dropAbandoned(artifact.sha256)
    const pointer = this.#instance.use(generation, (module) => module._malloc(Math.max(1, artifact.bytes)))
    if (pointer === 0) throw tenancy.loadFailed(artifact.bytes)
    const load: PendingLoad = { pointer, tenancy, lastProgress: this.#options.clock.now() }
    this.#pending.set(artifact.sha256, load)
    tenancy.loads++
    try {
      await source.deliver((offset, data) => this.#write(artifact, load, offset, data), context.signal)
      return await this.#runQueue.run(context.signal, () => this.#create(artifact, load))
    } catch (error) {
      throw isVergeError(error, 'engine_full') ? tenancy.loadFailed(artifact.bytes, error) : error
    } finally {
      this.#dropLoad(artifact.sha256, load)
    }
  }

  async health(): Promise<EngineHealth> {
    const { heapBytes, heapLimitBytes, recoveries } = this.#instance
    const report = { engine: this.name, version: this.#options.version, heapLimitBytes, recoveries }
    try {
      await this.#instance.ready()
      return { ok: true, ...report, heapBytes: this.#instance.heapBytes }
    } catch (error) {
      this.#options.logger.error('engine_unhealthy', { cause: error })
      return { ok: false, ...report, heapBytes, detail: 'ONNX Runtime does not start' }
    }
  }

  /** The instance underneath, for fault tests that leave it as a killed request would. */
  get instance(): OrtInstance {
    return this.#instance
  }

  #write(artifact: ArtifactInfo, load: PendingLoad, offset: number, data: Uint8Array): void {
    if (load.pointer === 0 || !this.#instance.isCurrent(load.tenancy.generation)) {
      throw new VergeError('session_lost', 'Another request took over the load, or the engine restarted.')
    }
    if (offset < 0 || offset + data.length > artifact.bytes) {
      throw new VergeError(
        'weights_corrupt',
        'The weights are longer than the manifest declares. Push the model again.',
      )
    }
    load.lastProgress = this.#options.clock.now()
    this.#instance.use(load.tenancy.generation, (module) => module.HEAPU8.set(data, load.pointer + offset))
  }

  #create(artifact: ArtifactInfo, load: PendingLoad): OrtSession {
    const { tenancy } = load
    return this.#instance.use(tenancy.generation, (module) => {
      if (load.pointer === 0) throw new VergeError('session_lost', 'Another request took over the load.')
      const keepsBytes = artifact.format === 'ort'
      const session = createSession(module, artifact, load.pointer)
      load.created = true
      const names = readSignature(module, session)
      const weights = keepsBytes ? load.pointer : 0
      if (keepsBytes) load.pointer = 0
      tenancy.sessions++
      return new OrtSession(
        this.#instance,
        this.#runQueue,
        {
          session,
          names,
          weights,
          tenancy,
          artifact,
          heapLimitBytes: this.#options.heapLimitBytes,
        },
        sessionFootprint(artifact),
        () => {
          tenancy.sessions--
          tenancy.departed = true
        },
      )
    })
  }

  /** Frees the allocations of a load, unless its session owns them or its instance is gone. */
  #dropLoad(sha256: string, load: PendingLoad): void {
    if (this.#pending.get(sha256) === load) this.#pending.delete(sha256)
    if (!load.ended) load.tenancy.loads--
    load.ended = true
    const { pointer, tenancy } = load
    load.pointer = 0
    if (pointer !== 0 && this.#instance.isCurrent(tenancy.generation)) {
      this.#instance.use(tenancy.generation, (module) => module._free(pointer))
      // The source bytes of a plain ONNX file are freed in every instance.
      if (!load.created) tenancy.departed = true
    }
  }

  /** Cleans up after loads whose request was killed. */
  #dropAbandoned(sha256: string): void {
    const now = this.#options.clock.now()
    for (const [key, load] of this.#pending) {
      if (key === sha256 || now - load.lastProgress > this.#options.loadStaleMs) this.#dropLoad(key, load)
    }
  }
}

const OPTIMIZE_NOT = 0
const OPTIMIZE_ALL = 99

/** Session options that keep an ORT-format model's weights where they are instead of copying them. */
const ORT_FORMAT_CONFIG = [
  ['session.load_model_format', 'ORT'],
  ['session.use_ort_model_bytes_directly', '1'],
  ['session.use_ort_model_bytes_for_initializers', '1'],
] as const

function createSession(module: OrtModule, artifact: ArtifactInfo, pointer: number): number {
  const allocations = new Allocations(module)
  try {
    const ort = artifact.format === 'ort'
    // The arena would keep what activations needed at their peak; without it the heap stays small (38.5 MB against
    // 79.6 for a 22.6 MB encoder, together with ORT format).
    const options = module._OrtCreateSessionOptions(
      ort ? OPTIMIZE_NOT : OPTIMIZE_ALL,
      false,
      false,
      0,
      false,
      0,
      0,
      LOG_FATAL,
      0,
      0,
    )
    allocations.onRelease(() => module._OrtReleaseSessionOptions(options))
    for (const [key, value] of ort ? ORT_FORMAT_CONFIG : [['session.load_model_format', 'ONNX'] as const]) {
      if (module._OrtAddSessionConfigEntry(options, allocations.string(key), allocations.string(value)) !== 0) {
        throw new VergeError('model_invalid', `Session option ${key} was not accepted: ${lastError(module)}`)
      }
    }
    const session = module._OrtCreateSession(pointer, artifact.bytes, options)
    if (session === 0) throw loadFailed(lastError(module))
    return session
  } finally {
    allocations.release()
  }
}

function loadFailed(reason: string): VergeError {
  if (isOutOfMemory(reason)) return heapFull(new Error(reason))
  return new VergeError('model_invalid', `The model could not be loaded: ${reason}`)
}
