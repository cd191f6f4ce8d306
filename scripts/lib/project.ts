import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'

/** The repository's root. */
export const ROOT = resolve(import.meta.dirname, '../..')

/** Where `wrangler dev` keeps local R2 and KV unless told otherwise. */
export const STATE = join(ROOT, '.wrangler/state')

/** The folders under `models/` that describe a model, in the order of their names. */
export async function modelFolders(root = join(ROOT, 'models')): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true })
  return entries
    .filter((entry) => entry.isDirectory() && existsSync(join(root, entry.name, 'verge.json')))
    .map((entry) => join(root, entry.name))
    .sort()
}
