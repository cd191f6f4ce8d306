import { chmod, mkdir, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

let drafts = 0

/** A temporary name beside the file that is unique across processes. */
export function draftOf(path: string): string {
  drafts++
  return `${path}.${process.pid}-${drafts}.new`
}

/**
 * Writes a file atomically: under a temporary name first, so that neither a watcher nor a crash leaves a partial file
 * under its name. Creates missing folders, keeps symbolic links, and keeps the file's mode unless one is given.
 */
export async function writeWhole(
  path: string,
  content: Uint8Array | string,
  options: { readonly mode?: number } = {},
): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const target = await realpath(path).catch(() => path)
  const mode = options.mode ?? (await stat(target).catch(() => undefined))?.mode
  const draft = draftOf(target)
  try {
    await writeFile(draft, content, { mode: mode ?? 0o666 })
    // `open` takes the process's mask off a mode
    if (mode !== undefined) await chmod(draft, mode & 0o777)
    await rename(draft, target)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}
