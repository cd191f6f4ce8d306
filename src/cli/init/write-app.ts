import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import * as z from 'zod'
import { writeWhole } from '../files/whole-file.ts'
import { UsageError } from '../terminal/command-line.ts'
import {
  ENTRY,
  ENTRY_PATH,
  IGNORED,
  NPM_SETTINGS,
  packaged,
  packageFile,
  TYPESCRIPT_SETTINGS,
  wranglerFile,
} from './files.ts'
import { checkedName, nameFrom } from './names.ts'

/** The model that ships with the package, so that a first request is answered. */
const MODEL = 'models/digits'

/** What a folder may hold and still count as empty: a fresh repository. */
const HARMLESS = new Set(['.git', '.DS_Store', '.idea', '.vscode', 'LICENSE', 'README.md'])

/** Names of files that a message lists. */
const LISTED = 5

const packageSchema = z.object({
  version: z.string(),
  devDependencies: z.record(z.string(), z.string()),
  allowScripts: z.record(z.string(), z.boolean()),
})

export interface AppOptions {
  readonly folder: string
  /** Of the Worker; made of the folder's name if left out. */
  readonly name?: string | undefined
  /** Whether files that are there already may be replaced. */
  readonly force: boolean
  /** The folder of Verge's package.json. */
  readonly from: string
  /** How a package.json in the folder names Verge, by the version that runs. */
  readonly spec: (version: string) => Promise<string>
  readonly dryRun: boolean
}

export interface WrittenApp {
  readonly name: string
  /** Paths from the folder on. */
  readonly files: readonly string[]
  /** Those that were there before. */
  readonly replaced: readonly string[]
}

/** Writes an application that uses the installed package. @throws UsageError if the folder or the name will not do */
export async function writeApp({ folder, name, force, from, spec, dryRun }: AppOptions): Promise<WrittenApp> {
  const called = name === undefined ? nameFrom(basename(resolve(folder))) : checkedName(name)
  const present = await contentOf(folder)
  const files = await filesOf(from, called, spec)
  const replaced: string[] = []
  for (const path of files.keys()) if (await exists(join(folder, path))) replaced.push(path)
  if (!force) refuseFull(folder, present, replaced)
  if (!dryRun) for (const [path, content] of files) await writeWhole(join(folder, path), content)
  return { name: called, files: [...files.keys()], replaced }
}

/** Contents by their paths in the application. */
async function filesOf(
  from: string,
  name: string,
  spec: AppOptions['spec'],
): Promise<ReadonlyMap<string, string | Uint8Array>> {
  const read = (path: string): Promise<string> => readFile(join(from, path), 'utf8')
  const { version, devDependencies: tested, allowScripts } = packageSchema.parse(JSON.parse(await read('package.json')))
  const files = new Map<string, string | Uint8Array>([
    ['package.json', packageFile({ name, verge: await spec(version), tested, allowScripts })],
    ['wrangler.toml', wranglerFile(await read('wrangler.toml'), name)],
    [ENTRY_PATH, ENTRY],
    ['tsconfig.json', TYPESCRIPT_SETTINGS],
    ['.npmrc', NPM_SETTINGS],
    ['.gitignore', IGNORED],
    ['.dev.vars.example', packaged(await read('.dev.vars.example'))],
  ])
  const model = join(from, MODEL)
  for (const entry of await readdir(model, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    files.set(relative(from, path).replaceAll('\\', '/'), await readFile(path))
  }
  return files
}

/** @throws UsageError if it is no folder */
async function contentOf(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return []
    if (code === 'ENOTDIR') throw new UsageError(`${folder} is a file. Choose another name for the folder.`)
    throw error
  }
}

function refuseFull(folder: string, present: readonly string[], replaced: readonly string[]): void {
  const inTheWay = present.filter((name) => !HARMLESS.has(name)).sort()
  if (inTheWay.length === 0) return
  const names = inTheWay.length > LISTED ? [...inTheWay.slice(0, LISTED), '...'] : inTheWay
  const effect =
    replaced.length === 0 ? 'it replaces none of these files' : `it replaces ${replaced.join(', ')} and no other file`
  throw new UsageError(
    `${folder} is not empty: it has ${names.join(', ')}. Choose another folder, or add --force: ${effect}.`,
  )
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}
