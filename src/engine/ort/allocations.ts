import { VergeError } from '../../core/errors.ts'
import type { OrtModule } from './module.ts'

/** Heap blocks and ORT objects of one call, released together in reverse order. */
export class Allocations {
  readonly #module: OrtModule
  readonly #releases: (() => void)[] = []

  constructor(module: OrtModule) {
    this.#module = module
  }

  /** A block of at least one byte. @throws engine_full when the heap is at its maximum */
  malloc(bytes: number): number {
    const pointer = this.#module._malloc(Math.max(1, bytes))
    if (pointer === 0) throw heapFull()
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

/** The heap has no room for one call or one model. `Tenancy` decides whether another try can succeed. */
export function heapFull(cause?: unknown): VergeError {
  return new VergeError('engine_full', 'The engine has no memory free for this at present. Try again in a moment.', {
    cause,
    retryAfter: 1,
  })
}
