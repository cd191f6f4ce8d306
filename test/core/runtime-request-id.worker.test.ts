import { describe, expect, it } from 'vitest'
import { requestIdFrom } from '../../src/core/runtime.ts'

describe('a request id', () => {
  it("is the caller's own where it can be echoed without escaping, otherwise a new one", () => {
    const from = (given: string | null | undefined) => requestIdFrom(given, () => 'new')
    expect(['a-1_B.c', 'x'.repeat(128)].map(from)).toEqual(['a-1_B.c', 'x'.repeat(128)])
    for (const given of [undefined, null, '', 'x'.repeat(129), 'a b', 'a\n', 'a"', 'é']) expect(from(given)).toBe('new')
  })
})
