import { describe, expect, it } from 'vitest'
import { digitStrokes, hasInk, smoothed } from '../../../page/media/digit-strokes.ts'

describe('digitStrokes', () => {
  it('has ten digits, all on the paper', () => {
    const digits = Array.from({ length: 10 }, (_, digit) => digitStrokes(digit))
    expect(digits.every(hasInk)).toBe(true)
    const all = digits.flat(2)
    expect(all.every(({ x, y }) => x > 0.1 && x < 0.9 && y > 0.1 && y < 0.9)).toBe(true)
    expect(digitStrokes(10)).toEqual([])
  })
})

describe('hasInk', () => {
  it('is true for a dot', () => {
    expect([hasInk([]), hasInk([[]]), hasInk([[{ x: 0, y: 0 }]])]).toEqual([false, false, true])
  })
})

describe('smoothed', () => {
  const at = (x: number, y: number) => ({ x, y })

  it('goes from the first point to the last, bent by those between', () => {
    expect(smoothed([at(0, 0), at(1, 0), at(1, 1), at(0, 1)])).toEqual({
      start: at(0, 0),
      parts: [{ bend: at(1, 0), to: at(1, 0.5) }, { bend: at(1, 1), to: at(0.5, 1) }, { to: at(0, 1) }],
    })
  })

  it('draws a dot and a line', () => {
    expect(smoothed([at(1, 1)])).toEqual({ start: at(1, 1), parts: [{ to: at(1, 1) }] })
    expect(smoothed([at(0, 0), at(1, 1)])).toEqual({ start: at(0, 0), parts: [{ to: at(1, 1) }] })
    expect(smoothed([])).toBeUndefined()
  })
})
