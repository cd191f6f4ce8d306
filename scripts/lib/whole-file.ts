import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

let drafts = 0

/** A name beside a file's own that nobody else takes, in this process or another. */
export function draftOf(path: string): string {
  drafts++
  return `${path}.${process.pid}-${drafts}.new`
}

/**
 * Writes a file under another name first, so that none is ever found half written under this one; its folder is made
 * where it is missing.
 */
export async function writeWhole(
  path: string,
  content: Uint8Array | string,
  options: { readonly mode?: number } = {},
): Promise<void> {
  const draft = draftOf(path)
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(draft, content, options)
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}
