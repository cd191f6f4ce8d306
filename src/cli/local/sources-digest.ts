import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import { PACKAGE, SOURCE } from '../files/project.ts'
import { wranglerManifest } from './wrangler.ts'

/**
 * What names the versions of packages and of the runtime. An installed package has no lock file: its package.json names each
 * version but wrangler's, which the application chooses, and whose own names those of workerd and Miniflare.
 */
const versions = (): readonly string[] =>
  [
    ...['wrangler.toml', 'package.json', 'package-lock.json'].map((name) => join(PACKAGE, name)),
    wranglerManifest(),
  ].filter((path) => existsSync(path))

/**
 * The SHA-256, in hex, of what makes a result: files of Verge's own, and the versions that they run with.
 * @param wanted which files, by their paths from `src/` on; all if left out
 */
export async function sourcesDigest(
  wanted: (name: string) => boolean = () => true,
  source = SOURCE,
  others = versions(),
): Promise<string> {
  const entries = await readdir(source, { recursive: true, withFileTypes: true })
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path, name: relative(source, path).replaceAll('\\', '/') }))
    .filter(({ name }) => wanted(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  const hash = createHash('sha256')
  for (const { path, name } of [...files, ...others.map((path) => ({ path, name: basename(path) }))]) {
    const bytes = await readFile(path)
    hash.update(`${name} ${bytes.length}\n`).update(bytes)
  }
  return hash.digest('hex')
}
