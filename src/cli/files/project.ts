import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, extname, join, resolve } from 'node:path'
import { UsageError } from '../terminal/command-line.ts'

/** Verge's own modules: `src` in the repository, `dist` in the package that `npm pack` makes. */
export const SOURCE = resolve(import.meta.dirname, '../..')

/** How the names of Verge's own modules end. */
const ENDING = extname(import.meta.filename)

/** Whether this is the package, and not the repository that it is made of. */
export const INSTALLED = ENDING === '.js'

/** How a person starts an origin. */
export const ORIGIN_COMMAND = INSTALLED ? 'npx verge origin' : 'npm run origin'

/** What ships with Verge: the folder of its package.json. */
export const PACKAGE = dirname(SOURCE)

/** One of Verge's own modules, to be run or bundled. @param name from `src/` on, without an ending */
export function ownModule(name: string): string {
  return join(SOURCE, `${name}${ENDING}`)
}

/**
 * The project that is worked on: its wrangler.toml, its models, its local state. In the repository, the repository itself.
 * For an installed package, the nearest folder with a wrangler.toml; where there is none, the current one.
 */
export const ROOT = INSTALLED ? projectAbove(process.cwd()) : PACKAGE

/** Where `wrangler dev` keeps local R2 and KV unless told otherwise. */
export const STATE = join(ROOT, '.wrangler/state')

/** The nearest folder with a wrangler.toml, from `folder` upwards; `folder` where there is none. */
function projectAbove(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, 'wrangler.toml'))) return at
    if (dirname(at) === at) return folder
  }
}

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
