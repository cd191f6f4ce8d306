import { createHash } from 'node:crypto'
import type { Blob } from '../../catalog/manifest.ts'
import type { ByteSource } from '../../engine/engine.ts'

export { nodeSha256 } from '../../origin/sha256.ts'

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Cuts bytes into content-addressed chunks. The pieces are views of `bytes`, by digest. */
export function toBlob(
  bytes: Uint8Array,
  chunkBytes: number,
): { readonly blob: Blob; readonly pieces: ReadonlyMap<string, Uint8Array> } {
  const pieces = new Map<string, Uint8Array>()
  const chunks: Blob['chunks'] = []
  for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
    const piece = bytes.subarray(offset, offset + chunkBytes)
    const digest = sha256(piece)
    pieces.set(digest, piece)
    chunks.push({ sha256: digest, bytes: piece.length })
  }
  return { blob: { sha256: sha256(bytes), bytes: bytes.length, chunks }, pieces }
}

/** Bytes in memory as an engine takes them. */
export function memorySource(bytes: Uint8Array): ByteSource {
  return {
    bytes: bytes.length,
    async deliver(write) {
      write(0, bytes)
    },
  }
}
