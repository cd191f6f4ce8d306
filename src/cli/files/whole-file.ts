import { chmod, mkdir, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

let drafts = 0

/** A name beside a file's own that nobody else takes, in this process or another. */
export function draftOf(path: string): string {
  drafts++
  return `${path}.${process.pid}-${drafts}.new`
}

/**
 * Writes a file under another name first, so that none is ever found half written under this one, by whoever watches it
 * or after a crash. Its folder is made where it is missing; a link stays one, and a file keeps its mode if none is given.
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
