import { toHex } from './bytes.ts'
import type { Sha256, Sha256Factory } from './runtime.ts'

interface DigestStreamLike extends WritableStream<ArrayBufferView> {
  readonly digest: Promise<ArrayBuffer>
}

type DigestStreamConstructor = new (algorithm: 'SHA-256') => DigestStreamLike

/**
 * SHA-256 by workerd's `crypto.DigestStream`, which hashes outside JavaScript; by `fallback` where there is none, as in
 * Node and browsers, whose Web Crypto digests whole buffers only.
 */
export function sha256Factory(fallback?: Sha256Factory): Sha256Factory {
  const { DigestStream } = crypto as { DigestStream?: DigestStreamConstructor }
  if (DigestStream !== undefined) return () => streamed(new DigestStream('SHA-256'))
  if (fallback !== undefined) return fallback
  throw new Error('This runtime has no crypto.DigestStream: pass an incremental SHA-256.')
}

function streamed(stream: DigestStreamLike): Sha256 {
  const writer = stream.getWriter()
  return {
    update: (bytes) => writer.write(bytes),
    async hex() {
      await writer.close()
      return toHex(new Uint8Array(await stream.digest))
    },
  }
}

/** The digest of bytes in memory, in lower-case hexadecimal. */
export async function sha256Hex(factory: Sha256Factory, bytes: Uint8Array): Promise<string> {
  const digest = factory()
  await digest.update(bytes)
  return digest.hex()
}
