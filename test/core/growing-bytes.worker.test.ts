import { describe, expect, it } from 'vitest'
import { GrowingBytes } from '../../src/core/growing-bytes.ts'

/** @returns the sizes that were allocated for pieces of the lengths given */
function allocated(lengths: readonly number[], first: number, most: number): number[] {
  const sizes: number[] = []
  const content = new GrowingBytes({ first, most, hold: (bytes) => sizes.push(bytes) })
  for (const length of lengths) content.append(new Uint8Array(length))
  return sizes
}

describe('growing bytes', () => {
  it('hold all pieces in order, in one buffer, after the padding', () => {
    const content = new GrowingBytes({ first: 2, most: 100, padding: 3 })
    const piece = Uint8Array.of(1, 2, 3)
    content.append(piece)
    piece.fill(9)
    content.append(Uint8Array.of(4))
    content.append(new Uint8Array(0))
    content.append(Uint8Array.of(5, 6, 7, 8))
    expect([...content.bytes]).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(content.length).toBe(8)
    expect(content.bytes.byteOffset).toBe(3)
  })

  it('double, do not grow past the expected most before more has come, and never begin past it', () => {
    expect(allocated([10, 10, 10, 10], 16, 1000)).toEqual([16, 32, 64])
    expect(allocated([10, 10, 10], 16, 30)).toEqual([16, 30])
    expect(allocated([10, 10, 20], 16, 30)).toEqual([16, 30, 40])
    expect(allocated([], 16, 4)).toEqual([4])
  })

  it('copy each byte less than twice, however many pieces there are', () => {
    const held = (pieces: number): number =>
      allocated(
        Array.from({ length: pieces }, () => 100),
        100,
        1e9,
      ).reduce((sum, size) => sum + size, 0)
    expect(held(1000)).toBeLessThan(4 * 100 * 1000)
    expect(held(2000)).toBeLessThan(4 * 100 * 2000)
  })

  it('are refused by whoever holds them before memory is given', () => {
    const content = new GrowingBytes({
      first: 4,
      most: 1e9,
      hold(bytes) {
        if (bytes > 100) throw new RangeError('too many')
      },
    })
    expect(() => content.append(new Uint8Array(101))).toThrow('too many')
    expect(content.length).toBe(0)
  })
})
