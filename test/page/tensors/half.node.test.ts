import { expect, it } from 'vitest'
import { halfBits, halfValue } from '../../../page/tensors/half.ts'

it('halves are those of the platform, all of them', () => {
  const halves = new Float16Array(1)
  const bits = new Uint16Array(halves.buffer)
  for (let half = 0; half < 65_536; half++) {
    bits[0] = half
    const value = halves[0] as number
    expect(halfValue(half)).toBe(value)
    if (!Number.isNaN(value)) expect(halfBits(value)).toBe(half)
  }
})

it('numbers between halves are rounded as the platform rounds 32-bit floats', () => {
  const halves = new Float16Array(1)
  const bits = new Uint16Array(halves.buffer)
  let seed = 1
  for (let i = 0; i < 100_000; i++) {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    const value = Math.fround((seed / 2 ** 30 - 1) * 2 ** ((i % 60) - 40))
    halves[0] = value
    expect([value, halfBits(value)]).toEqual([value, bits[0]])
  }
  for (const value of [65_519, 65_520, 1e9, -1e9, 2 ** -25, 2 ** -24, 6.1e-5, -0]) {
    halves[0] = value
    expect([value, halfBits(value)]).toEqual([value, bits[0]])
  }
})
