import { isVergeError, throwIfAborted, VergeError } from '../../core/errors.ts'
import type { Clock, Logger, RunCounter } from '../../core/runtime.ts'
import { sessionFootprint } from '../costs.ts'
import type { ArtifactInfo, ByteSource, Engine, EngineHealth, LoadContext, PageSource, Support } from '../engine.ts'
import { type HeapBudget, heldByOthers } from '../heap-budget.ts'
import { RunQueue } from '../run-queue.ts'
import { readHeader, readPlanJson } from './artifact.ts'
import { checkPlan } from './check.ts'
import { invalid } from './invalid.ts'
import { KERNEL_BYTES } from './kernels.ts'
import { PageCache } from './pages/cache.ts'
import { HeldRows } from './pages/held-rows.ts'
import { pagedLookups } from './pages/lookup.ts'
import { ReadingShare } from './pages/reading-share.ts'
import type { Plan } from './plan.ts'
import type { ProgramStep } from './program.ts'
import { type Block, Runtime } from './runtime.ts'
import { type PagedParts, VergeSession } from './session.ts'
import { newerVersion, VERGE_ENGINE_VERSION } from './version.ts'

export interface VergeEngineOptions {
  /** A build of the kernels. */
  readonly kernels: WebAssembly.Module
  readonly heapLimitBytes: number
  /** What the engine's memory has to share with others, where there are any. */
  readonly heapBudget?: HeapBudget
  readonly turnLeaseMs: number
  /** Runs up to this cost together need no yield between them: in units of `runCost`. */
  readonly costBetweenYields: number
  /** Multiply-adds of eight bits after which a run lets the event loop turn between two of its steps. */
  readonly workBetweenYields: number
  /** The largest page of a table. */
  readonly pageBytes: number
  /** Pages of tables that stay in JavaScript's memory, for all models together. */
  readonly pageCacheBytes: number
  /** Bytes of pages that requests read at the same time. */
  readonly pageBytesInFlight: number
  /** Bytes of rows that runs hold while they wait for their turn. */
  readonly heldRowBytes: number
  /** The longest that a run waits for its turn. */
  readonly heldRowsLeaseMs: number
  readonly runs: RunCounter
  readonly loadStaleMs: number
  readonly clock: Clock
  readonly logger: Logger
  /** Called for every step of every run, and has to call `run`: for profiles. */
  readonly onStep?: (step: ProgramStep, run: () => void) => void
}

/** An image on its way into the memory. */
interface PendingLoad {
  readonly block: Block
  lastProgress: number
  /** Its session has the block, or it is free again. */
  ended: boolean
}

/**
 * Verge's own engine: runs plans that `src/compile` made ahead of time. An artifact streams to its place in memory and is
 * used there as it is; nothing is parsed but the plan.
 */
export class VergeEngine implements Engine {
  readonly name = 'verge'
  readonly #options: VergeEngineOptions
  readonly #runtime: Runtime
  readonly #runQueue: RunQueue
  readonly #pageCache: PageCache
  readonly #readingShare: ReadingShare
  readonly #heldRows: HeldRows
  readonly #pending = new Map<string, PendingLoad>()
  #sessions = 0

