import { VergeError } from '../../core/errors.ts'
import type { Clock, Logger } from '../../core/runtime.ts'
import { heldByOthers } from '../heap-budget.ts'
import { heapFull } from './marshal.ts'
import { createMemory, INITIAL_BYTES, instantiate, LOG_FATAL, type ModuleFactory, type OrtModule } from './module.ts'

/** Many times the duration of an instantiation. */
const START_LEASE_MS = 1000

export interface OrtBinary {
  readonly factory: ModuleFactory
  readonly wasm: WebAssembly.Module
}

/**
 * One wasm instance of ONNX Runtime on one linear memory, both for the isolate's life.
 *
 * A wasm memory once grown is never given back, in workerd not even when it is dropped; so the memory is kept, and
 * where the instance is spoilt (an abort, a trap, a request killed in the middle of a run) it is zeroed and a new
 * instance is made on it. Every session of the old one is then lost, which its `generation` shows.
 */
export class OrtInstance {
  readonly #binary: OrtBinary
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #mayGrow: (bytes: number) => boolean
  readonly heapLimitBytes: number
  #memory: WebAssembly.Memory | undefined
  #module: OrtModule | undefined
  #generation = 0
  #recoveries = 0
  /** Set while synchronous work is inside the module. */
  #inside = false
  /** The memory could not grow any further since the module was last entered. */
  #refusedGrowth = false
  #starting: Promise<void> | undefined

  /** @param mayGrow asked before the memory grows to so many bytes */
  constructor(
    binary: OrtBinary,
    heapLimitBytes: number,
    clock: Clock,
    logger: Logger,
    mayGrow: (bytes: number) => boolean = () => true,
  ) {
    this.#binary = binary
    this.#clock = clock
    this.heapLimitBytes = heapLimitBytes
    this.#logger = logger
    this.#mayGrow = mayGrow
  }

  /** Increases with every new instance; objects of an earlier generation no longer exist. */
  get generation(): number {
    return this.#generation
  }

  get recoveries(): number {
    return this.#recoveries
  }

  get heapBytes(): number {
    return this.#memory?.buffer.byteLength ?? 0
  }

  /** Whether objects made in `generation` still exist. */
  isCurrent(generation: number): boolean {
    this.#detectKilledOwner()
    return this.#module !== undefined && generation === this.#generation
  }

  /** Makes the instance ready. Concurrent callers wait for the one that creates it. */
  async ready(): Promise<void> {
    this.#detectKilledOwner()
    if (this.#module) return
    if (this.#starting) {
      // This takes microtasks only, unless its request was killed; then a waiting caller takes over.
      await Promise.race([this.#starting, this.#clock.sleep(START_LEASE_MS)])
      this.#starting = undefined
      return this.ready()
    }
    const starting = this.#start()
    this.#starting = starting.catch(() => {})
    try {
      await starting
    } finally {
      this.#starting = undefined
    }
  }

  async #start(): Promise<void> {
    if (this.#memory === undefined && !this.#mayGrow(INITIAL_BYTES)) throw heldByOthers(INITIAL_BYTES)
    this.#memory ??= this.#newMemory()
    const module = await instantiate(this.#binary.factory, this.#binary.wasm, this.#memory)
    this.#generation++
    this.#module = module
    this.enter()
    const code = module._OrtInit(1, LOG_FATAL)
    this.leave()
    if (code !== 0) {
      this.#module = undefined
      throw new VergeError('engine_aborted', 'ONNX Runtime could not be initialized.')
    }
  }

  /** @throws engine_full where the process has no addresses left for all that it may grow to */
  #newMemory(): WebAssembly.Memory {
    const onGrow = (grown: boolean): void => {
      this.#refusedGrowth = !grown
    }
    try {
      return createMemory(this.heapLimitBytes, onGrow, this.#mayGrow)
    } catch (error) {
      throw heapFull(error)
    }
  }

  /**
   * Runs synchronous work inside the module. Typed errors pass through; any other exception means that the module was
   * left in the middle of something, and spoils the instance.
   * @throws session_lost if the instance of `generation` is gone, engine_aborted if the work spoilt it, engine_full if
   * it did so because the memory could not grow
   */
  use<T>(generation: number, work: (module: OrtModule) => T): T {
    if (!this.isCurrent(generation)) throw sessionLost()
    const module = this.enter()
    try {
      const result = work(module)
      this.leave()
      return result
    } catch (error) {
      this.leave()
      if (error instanceof VergeError) throw error
      const full = this.#refusedGrowth
      this.discard(full ? 'memory' : 'abort', error)
      if (full) throw heapFull(error)
      throw new VergeError(
        'engine_aborted',
        'The model aborted the engine, which was restarted. The same input may abort it again. Change the input.',
        { cause: error },
      )
    }
  }

  /** Marks the module as occupied. Not undone by a `finally`: a killed request must leave the mark behind. */
  enter(): OrtModule {
    if (!this.#module) throw sessionLost()
    this.#inside = true
    this.#refusedGrowth = false
    return this.#module
  }

  leave(): void {
    this.#inside = false
  }

  /** Whether the memory could not grow any further during the last call into the module. */
  get refusedGrowth(): boolean {
    return this.#refusedGrowth
  }

  /** Drops the instance, keeping its memory for the next. */
  discard(reason: 'abort' | 'memory' | 'killed' | 'defragment', cause?: unknown): void {
    this.#module = undefined
    this.#inside = false
    if (reason === 'defragment') return
    this.#recoveries++
    this.#logger.error('engine_recovered', {
      reason,
      cause,
      generation: this.#generation,
      recoveries: this.#recoveries,
    })
  }

  /**
   * Work inside the module is synchronous, so no other code runs meanwhile. If other code runs while the flag is set,
   * the request that set it was killed inside the module.
   */
  #detectKilledOwner(): void {
    if (this.#inside) this.discard('killed')
  }
}

function sessionLost(): VergeError {
  return new VergeError('session_lost', 'The model was lost when the engine restarted. Send the request again.', {
    retryAfter: 1,
  })
}
