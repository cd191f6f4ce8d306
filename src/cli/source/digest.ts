import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { piecesOf } from './pieces.ts'

/**
 * The expected digest of a file: SHA-256 of its bytes, or git's SHA-1 of a blob (`blob <length>`, a zero, the bytes),
 * which the hub lists for files outside LFS.
 */
export type FileDigest = { readonly kind: 'sha256' | 'git-sha1'; readonly hex: string }

/** Parses a hexadecimal digest, whose kind follows from its length; undefined for anything else. */
export function digestOfHex(hex: string | undefined): FileDigest | undefined {
  if (hex === undefined) return undefined
  if (/^[0-9a-f]{64}$/.test(hex)) return { kind: 'sha256', hex }
  if (/^[0-9a-f]{40}$/.test(hex)) return { kind: 'git-sha1', hex }
  return undefined
}

/** Hashes a file from the disk, because this is what later code reads. @throws VergeError cancelled */
export async function hashFile(path: string, kind: FileDigest['kind'], signal?: AbortSignal): Promise<string> {
  const hash = createHash(kind === 'sha256' ? 'sha256' : 'sha1')
  if (kind === 'git-sha1') hash.update(`blob ${(await stat(path)).size}\0`)
  for await (const piece of piecesOf(path, 0, signal)) hash.update(piece)
  return hash.digest('hex')
}
