import { open } from 'node:fs/promises'
import { throwIfAborted } from '../../core/errors.ts'

const PIECE_BYTES = 1 << 20

/**
 * A file's bytes, a piece at a time, in one buffer: each piece is gone with the next. Reading a model of gigabytes takes no
 * more memory than that of a small one.
 * @param overlap bytes of the end of each piece that the next begins with
 */
export async function* piecesOf(path: string, overlap = 0, signal?: AbortSignal): AsyncGenerator<Buffer> {
  const file = await open(path)
  try {
    const buffer = Buffer.allocUnsafe(PIECE_BYTES)
    let kept = 0
    for (;;) {
      throwIfAborted(signal)
      const { bytesRead } = await file.read(buffer, kept, PIECE_BYTES - kept)
      if (bytesRead === 0) return
      const length = kept + bytesRead
      yield buffer.subarray(0, length)
      kept = Math.min(overlap, length)
      buffer.copy(buffer, 0, length - kept, length)
    }
  } finally {
    await file.close()
  }
}
