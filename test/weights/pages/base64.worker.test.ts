import { describe, expect, it } from 'vitest'
import { base64Length, bytesOfBase64 } from '../../../src/weights/pages/base64.ts'
import { pattern } from '../../contract/store.ts'
import { toBase64 } from '../../fixtures/base64.ts'

describe('bytesOfBase64', () => {
  it('reads what the platform writes, of any length', () => {
    for (let length = 0; length < 200; length++) {
      const bytes = pattern(length, length + 1)
      const text = toBase64(bytes)
      expect(text.length).toBe(base64Length(length))
      expect(bytesOfBase64(text, length)).toEqual(bytes)
    }
    const all = Uint8Array.from({ length: 256 * 3 }, (_, i) => i)
    expect(bytesOfBase64(toBase64(all), all.length)).toEqual(all)
  })

  it('refuses every other character at every place, and bits that belong to no byte', () => {
    for (const length of [12, 13, 14]) {
      const text = toBase64(pattern(length))
      for (let at = 0; at < text.length; at++) {
        for (const other of ['=', '-', '_', ' ', '\n', '\0', 'ä', '\u0141', '\u2603']) {
          if (text[at] === other) continue
          const changed = text.slice(0, at) + other + text.slice(at + 1)
          expect(bytesOfBase64(changed, length), `${JSON.stringify(other)} at ${at} of ${length}`).toBeUndefined()
        }
      }
    }
    expect(bytesOfBase64('AB==', 1)).toBeUndefined()
    expect(bytesOfBase64('AAB=', 2)).toBeUndefined()
    expect(bytesOfBase64('AA==', 1)).toEqual(Uint8Array.of(0))
  })
})
