import { describe, expect, it } from 'vitest'
import { concatBytes, toHex } from '../../src/core/bytes.ts'

describe('bytes', () => {
  it('are put one after the other in memory of their own, whatever buffers they were views of', () => {
    const source = Uint8Array.of(1, 2, 3, 4)
    const whole = concatBytes([source.subarray(1, 3), new Uint8Array(0), source.subarray(0, 1)])
    source.fill(0)
    expect([...whole]).toEqual([2, 3, 1])
    expect(whole.buffer.byteLength).toBe(3)
    expect(concatBytes([])).toHaveLength(0)
  })

  it('are written as two lower-case digits each', () => {
    expect(toHex(Uint8Array.of(0, 10, 255))).toBe('000aff')
    expect(toHex(new Uint8Array(0))).toBe('')
  })
})
