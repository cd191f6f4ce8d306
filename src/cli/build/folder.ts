import { copyFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Description } from '../pack/description.ts'

export interface ModelFolder {
  readonly description: Description
  /** Files by their paths below the folder: their contents, or the path of the source. */
  readonly files: ReadonlyMap<string, Uint8Array | string | { readonly path: string }>
}

/**
 * Replaces a model folder (`verge.json` and the files that it names) atomically: writes a new folder beside it, and
 * renames it.
 */
export async function writeModelFolder(folder: string, { description, files }: ModelFolder): Promise<void> {
  await mkdir(dirname(folder), { recursive: true })
  const draft = await mkdtemp(`${folder}.`)
  try {
    for (const [name, content] of files) {
      const target = join(draft, name)
      await mkdir(dirname(target), { recursive: true })
      if (typeof content === 'object' && 'path' in content) await copyFile(content.path, target)
      else await writeFile(target, content)
    }
    await writeFile(join(draft, 'verge.json'), `${JSON.stringify(description, null, 2)}\n`)
    await rm(folder, { recursive: true, force: true })
    await rename(draft, folder)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw error
  }
}
