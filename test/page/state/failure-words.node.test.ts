import { describe, expect, it } from 'vitest'
import { failureWords, isVergeError } from '../../../page/state/failure-words.ts'
import { VergeError } from '../../../src/client/index.ts'

describe('a failure in words', () => {
  it("is the Worker's own sentence, with the id of the request and when to try again", () => {
    const failure = new VergeError('overloaded', 'Too many requests. Try again.', {
      status: 429,
      requestId: 'abc',
      retryAfter: 0.2,
    })
    expect(failureWords(failure, true)).toEqual({
      text: 'Too many requests. Try again. The same request may work in 1 s.',
      requestId: 'abc',
    })
  })

  it('tells a device without a network from a Worker that does not answer', () => {
    const failure = new VergeError('network_error', 'fetch failed')
    expect(failureWords(failure, false).text).toMatch(/^This device is offline/)
    expect(failureWords(failure, true).text).toMatch(/^The Worker cannot be reached/)
  })

  it('of the page itself shows nothing of its inside', () => {
    const { text, requestId } = failureWords(new TypeError('x.y is not a function at /secret/path'), true)
    expect(text).toMatch(/^The page itself failed\. Reload it\./)
    expect(text).not.toContain('secret')
    expect(requestId).toBeUndefined()
  })

  it('knows errors of a client that was bundled apart', () => {
    class VergeErrorOfAnother extends Error {
      override name = 'VergeError'
      code = 'engine_full'
    }
    expect(isVergeError(new VergeErrorOfAnother('no room'))).toBe(true)
    expect(failureWords(new VergeErrorOfAnother('no room'), true).text).toBe('no room')
    expect(isVergeError(new Error('no'))).toBe(false)
  })
})
