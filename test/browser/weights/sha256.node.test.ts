import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { IncrementalSha256 } from '../../../src/browser/weights/sha256.ts'

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function bytesOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7919 + (i >> 5)) & 0xff)
}

describe('IncrementalSha256', () => {
  it('agrees with OpenSSL for every length around the ends of blocks', async () => {
    for (let length = 0; length <= 200; length++) {
      const digest = new IncrementalSha256()
      digest.add(bytesOf(length))
      expect(await digest.hex(), `${length} bytes`).toBe(digestOf(bytesOf(length)))
    }
  })

  it('does not depend on where the pieces are cut', async () => {
    const bytes = bytesOf(100_000)
    for (const size of [1, 3, 63, 64, 65, 1000, 65_536]) {
      const digest = new IncrementalSha256()
      for (let at = 0; at < bytes.length; at += size) await digest.update(bytes.subarray(at, at + size))
      expect(await digest.hex(), `pieces of ${size}`).toBe(digestOf(bytes))
    }
  })
})
