/**
 * Files that outlive a visit, by name: chunks of weights, pages of tables, and the index of both. Nothing in them is trusted: a
 * name says the digest of a file's bytes, and readers compare. A file that is shorter than its name says is the beginning of a
 * download, so that nothing needs to be renamed or marked when a download is complete.
 */
export interface KeptFiles {
  readonly kind: 'opfs' | 'cache' | 'memory'
  /** What there is of a file, of at most so many bytes; null if there is none, or more. Memory of the caller's own. */
  read(name: string, mostBytes: number): Promise<Uint8Array<ArrayBuffer> | null>
  /** Opens a file for writing after so many of its bytes; null while another tab writes it, or where it has fewer. @throws StorageFull */
  write(name: string, from: number): Promise<KeptWriter | null>
  /** Removing what does not exist, or what another tab writes, succeeds. */
  remove(name: string): Promise<void>
  names(): Promise<readonly string[]>
}

export interface KeptWriter {
  /** Adds bytes at the end. @throws StorageFull */
  append(bytes: Uint8Array): void | Promise<void>
  /** Ends the writing. What was written stays where the storage can hold the beginning of a file. @throws StorageFull */
  close(complete: boolean): Promise<void>
}

/** Writes all of a file, and leaves it open in no case: an open file is locked for all tabs. @throws StorageFull */
export async function writeWhole(writer: KeptWriter | null, bytes: Uint8Array): Promise<void> {
  let complete = false
  try {
    await writer?.append(bytes)
    complete = true
  } finally {
    await writer?.close(complete)
  }
}

/** The browser has no room for a file, or does not let the page store any. */
export class StorageFull extends Error {
  override readonly name = 'StorageFull'
}

/** Files are named by what they hold: the SHA-256 and the number of bytes of a chunk, or a part of a file of pages. */
export function chunkName({ bytes, sha256 }: { readonly sha256: string; readonly bytes: number }): string {
  return `chunk-${sha256}-${bytes}`
}

/** @param file SHA-256 of the file of pages */
export function pageName(file: string, { bytes, offset }: { readonly offset: number; readonly bytes: number }): string {
  return `page-${file}-${offset}-${bytes}`
}

const NAME = /^(?:chunk-([0-9a-f]{64})|page-([0-9a-f]{64})-\d{1,15})-(\d{1,15})$/

export interface NamedFile {
  readonly name: string
  /** SHA-256 of the chunk, or of the file of pages that the page is of. */
  readonly sha256: string
  readonly bytes: number
}

/** What a name says; undefined for the name of anything else. */
export function namedFile(name: string): NamedFile | undefined {
  const [, chunk, pages, bytes] = NAME.exec(name) ?? []
  const sha256 = chunk ?? pages
  return sha256 === undefined ? undefined : { name, sha256, bytes: Number(bytes) }
}
