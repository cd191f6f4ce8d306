import { randomBytes } from 'node:crypto'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../files/project.ts'

/**
 * Writes the R2 and KV bindings of `wrangler.toml` into a separate configuration: getPlatformProxy cannot create the
 * Worker's Durable Objects, warns about each of them, and might treat them as errors in a later release.
 * @returns its path
 */
export async function storageConfig(): Promise<string> {
  // wrangler takes a second to import, and not every command needs it.
  const { unstable_readConfig: readConfig } = await import('wrangler')
  const { name, compatibility_date, r2_buckets, kv_namespaces } = readConfig(
    { config: join(ROOT, 'wrangler.toml') },
    { hideWarnings: true },
  )
  const folder = join(ROOT, '.verge')
  const path = join(folder, 'storage.wrangler.json')
  // Put in place whole: another command may be reading it.
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  await mkdir(folder, { recursive: true })
  await writeFile(temporary, JSON.stringify({ name, compatibility_date, r2_buckets, kv_namespaces }))
  await rename(temporary, path)
  return path
}
