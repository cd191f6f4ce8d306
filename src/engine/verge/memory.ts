import { VergeError } from '../../core/errors.ts'
import { KERNEL_BYTES } from './kernels.ts'

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
export class LinearMemory {
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
