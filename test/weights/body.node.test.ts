import { describe, expect, it } from 'vitest'
import { type ByteReader, bodyOf, byteReader, byteReaderOf } from '../../src/weights/body.ts'

const MiB = 1024 * 1024

describe("a store's body", () => {
  it.each([
    ['larger buffers than its pieces are', 1000, 4096],
    ['smaller ones', 1000, 64],
  ])('gives the same bytes to a reader with %s', async (_, pieceBytes, bufferBytes) => {
    const bytes = Uint8Array.from({ length: 100_003 }, (_, index) => (index * 7919) >> 3)
    const body = bodyOf(byteReaderOf(bytes, pieceBytes), { store: 'test', skip: 1234, take: 90_000 })
    const reader = byteReader(body, bufferBytes)
    const read: Uint8Array[] = []
    for (let piece = await reader.next(); piece !== null; piece = await reader.next()) read.push(piece.slice())
    expect(Buffer.concat(read).equals(bytes.subarray(1234, 91_234))).toBe(true)
  })

  it('leaves no buffers behind for the garbage collector: weights are read in hardly more memory than they take', async () => {
    const piece = new Uint8Array(64 * 1024)
    let left = 256 * MiB
    const source: ByteReader = {
      async next() {
        left -= piece.length
        return left < 0 ? null : piece
      },
      cancel() {},
    }
    const reader = byteReader(bodyOf(source, { store: 'test' }))
    const before = process.memoryUsage().arrayBuffers
    let most = 0
    let bytes = 0
    for (let read = await reader.next(); read !== null; read = await reader.next()) {
      bytes += read.length
      most = Math.max(most, process.memoryUsage().arrayBuffers - before)
    }
    expect(bytes).toBe(256 * MiB)
    expect(most).toBeLessThan(2 * MiB)
  })
})
