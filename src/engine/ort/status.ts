import type { OrtModule } from './module.ts'

/** The last error of the calling thread, for people: without the source file and function of ONNX Runtime's own. */
export function lastError(module: OrtModule): string {
  return cleanMessage(rawError(module))
}

/** The last error of the calling thread as it is: for logs, and to be told in other words. */
export function rawError(module: OrtModule): string {
  const stack = module.stackSave()
  try {
    const pointer = module.stackAlloc(2 * module.PTR_SIZE)
    module._OrtGetLastError(pointer, pointer + module.PTR_SIZE)
    const message = module.getValue(pointer + module.PTR_SIZE, '*')
    return message === 0 ? 'no reason given' : module.UTF8ToString(message)
  } finally {
    module.stackRestore(stack)
  }
}

const LONGEST_MESSAGE = 400

/** Strips source locations and keeps the first line, at most 400 characters. */
export function cleanMessage(message: string): string {
  const first = message.split('\n', 1)[0] ?? ''
  return first
    .replace(/\S*\.(?:cc|h|cpp):\d+ /g, '')
    .replace(/(?:\/[\w.-]+)+\//g, '')
    .slice(0, LONGEST_MESSAGE)
    .trim()
}

/** Whether a failure says that memory ran out, which is worth evicting other models for. */
export function isOutOfMemory(message: string): boolean {
  return /bad_alloc|failed to allocate|out of memory|Failed to allocate/i.test(message)
}
