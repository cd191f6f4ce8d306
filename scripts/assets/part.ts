import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'

/** A part of what Workers Assets serve: files at the root of the folder, and all of `assets/<name>/`. */
export interface AssetsPart {
  readonly name: string
  /** Files, and folders with all that they hold, by their paths in the repository: everything that the result depends on. */
  readonly sources: readonly string[]
  /** Files that it writes at the root of the folder. Others belong to `assets/<name>/`. */
  readonly atRoot: readonly string[]
  /** Writes the part. @param folder an empty one */
  readonly build: (folder: string) => Promise<void>
}

/**
 * Builds a part unless it was built of the same sources. Several processes may do so at once.
 * @param root of the repository
 * @param assets the folder that is served; the digest of the sources is kept beside it
 * @returns whether the part was built
 */
export async function buildPart(part: AssetsPart, root: string, assets: string): Promise<boolean> {
  const note = join(`${assets}-sources`, part.name)
  const digest = await digestOf(root, part.sources)
  const complete = part.atRoot.every((name) => existsSync(join(assets, name))) && existsSync(inAssets(assets, part))
  if (complete && (await readFile(note, 'utf8').catch(() => '')) === digest) return false
  await mkdir(assets, { recursive: true })
  await mkdir(dirname(note), { recursive: true })
  await removeKilled(`${assets}-making-`)
  const made = await mkdtemp(`${assets}-making-`)
  try {
    await part.build(made)
    // Until the end, what is there counts as made of other sources.
    await rm(note, { force: true })
    await replace(inAssets(made, part), inAssets(assets, part))
    // Last, because they name what was just put there.
    for (const name of part.atRoot) await rename(join(made, name), join(assets, name))
    await writeFile(note, digest)
  } finally {
    await rm(made, { recursive: true, force: true })
  }
  return true
}

/** No build takes longer. */
const BUILD_MS = 3_600_000

/** Folders of builds that were killed. @param prefix of their paths */
async function removeKilled(prefix: string): Promise<void> {
  for (const name of await readdir(dirname(prefix))) {
    if (!name.startsWith(basename(prefix))) continue
    const path = join(dirname(prefix), name)
    const made = await stat(path).catch(() => undefined)
    if (made !== undefined && Date.now() - made.mtimeMs > BUILD_MS) await rm(path, { recursive: true, force: true })
  }
}

const inAssets = (folder: string, { name }: AssetsPart): string => join(folder, 'assets', name)

/**
 * Files of the same names are the same, so that another process which does this too changes nothing. Each is put into its
 * place by renaming, which such a process sees done or not begun: a copy it would see halfway.
 */
async function replace(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true })
  const wanted = new Set(await readdir(from, { recursive: true }))
  for (const file of await filesIn(from)) {
    const place = join(to, relative(from, file))
    await mkdir(dirname(place), { recursive: true })
    await rename(file, place)
  }
  for (const name of await readdir(to, { recursive: true })) {
    if (!wanted.has(name)) await rm(join(to, name), { recursive: true, force: true })
  }
}

async function digestOf(root: string, sources: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const source of sources) {
    const path = join(root, source)
    const files = (await stat(path)).isDirectory() ? await filesIn(path) : [path]
    for (const file of files) {
      const bytes = await readFile(file)
      hash.update(`${relative(root, file).replaceAll('\\', '/')} ${bytes.length}\n`).update(bytes)
    }
  }
  return hash.digest('hex')
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}
