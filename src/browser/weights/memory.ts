import { concatBytes } from '../../core/bytes.ts'
import type { KeptFiles } from './kept.ts'

/** Files for as long as the page is open, where the browser stores none. */
export function memoryFiles(): KeptFiles {
  const files = new Map<string, Uint8Array<ArrayBuffer>>()
  return {
    kind: 'memory',
    async read(name, mostBytes) {
      const bytes = files.get(name)
      return bytes === undefined || bytes.length > mostBytes ? null : bytes.slice()
    },
    async write(name, from) {
      const parts: Uint8Array[] = [files.get(name)?.subarray(0, from) ?? new Uint8Array()]
      return {
        append: (bytes) => void parts.push(bytes.slice()),
        close: async () => void files.set(name, concatBytes(parts)),
      }
    },
    remove: async (name) => void files.delete(name),
    names: async () => [...files.keys()],
  }
}
