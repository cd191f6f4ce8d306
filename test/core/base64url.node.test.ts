import { describe, expect, it } from 'vitest'
import { fromBase64url, toBase64url } from '../../src/core/base64url.ts'

describe('base64url', () => {
  it("is Node's, both ways", () => {
    for (let length = 0; length < 70; length++) {
      const bytes = Uint8Array.from({ length }, (_, index) => (index * 37 + length * 11) & 255)
      const text = Buffer.from(bytes).toString('base64url')
      expect(toBase64url(bytes)).toBe(text)
      expect(fromBase64url(text)).toEqual(bytes)
    }
  })

  it.each(['a', 'ab=', 'a+bc', 'a/bc', 'ab\n', 'ab c', 'AB', 'AAB'])('refuses %j', (text) => {
    expect(fromBase64url(text)).toBeUndefined()
  })
})
