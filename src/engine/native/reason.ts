import { cleanMessage } from '../ort/status.ts'

/** What the runtime says went wrong, for people: without its source files, and without ours. */
export function runtimeReason(error: unknown): string {
  return cleanMessage(error instanceof Error ? error.message : String(error))
}
