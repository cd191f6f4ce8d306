import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { KEY_LENGTH, makeKey, parseKey } from '../../../src/access/keys/form.ts'
import { randomBytes } from '../../fixtures/keys.ts'

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

describe('makeKey', () => {
  it('makes keys of one form, which are read back', () => {
    for (let i = 0; i < 500; i++) {
      const { id, secret, text } = makeKey(randomBytes)
      expect(text).toMatch(/^verge_sk_[0-9a-hjkmnp-tv-z]{12}_[0-9A-Za-z]{38}$/)
      expect(text).toHaveLength(KEY_LENGTH)
      expect(parseKey(text)).toEqual({ id, secret })
    }
  })

  it('ends with the CRC-32 of all before it, in base62', () => {
    for (let i = 0; i < 100; i++) {
      const { text } = makeKey(randomBytes)
      const value = [...text.slice(-6)].reduce((sum, digit) => sum * 62 + ALPHABET.indexOf(digit), 0)
      expect(value).toBe(crc32(text.slice(0, -6)))
    }
  })

  it('makes another secret for an id', () => {
    const first = makeKey(randomBytes)
    const second = makeKey(randomBytes, first.id)
    expect([second.id, second.secret === first.secret]).toEqual([first.id, false])
    expect(parseKey(second.text)?.id).toBe(first.id)
  })

  it('throws bytes away by which some characters would be likelier', () => {
    // 248 to 255 are beyond four times 62; of 32 there is no rest
    let calls = 0
    const { secret } = makeKey((length) => new Uint8Array(length).fill(calls++ < 3 ? 255 : 61), '0123456789ab')
    expect(secret).toBe('z'.repeat(32))
    expect(calls).toBe(4)
  })

  it('gives every character its share', () => {
    const counts = new Map<string, number>()
    const keys = 2_000
    for (let i = 0; i < keys; i++)
      for (const digit of makeKey(randomBytes).secret) counts.set(digit, (counts.get(digit) ?? 0) + 1)
    const share = (keys * 32) / 62
    expect(counts.size).toBe(62)
    // ten standard deviations: a test that fails once in longer than anything lasts
    for (const count of counts.values()) expect(Math.abs(count - share)).toBeLessThan(10 * Math.sqrt(share))
  })
})

describe('parseKey', () => {
  const { text } = makeKey(randomBytes)

  it('refuses every key with one character changed, left out, doubled or exchanged with the next', () => {
    for (let at = 0; at < text.length; at++) {
      for (const other of [...ALPHABET, '_', ' ', '\0', 'é', '\n']) {
        if (other !== text[at]) expect(parseKey(text.slice(0, at) + other + text.slice(at + 1))).toBeUndefined()
      }
      expect(parseKey(text.slice(0, at) + text.slice(at + 1))).toBeUndefined()
      expect(parseKey(text.slice(0, at) + text[at] + text.slice(at))).toBeUndefined()
      const swapped = text.slice(0, at) + (text[at + 1] ?? '') + text[at] + text.slice(at + 2)
      if (swapped !== text) expect(parseKey(swapped)).toBeUndefined()
    }
  })

  it('refuses what only looks like a key', () => {
    const others = [
      '',
      'verge_sk_',
      ` ${text}`,
      `${text}\n`,
      text.toUpperCase(),
      text.replace('verge_sk_', 'verge_bt_'),
      'sk-proj-abcdefghijklmnopqrstuvwxyz',
      text.repeat(2),
      'v'.repeat(1_000_000),
    ]
    for (const other of others) expect(parseKey(other)).toBeUndefined()
  })

  it('never throws and never accepts, whatever comes', () => {
    let accepted = 0
    for (let i = 0; i < 50_000; i++) {
      const bytes = randomBytes(60)
      const noise = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')
      // of the right form and length, with a checksum that was guessed: one in 4,300 million fits
      const shaped = `verge_sk_${Array.from(bytes.subarray(0, 12), (byte) => byte % 10).join('')}_${Array.from(bytes.subarray(12, 50), (byte) => ALPHABET[byte % 62]).join('')}`
      expect(shaped).toHaveLength(KEY_LENGTH)
      for (const candidate of [noise, shaped]) if (parseKey(candidate) !== undefined) accepted++
    }
    expect(accepted).toBe(0)
  })
})
