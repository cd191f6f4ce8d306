import { VergeError } from '../../core/errors.ts'
import { type RunFootprint, runTooLarge } from '../costs.ts'
import { heapFull } from './marshal.ts'

/**
 * Contents of one instance's heap. Determines whether a model that finds no room can never fit, or fits after others
 * are unloaded or the fragmented heap is rebuilt.
 */
export class Tenancy {
  readonly generation: number
  sessions = 0
  /** Weights on their way into the heap. */
  loads = 0
  /** Something was unloaded: there may be holes. */
  departed = false
  /** Something found no room although there would be enough in an empty heap. */
  starved = false

  constructor(generation: number) {
    this.generation = generation
  }

  /** Whether only a new instance can give the next load more room. */
  get worthRebuilding(): boolean {
    return this.starved && this.sessions === 0 && this.loads === 0
  }

  /**
   * The error for a model that finds no room while it loads.
   * @returns model_too_large if it had the whole heap, engine_full if another try can succeed
   */
  loadFailed(bytes: number, cause?: unknown): VergeError {
    if (this.sessions === 0 && this.loads <= 1 && !this.departed) {
      return new VergeError(
        'model_too_large',
        'The model does not fit into the memory of an isolate, even alone. Use a smaller model, or a lower precision.',
        { cause, details: { bytes_needed: bytes } },
      )
    }
    return this.#full(cause)
  }

  /**
   * The error for a run that finds no room.
   * @returns run_too_large if its model had the whole heap, engine_full if another try can succeed
   */
  runFailed(run: RunFootprint, cause?: unknown): VergeError {
    if (this.sessions <= 1 && this.loads === 0 && !this.departed) return runTooLarge(run, cause)
    return this.#full(cause)
  }

  #full(cause?: unknown): VergeError {
    this.starved = true
    return heapFull(cause)
  }
}
