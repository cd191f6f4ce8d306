import { createHash } from 'node:crypto'
import { readdir, readFile, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { canonicalJson } from '../../catalog/canonical-json.ts'
import { NATIVE_VERSION } from '../../engine/native/support.ts'
import { ROOT } from '../files/project.ts'
import { writeWhole } from '../files/whole-file.ts'
import { sourcesDigest } from '../local/sources-digest.ts'

/** Results that took long and depend on nothing but files: proofs, measurements, quantized models. */
const FOLDER = join(ROOT, '.verge/kept')
/** Maximum total size, including models. The least recently used entries are deleted first. */
const MOST = { bytes: 2 * 1024 ** 3, entries: 500 }

/** A local cache of results. The key is the digest of their inputs. */
export interface Kept {
  /** @returns undefined if there is no entry, or it cannot be read */
  find<T>(kind: string, parts: object): Promise<T | undefined>
  put(kind: string, parts: object, result: unknown): Promise<void>
}

/**
 * Results by the digest of everything that they depend on, the sources and packages that made them included: changed code
 * finds nothing. A result that cannot be written or read is made again.
 */
export function keptResults(folder = FOLDER, tools: () => Promise<string> = toolsDigest, most = MOST): Kept {
  const pathOf = async (kind: string, parts: object): Promise<string> =>
    join(folder, `${kind}-${digestOf(canonicalJson({ kind, tools: await tools(), parts }))}`)
  return {
    async find<T>(kind: string, parts: object) {
      const path = await pathOf(kind, parts)
      try {
        const result = deserialize(await readFile(path)) as T
        const now = new Date()
        await utimes(path, now, now)
        return result
      } catch {
        return undefined
      }
    },
    async put(kind, parts, result) {
      await writeWhole(await pathOf(kind, parts), serialize(result))
      await removeOld(folder, most)
    },
  }
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

let digest: Promise<string> | undefined

/** What makes results: the sources of Verge, and the versions of its packages and of the runtimes. */
function toolsDigest(): Promise<string> {
  digest ??= sourcesDigest().then((sources) =>
    digestOf(`${NATIVE_VERSION} ${process.version} ${process.platform} ${process.arch} ${sources}`),
  )
  return digest
}

async function removeOld(folder: string, most: typeof MOST): Promise<void> {
  const entries: { path: string; size: number; used: number }[] = []
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const found = await stat(path).catch(() => undefined)
    if (found) entries.push({ path, size: found.size, used: found.mtimeMs })
  }
  let total = 0
  const newestFirst = entries.sort((left, right) => right.used - left.used)
  for (const [index, { path, size }] of newestFirst.entries()) {
    total += size
    if (index > 0 && (total > most.bytes || index >= most.entries)) await rm(path, { force: true })
  }
}
