import { VergeError } from '../../core/errors.ts'
import type { OrtModule } from './module.ts'

/** Heap blocks and ORT objects of one call, released together in reverse order. */
export class Allocations {
  readonly #module: OrtModule
  readonly #releases: (() => void)[] = []

  constructor(module: OrtModule) {
    this.#module = module
  }

  /** A block of at least one byte. @throws model_too_large when the heap is at its maximum */
  malloc(bytes: number): number {
    const pointer = this.#module._malloc(Math.max(1, bytes))
    if (pointer === 0) throw heapFull(bytes)
    this.#releases.push(() => this.#module._free(pointer))
    return pointer
  }

  /** A NUL-terminated copy of a string. */
  string(text: string): number {
    const bytes = new TextEncoder().encode(text)
    const pointer = this.malloc(bytes.length + 1)
    this.#module.HEAPU8.set(bytes, pointer)
    this.#module.HEAPU8[pointer + bytes.length] = 0
    return pointer
  }

  onRelease(release: () => void): void {
    this.#releases.push(release)
  }

  release(): void {
    for (let release = this.#releases.pop(); release; release = this.#releases.pop()) release()
  }
}

/** The heap has no room for what one call or one model needs. */
export function heapFull(bytes: number): VergeError {
  return new VergeError(
    'model_too_large',
    'The engine has no memory left for this. Send a smaller input, or use a smaller or more strongly quantised model.',
    { details: { bytes_needed: bytes } },
  )
}
