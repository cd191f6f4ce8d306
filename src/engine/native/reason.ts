import { cleanMessage } from '../ort/status.ts'

/** A function's signature that the runtime puts before what its checks say: `virtual void onnxruntime::X::Y(int) const `. */
const SIGNATURE = /^(?:[\w:<>*&~, ]+ )?[\w:~<>]*onnxruntime::.*?\)(?: const)?(?:::<lambda\([^)]*\)>)? /

/** What the runtime says went wrong, for people: without its source files, and without ours. */
export function runtimeReason(error: unknown): string {
  return cleanMessage(error instanceof Error ? error.message : String(error)).replace(SIGNATURE, '')
}
