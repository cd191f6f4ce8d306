import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { UsageError } from '../terminal/command-line.ts'

/** The repository's root. */
export const ROOT = resolve(import.meta.dirname, '../../..')

/** Where `wrangler dev` keeps local R2 and KV unless told otherwise. */
export const STATE = join(ROOT, '.wrangler/state')

/** The folders under `root` that describe a model, in the order of their names. @throws UsageError if there are none */
export async function modelFolders(root = join(ROOT, 'models')): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch(() => [])
  const folders = entries
    .filter((entry) => entry.isDirectory() && existsSync(join(root, entry.name, 'verge.json')))
    .map((entry) => join(root, entry.name))
    .sort()
  if (folders.length === 0) throw new UsageError(`There is no model in ${root}: a model is a folder with a verge.json.`)
  return folders
}
