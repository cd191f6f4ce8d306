import { VergeError } from '../../core/errors.ts'
import type { Clock, Logger } from '../../core/runtime.ts'
import { type Kernels, kernelsOn } from './kernels.ts'
import { type Block, LinearMemory } from './memory.ts'

interface OpenArena {
  readonly block: Block
  readonly onDrop: () => void
  lastProgress: number
}

/**
 * The kernels on the engine's memory. They keep nothing between two calls, so that a run whose request was killed leaves its
 * arena behind and nothing else. After a trap, which only a fault in the engine itself causes, the images count as damaged:
 * every session of that generation is lost.
 */
export class Runtime {
  readonly memory: LinearMemory
  readonly #module: WebAssembly.Module
  readonly #logger: Logger
  readonly #clock: Clock
  #kernels: Kernels | undefined
  #generation = 0
  #recoveries = 0
  /** Of the run in progress. There is one at a time. */
  #arena: OpenArena | undefined

  constructor(
    module: WebAssembly.Module,
    maxBytes: number,
    { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
    mayGrow: (bytes: number) => boolean = () => true,
  ) {
    this.#clock = clock
    this.#module = module
    this.#logger = logger
    this.memory = new LinearMemory(maxBytes, mayGrow)
  }

  get generation(): number {
    return this.#generation
  }

  get recoveries(): number {
    return this.#recoveries
  }

  get kernels(): Kernels {
    this.#kernels ??= kernelsOn(this.#module, this.memory.memory)
    return this.#kernels
  }

  /**
   * Memory for a run. One that is still there belonged to a run that was killed between two steps: nobody else has a turn.
   * @param onDrop called when the memory is given back, by whoever does it
   * @throws engine_full
   */
  openArena(bytes: number, onDrop: () => void): Block {
    this.#dropArena()
    const block = this.memory.allocate(bytes)
    this.#arena = { block, onDrop, lastProgress: this.#clock.now() }
    return block
  }

  /** Whether an arena still belongs to the run that opened it, which goes on with it. */
  resumes(block: Block): boolean {
    if (this.#arena?.block !== block) return false
    this.#arena.lastProgress = this.#clock.now()
    return true
  }

  closeArena(block: Block): void {
    if (this.#arena?.block === block) this.#dropArena()
  }

  /** Takes back the memory of a run that has made no step for so long: its request was killed. */
  dropAbandoned(staleMs: number): void {
    if (this.#arena && this.#clock.now() - this.#arena.lastProgress > staleMs) this.#dropArena()
  }

  #dropArena(): void {
    const arena = this.#arena
    this.#arena = undefined
    if (arena === undefined) return
    this.memory.free(arena.block)
    arena.onDrop()
  }

  /** Calls kernels. @throws engine_aborted after a trap, and what `work` throws */
  use<T>(work: (kernels: Kernels) => T): T {
    try {
      return work(this.kernels)
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error
      this.#generation++
      this.#recoveries++
      this.#kernels = undefined
      this.#logger.error('engine_recovered', { reason: 'abort', cause: error, recoveries: this.#recoveries })
      throw new VergeError(
        'engine_aborted',
        'The model made the engine abort. The engine has been restarted; the same input may abort it again.',
        { cause: error },
      )
    }
  }
}