  constructor(options: VergeEngineOptions) {
    this.#options = options
    this.#runtime = new Runtime(
      options.kernels,
      options.heapLimitBytes,
      options,
      (bytes) => options.heapBudget?.grow(this.name, bytes) ?? true,
    )
    this.#pageCache = new PageCache(options.pageCacheBytes)
    this.#readingShare = new ReadingShare(options)
    this.#heldRows = new HeldRows(options)
    this.#runQueue = new RunQueue({ ...options, leaseMs: options.turnLeaseMs })
  }

  supports(artifact: ArtifactInfo): Support {
    if (artifact.format !== 'verge') {
      return {
        ok: false,
        code: 'engine_unsupported',
        reason: `has format ${artifact.format}, and this engine runs its own`,
      }
    }
    const newer = newerVersion(artifact.runtime)
    if (newer !== undefined) {
      return {
        ok: false,
        code: 'engine_unsupported',
        reason: `needs version ${newer} of Verge's engine, and this is ${VERGE_ENGINE_VERSION} (deploy a newer Verge)`,
      }
    }
    const needed = Math.max(artifact.bytes, sessionFootprint(artifact)) + KERNEL_BYTES
    if (needed <= this.#options.heapLimitBytes) return { ok: true }
    return {
      ok: false,
      code: 'model_too_large',
      reason: `needs about ${needed} bytes of memory; the engine may use ${this.#options.heapLimitBytes}`,
    }
  }

  async load(artifact: ArtifactInfo, source: ByteSource, { signal }: LoadContext): Promise<VergeSession> {
    throwIfAborted(signal)
    this.#dropAbandoned(artifact.sha256)
    const { generation } = this.#runtime
    const load: PendingLoad = { block: this.#reserve(artifact), lastProgress: this.#options.clock.now(), ended: false }
    this.#pending.set(artifact.sha256, load)
    try {
      await source.deliver((offset, data) => this.#write(artifact, load, offset, data), signal)
      throwIfAborted(signal)
      if (load.ended || generation !== this.#runtime.generation) throw takenOver()
      const session = this.#create(artifact, load.block, source.pages)
      load.ended = true
      return session
    } finally {
      this.#dropLoad(artifact.sha256, load)
    }
  }

  async health(): Promise<EngineHealth> {
    const { memory, recoveries } = this.#runtime
    const report = { engine: this.name, version: VERGE_ENGINE_VERSION, heapLimitBytes: memory.maxBytes, recoveries }
    try {
      this.#runtime.use((kernels) => kernels.probeInt8(0))
      return { ok: true, ...report, heapBytes: memory.bytes }
    } catch (error) {
      this.#options.logger.error('engine_unhealthy', { cause: error })
      return { ok: false, ...report, heapBytes: memory.bytes, detail: 'the kernels do not start' }
    }
  }

  /** What is underneath, for tests that leave it as a killed request would. */
  get runtime(): Runtime {
    return this.#runtime
  }

  /** @throws model_too_large if it had the whole memory, engine_full if others have it */
  #reserve(artifact: ArtifactInfo): Block {
    // Kernels read vectors: the last one of the image may reach behind it.
    const bytes = artifact.bytes + 64
    try {
      return this.#runtime.memory.allocate(bytes)
    } catch (error) {
      if (!isVergeError(error, 'engine_full')) throw error
      if (bytes <= this.#runtime.memory.room) {
        if (this.#isHolding()) throw error
        throw heldByOthers(bytes, error)
      }
      throw new VergeError(
        'model_too_large',
        'The model does not fit into the memory of an isolate, even alone. Use a smaller or more strongly quantized model.',
        { cause: error, details: { bytes_needed: artifact.bytes } },
      )
    }
  }

  #isHolding(): boolean {
    return this.#runtime.memory.used > 0
  }

  #write(artifact: ArtifactInfo, load: PendingLoad, offset: number, data: Uint8Array): void {
    if (load.ended) throw takenOver()
    if (offset < 0 || offset + data.length > artifact.bytes) {
      throw new VergeError('weights_corrupt', 'The weights are longer than the manifest says; push the model again.')
    }
    load.lastProgress = this.#options.clock.now()
    this.#runtime.memory.view(load.block.address, artifact.bytes).set(data, offset)
  }

  /** @throws model_invalid */
  #create(artifact: ArtifactInfo, block: Block, pages: PageSource | undefined): VergeSession {
    const bytes = this.#runtime.memory.view(block.address, artifact.bytes)
    const header = readHeader(bytes)
    const plan = checkPlan(readPlanJson(bytes, header), header.imageBytes)
    const paged = this.#paged(plan, pages)
    this.#sessions++
    return new VergeSession(
      this.#runtime,
      this.#runQueue,
      {
        artifact,
        plan,
        block,
        image: block.address + header.imageOffset,
        paged,
        workBetweenYields: this.#options.workBetweenYields,
        hasNeighbours: () => this.#sessions > 1 || this.#pending.size > 0,
        onStep: this.#options.onStep,
      },
      () => {
        this.#sessions--
      },
    )
  }

  /** @throws model_invalid where the plan's tables do not fit together, or are not in the pages file */
  #paged(plan: Plan, source: PageSource | undefined): PagedParts | undefined {
    const lookups = pagedLookups(plan, this.#options.pageBytes)
    if (lookups.length === 0) return undefined
    if (source === undefined) throw invalid('rows of its tables are in pages, and it has no pages file')
    const end = Math.max(...lookups.map((lookup) => lookup.end))
    if (end > source.bytes) throw invalid(`its pages file has ${source.bytes} bytes, and its tables need ${end}`)
    return { lookups, source, cache: this.#pageCache, share: this.#readingShare, held: this.#heldRows }
  }

  #dropLoad(sha256: string, load: PendingLoad): void {
    if (this.#pending.get(sha256) === load) this.#pending.delete(sha256)
    if (!load.ended) this.#runtime.memory.free(load.block)
    load.ended = true
  }

  /** Loads and runs whose request was killed never reach their own clean-up. */
  #dropAbandoned(sha256: string): void {
    this.#runtime.dropAbandoned(this.#options.loadStaleMs)
    const now = this.#options.clock.now()
    for (const [key, load] of this.#pending) {
      if (key === sha256 || now - load.lastProgress > this.#options.loadStaleMs) this.#dropLoad(key, load)
    }
  }
}

function takenOver(): VergeError {
  return new VergeError('session_lost', 'The load was taken over or its engine was restarted.')
}
