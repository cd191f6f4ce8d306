import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../../src/cli/files/project.ts'

/** What programs write: packages, builds, and wrangler's types. */
const WRITTEN = new Set(['node_modules', 'dist', '.wrangler', '.verge', 'worker-configuration.d.ts'])

/** Files that people write in a folder of the repository, by their path in the repository with forward slashes. */
export async function ownFiles(folder: string): Promise<string[]> {
  const entries = await readdir(join(ROOT, folder), { withFileTypes: true })
  const found = entries
    .filter(({ name }) => !WRITTEN.has(name))
    .map((entry) => {
      const path = `${folder}/${entry.name}`
      return entry.isDirectory() ? ownFiles(path) : [path]
    })
  return (await Promise.all(found)).flat().sort()
}
