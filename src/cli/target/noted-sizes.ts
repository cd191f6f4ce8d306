import { throwIfAborted } from '../../core/errors.ts'
import { asked } from '../../weights/body.ts'
import type { KvStore } from '../../weights/kv.ts'
import type { ManyTexts, Store } from '../../weights/store.ts'

/** The size that was noted when a key was written, undefined if none was; null if there is no such key. */
export type NotedSize = (key: string) => Promise<{ readonly bytes: number | undefined } | null>

/**
 * A KV store that reads a value's size from its metadata. Without it, KV must start to read the value, which is a
 * cancelled download of up to 8 MiB from outside.
 */
export function withNotedSizes(kv: KvStore, noted: NotedSize, many?: ManyTexts): Store {
  return {
    name: kv.name,
    ...(many && { many }),
    async head(key, options = {}) {
      throwIfAborted(options.signal)
      const found = await asked(kv.name, () => noted(key), options.signal)
      // written by another tool, if its size was not noted
      return found === null ? null : found.bytes === undefined ? kv.head(key, options) : { bytes: found.bytes }
    },
    get: (key, options) => kv.get(key, options),
    put: (key, value, options) => kv.put(key, value, options),
    list: (prefix, options) => kv.list(prefix, options),
    delete: (key, options) => kv.delete(key, options),
  }
}
