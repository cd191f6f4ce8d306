import { VergeError } from '../../core/errors.ts'
import type { Clock, Logger } from '../../core/runtime.ts'
import { KERNEL_BYTES, type Kernels, kernelsOn } from './kernels.ts'

const PAGE_BYTES = 65_536
/** Of blocks: constants are aligned relative to their image. */
const ALIGNMENT = 64

export interface Block {
  readonly address: number
  readonly bytes: number
}

/**
 * The engine's only linear memory. A wasm memory once grown is never given back, in workerd not even when it is dropped, so
 * there is one for the isolate's life, with a hard maximum. Blocks are few and large (images, and the arena of the run in
 * progress), given out where they first fit.
 */
class LinearMemory {
  readonly memory: WebAssembly.Memory
  readonly maxBytes: number
  readonly #mayGrow: (bytes: number) => boolean
  /** In order of their addresses. */
  #blocks: Block[] = []

  /** @param mayGrow asked before the memory grows to so many bytes: others may share what there is */
  constructor(maxBytes: number, mayGrow: (bytes: number) => boolean = () => true) {
    this.#mayGrow = mayGrow
    const maximum = Math.max(1, Math.floor(maxBytes / PAGE_BYTES))
    this.maxBytes = maximum * PAGE_BYTES
    this.memory = new WebAssembly.Memory({ initial: 1, maximum })
  }

  /** Bytes that the memory has grown to. */
  get bytes(): number {
    return this.memory.buffer.byteLength
  }

  /** Bytes that are given out. */
  get used(): number {
    return this.#blocks.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** The most that one block could have if there were no others. */
  get room(): number {
    return this.maxBytes - KERNEL_BYTES
  }

  /** Views are made anew for each use: growing the memory detaches them. */
  view(address: number, bytes: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, address, bytes)
  }

  /** @throws engine_full where there is no room for it */
  allocate(wanted: number): Block {
    const bytes = Math.max(ALIGNMENT, Math.ceil(wanted / ALIGNMENT) * ALIGNMENT)
    let address = KERNEL_BYTES
    let index = 0
    for (; index < this.#blocks.length; index++) {
      const block = this.#blocks[index] as Block
      if (block.address - address >= bytes) break
      address = block.address + block.bytes
    }
    this.#grow(address + bytes)
    const block = { address, bytes }
    this.#blocks = [...this.#blocks.slice(0, index), block, ...this.#blocks.slice(index)]
    return block
  }

  /** Freeing a block twice does nothing. */
  free(block: Block): void {
    this.#blocks = this.#blocks.filter((other) => other !== block)
  }

  #grow(end: number): void {
    if (end <= this.bytes) return
    if (end > this.maxBytes || !this.#mayGrow(Math.ceil(end / PAGE_BYTES) * PAGE_BYTES)) throw memoryFull()
    try {
      this.memory.grow(Math.ceil((end - this.bytes) / PAGE_BYTES))
    } catch (error) {
      throw memoryFull(error)
    }
  }
}

function memoryFull(cause?: unknown): VergeError {
  return new VergeError('engine_full', 'The engine has no memory free for this at present. Try again in a moment.', {
    cause,
    retryAfter: 1,
  })
}

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
