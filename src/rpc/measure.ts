import { VergeError } from '../core/errors.ts'

export interface MeasureLimits {
  readonly maxBytes: number
  /** Lists and objects, each as often as it is read. */
  readonly maxContainers: number
  /** Whether typed arrays may stand in the value. */
  readonly views: boolean
}

/** About what values take in memory. */
const BYTES_PER_VALUE = 8
const BYTES_PER_CHARACTER = 2

/** Maximum nesting: deeper lists overflow the stack of recursive code such as validators. */
const MOST_DEPTH = 64

/** Marks where the walk leaves a list or an object again. */
class Leave {
  readonly container: object

  constructor(container: object) {
    this.container = container
  }
}

/**
 * Approximate size of a value in bytes, before it is processed. A structured clone may contain what JSON cannot: cycles
 * are refused, and shared values count each time they are read.
 * @throws invalid_request for cycles, depth and values that JSON lacks; body_too_large, input_too_large
 */
export function measureInput(root: unknown, limits: MeasureLimits): number {
  const open: unknown[] = [root]
  const around = new Set<object>()
  let size = 0
  let containers = 0

  const add = (bytes: number): void => {
    size += bytes
    if (size > limits.maxBytes) throw tooLarge(limits.maxBytes)
  }
  const enter = (container: object, members: Iterable<unknown>): void => {
    if (around.has(container)) {
      throw new VergeError(
        'invalid_request',
        'The inputs contain a list or an object that contains itself. Send a copy without the cycle.',
      )
    }
    if (++containers > limits.maxContainers) throw tooMany(limits.maxContainers)
    around.add(container)
    if (around.size > MOST_DEPTH) {
      throw new VergeError(
        'invalid_request',
        `Lists and objects may be nested ${MOST_DEPTH} levels deep. Send flatter inputs.`,
      )
    }
    open.push(new Leave(container))
    for (const member of members) {
      if (!addPlain(member)) open.push(member)
    }
  }
  /** Counts a value that holds no other; false for lists and objects. */
  const addPlain = (value: unknown): boolean => {
    add(BYTES_PER_VALUE)
    if (typeof value === 'string') add(BYTES_PER_CHARACTER * value.length)
    else if (limits.views && ArrayBuffer.isView(value)) add(value.byteLength)
    else if (typeof value === 'object' && value !== null) return false
    else if (!isPlain(value)) throw unknownKind()
    return true
  }

  if (addPlain(root)) return size
  while (open.length > 0) {
    const value = open.pop()
    if (value instanceof Leave) around.delete(value.container)
    else if (Array.isArray(value)) {
      // Unlike JSON's, a list may be sparse: its length costs the caller nothing.
      if (size + value.length * BYTES_PER_VALUE > limits.maxBytes) throw tooLarge(limits.maxBytes)
      enter(value, value)
    } else if (isRecord(value)) {
      for (const name of Object.keys(value)) add(BYTES_PER_CHARACTER * name.length)
      enter(value, Object.values(value))
    } else throw unknownKind()
  }
  return size
}

function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function isPlain(value: unknown): boolean {
  return value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean'
}

function unknownKind(): VergeError {
  return new VergeError(
    'invalid_request',
    'The inputs must be bytes (an ArrayBuffer, a Uint8Array, a ReadableStream, a Blob or a Response), JSON values, or {tensors}.',
  )
}

export function tooLarge(maxBytes: number): VergeError {
  return new VergeError('body_too_large', `The inputs may have at most ${maxBytes} bytes.`, {
    details: { limit_bytes: maxBytes },
  })
}

function tooMany(most: number): VergeError {
  return new VergeError(
    'input_too_large',
    `The inputs may have at most ${most} lists and objects. Send flatter inputs.`,
    {
      details: { limit_containers: most },
    },
  )
}
