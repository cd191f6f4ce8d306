import { cleanMessage } from '../ort/marshal.ts'

/** A function's signature that the runtime puts before what its checks say: `virtual void onnxruntime::X::Y(int) const `. */
const SIGNATURE = /^(?:[\w:<>*&~, ]+ )?[\w:~<>]*onnxruntime::.*?\)(?: const)?(?:::<lambda\([^)]*\)>)? /

/** The runtime's error for a person: without its source files and Verge's. */
export function runtimeReason(error: unknown): string {
  return cleanMessage(messageOf(error)).replace(SIGNATURE, '')
}

/** The runtime's unchanged message. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
