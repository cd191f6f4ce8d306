import { describe, expect, it } from 'vitest'
import { afterLoading } from '../../../src/browser/client/after-loading.ts'
import type { LocalAnswer } from '../../../src/browser/messages.ts'

const PLACEMENT = 'browser;engine=verge;artifact="q8";start=warm'
const answer = (headers: Record<string, string>): LocalAnswer => ({ status: 200, headers, body: '[]' })

describe('afterLoading', () => {
  it('says that the answer waited for its model, and how long', () => {
    const said = answer({ 'verge-placement': PLACEMENT, 'server-timing': 'queue;dur=2, run;dur=5', 'x-other': 'kept' })
    expect(afterLoading(said, 700.123)).toEqual({
      status: 200,
      headers: {
        'verge-placement': 'browser;engine=verge;artifact="q8";start=cold',
        'server-timing': 'load;dur=700.12, queue;dur=2, run;dur=5',
        'x-other': 'kept',
      },
      body: '[]',
    })
  })

  it.each([
    ['load;dur=2.5, run;dur=5', 'load;dur=12.5, run;dur=5'],
    ['load;dur=2.5', 'load;dur=12.5'],
    ['queue;dur=1, load;dur=2.5, run;dur=5', 'load;dur=12.5, queue;dur=1, run;dur=5'],
    ['', 'load;dur=10'],
  ])('adds what the engine itself says of loading: %s', (timing, expected) => {
    const headers = { 'verge-placement': PLACEMENT, ...(timing !== '' && { 'server-timing': timing }) }
    expect(afterLoading(answer(headers), 10).headers['server-timing']).toBe(expected)
  })

  it('leaves a failure as it is', () => {
    const failed = answer({ 'content-type': 'application/json' })
    expect(afterLoading(failed, 10)).toBe(failed)
  })
})
