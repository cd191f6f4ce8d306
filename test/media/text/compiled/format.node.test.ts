import { describe, expect, it } from 'vitest'
import { SECTION, TokenizerImage, writeImage } from '../../../../src/media/text/compiled/format.ts'

const numbers = Int32Array.of(1, -2, 3)
const image = writeImage([[SECTION.merges, numbers]])

describe('an image at an odd place in memory', () => {
  const memory = new Uint8Array(image.length + 1)
  memory.set(image, 1)

  it.each([
    ['an array of bytes', memory.subarray(1)],
    ["Node's Buffer", Buffer.from(memory.buffer, 1)],
  ])('is read from %s', (_, bytes) => {
    expect(bytes.byteOffset).toBe(1)
    expect(new TokenizerImage(bytes).int32(SECTION.merges)).toEqual(numbers)
  })
})

describe('an image', () => {
  it('is used where it lies', () => {
    expect(new TokenizerImage(image).int32(SECTION.merges).buffer).toBe(image.buffer)
  })

  it('that says another length, or too many sections, is refused before anything is made of it', () => {
    for (const at of [8, 12]) {
      const damaged = image.slice()
      new DataView(damaged.buffer).setUint32(at, 0xffff_ffff, true)
      expect(() => new TokenizerImage(damaged)).toThrow(/another length|too many sections/)
    }
  })
})
