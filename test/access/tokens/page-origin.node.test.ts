import { describe, expect, it } from 'vitest'
import { isPageOrigin, pageOrigin } from '../../../src/access/tokens/page-origin.ts'

describe('the origin of a page', () => {
  it.each([
    ['https://app.example.com', 'https://app.example.com'],
    ['HTTPS://App.Example.com:443', 'https://app.example.com'],
    ['http://localhost:8080', 'http://localhost:8080'],
    ['http://[::1]:80', 'http://[::1]'],
    ['https://bücher.example', 'https://xn--bcher-kva.example'],
    ['chrome-extension://abcdefghijklmnop', 'chrome-extension://abcdefghijklmnop'],
  ])('%s is written as browsers send it', (text, origin) => {
    expect(pageOrigin(text)).toBe(origin)
    expect(isPageOrigin(origin)).toBe(true)
  })

  it.each([
    '',
    '*',
    'null',
    'app.example.com',
    'https://',
    'https://app.example.com/',
    'https://app.example.com/login',
    'https://app.example.com?q',
    'https://user@app.example.com',
    'https://*.example.com',
    'https://app.example.com https://other.example.com',
    'https://app.example.com:99999',
    `https://${'a'.repeat(300)}`,
  ])('%j is none', (text) => {
    expect(pageOrigin(text)).toBeUndefined()
    expect(isPageOrigin(text)).toBe(false)
  })
})
