import { cleanMessage } from '../ort/marshal.ts'

/** A function's signature that the runtime puts before what its checks say: `virtual void onnxruntime::X::Y(int) const `. */
const SIGNATURE = /^(?:[\w:<>*&~, ]+ )?[\w:~<>]*onnxruntime::.*?\)(?: const)?(?:::<lambda\([^)]*\)>)? /

/** What the runtime says went wrong, for people: without its source files, and without ours. */
export function runtimeReason(error: unknown): string {
  return cleanMessage(messageOf(error)).replace(SIGNATURE, '')
}

/** What the runtime says, as it is. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
