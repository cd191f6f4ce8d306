import { createHash } from 'node:crypto'
import type { Blob } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import type { ByteSource, PageSource } from '../../engine/engine.ts'

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

/** Bytes in memory as an engine takes them. @param pages the pages file of an artifact that has one */
export function memorySource(bytes: Uint8Array, pages?: Uint8Array): ByteSource {
  return {
    bytes: bytes.length,
    ...(pages && { pages: memoryPages(pages) }),
    async deliver(write) {
      write(0, bytes)
    },
  }
}

function memoryPages(file: Uint8Array): PageSource {
  return {
    bytes: file.length,
    async read(pages, use, signal) {
      signal.throwIfAborted()
      for (const [index, page] of pages.entries()) {
        const bytes = file.subarray(page.offset, page.offset + page.bytes)
        if (sha256(bytes) !== page.sha256)
          throw new VergeError('weights_corrupt', 'A page of the model differs from its digest. Pack the model again.')
        use(index, bytes)
      }
    },
  }
}
