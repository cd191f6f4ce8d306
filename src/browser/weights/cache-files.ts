import { concatBytes } from '../../core/bytes.ts'
import { type KeptFiles, StorageFull } from './kept.ts'

/** As much of the Cache API as is used. */
export interface CacheLike {
  match(url: string): Promise<Response | undefined>
  put(url: string, response: Response): Promise<void>
  delete(url: string): Promise<boolean>
  keys(): Promise<readonly { readonly url: string }[]>
}

/** Never requested: a cache takes addresses alone as keys. */
const FOLDER = 'https://weights.invalid/'

/**
 * Files in the Cache API, for browsers without a file system of their own. An entry is written whole, so that what a broken
 * download has brought lasts no longer than the page.
 */
export function cacheFiles(cache: CacheLike): KeptFiles {
  return {
    kind: 'cache',
    async read(name, mostBytes) {
      const response = await cache.match(FOLDER + name)
      if (response === undefined) return null
      const bytes = new Uint8Array(await response.arrayBuffer())
      return bytes.length > mostBytes ? null : bytes
    },
    async write(name, from) {
      const before = from === 0 ? null : await cache.match(FOLDER + name)
      const parts: Uint8Array[] = before ? [new Uint8Array(await before.arrayBuffer()).subarray(0, from)] : []
      return {
        append: (bytes) => void parts.push(bytes.slice()),
        async close(complete) {
          if (!complete) return
          try {
            await cache.put(FOLDER + name, new Response(concatBytes(parts)))
          } catch (cause) {
            throw new StorageFull('The cache takes no more.', { cause })
          }
        },
      }
    },
    remove: async (name) => void (await cache.delete(FOLDER + name)),
    names: async () => (await cache.keys()).map(({ url }) => url.slice(FOLDER.length)),
  }
}
