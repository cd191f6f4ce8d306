import { isVergeError, VergeError } from '../core/errors.ts'

/**
 * Linear memories of one isolate, which may hold so many bytes together. None is ever given back: what one has grown to,
 * another cannot have.
 */
export class HeapBudget {
  readonly limitBytes: number
  readonly #held = new Map<string, number>()

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  /** Lets a memory grow to so many bytes, and counts them, where all of them together stay within the limit. */
  grow(owner: string, bytes: number): boolean {
    const others = [...this.#held].reduce((sum, [name, held]) => (name === owner ? sum : sum + held), 0)
    if (others + bytes > this.limitBytes) return false
    this.#held.set(owner, Math.max(bytes, this.#held.get(owner) ?? 0))
    return true
  }

  /** Bytes that all memories have grown to. */
  get bytes(): number {
    return [...this.#held.values()].reduce((sum, held) => sum + held, 0)
  }
}

/** The detail that tells this failure from others of its code. */
const HELD = 'memory_of_other_engines'

/**
 * The error for a model or a run that would fit, if the memories of other engines had not grown as they have. No eviction helps.
 * @param bytes that it needs
 */
export function heldByOthers(bytes: number, cause?: unknown): VergeError {
  return new VergeError(
    'engine_full',
    'The memory that this needs belongs to another engine of this isolate, and is never given back. Try again: another isolate may have room. If it happens often, serve models of ONNX Runtime and large models of the other engine from two Workers.',
    { cause, details: { [HELD]: true, bytes_needed: bytes }, retryAfter: 1 },
  )
}

export function isHeldByOthers(error: unknown): boolean {
  return isVergeError(error, 'engine_full') && error.details?.[HELD] === true
}
