import { describe, expect, it } from 'vitest'
import { isPrivate, parseHeaders, tracesUrl } from '../../../src/telemetry/traces/settings.ts'

describe('tracesUrl', () => {
  it.each([
    ['https://otlp.example.com', 'https://otlp.example.com/v1/traces'],
    ['https://otlp.example.com/otlp/', 'https://otlp.example.com/otlp/v1/traces'],
    ['http://127.0.0.1:4318', 'http://127.0.0.1:4318/v1/traces'],
  ])('of %s is %s', (endpoint, url) => {
    expect(tracesUrl(endpoint)).toBe(url)
  })

  it.each(['', 'otlp.example.com', 'ftp://otlp.example.com', 'https://user:secret@otlp.example.com'])(
    'of "%s" is none',
    (endpoint) => {
      expect(tracesUrl(endpoint)).toBeUndefined()
    },
  )
})

describe('isPrivate', () => {
  it.each([
    ['https://otlp.example.com/', true],
    ['http://otlp.example.com/', false],
    ['http://127.0.0.1:4318/', true],
    ['http://localhost:4318/', true],
  ])('of %s is %s', (url, expected) => {
    expect(isPrivate(url)).toBe(expected)
  })
})

describe('parseHeaders', () => {
  it('reads names and values, which may hold "="', () => {
    expect(parseHeaders('Authorization=Basic%20YTpi==, x-tenant = 1,')).toEqual({
      authorization: 'Basic YTpi==',
      'x-tenant': '1',
    })
    expect(parseHeaders('')).toEqual({})
  })

  it.each(['no-value', '=value', 'na me=1', 'a=%', 'a=%0d%0ab', 'a=%00'])('refuses "%s"', (text) => {
    expect(parseHeaders(text)).toBeUndefined()
  })
})
