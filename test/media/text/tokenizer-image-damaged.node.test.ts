import { expect, it } from 'vitest'
import { damageTokenizers } from '../../fixtures/tokenizer-damage.ts'

it('a damaged image is refused, fails with a typed error, or makes tokens that there are', () => {
  const rounds = 10_000
  const { failed, refused, worked } = damageTokenizers(rounds, 1)
  expect(failed + refused + worked).toBe(rounds)
  expect(failed).toBeGreaterThan(rounds / 1_000)
  expect(Math.min(refused, worked)).toBeGreaterThan(rounds / 20)
})
