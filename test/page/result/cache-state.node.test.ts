import { describe, expect, it } from 'vitest'
import { cacheState } from '../../../page/result/cache-state.ts'

describe('cacheState', () => {
  it.each(['hit', 'miss', 'bypass'])('says what %s means', (header) => {
    const { label, meaning } = cacheState(header, 'edge')
    expect(label).toBe(header)
    expect(meaning).toContain('result cache')
  })

  it('says why an answer has no state', () => {
    expect(cacheState(undefined, 'browser').meaning).toContain('your browser')
    expect(cacheState(undefined, 'edge').label).toBe('not used')
    expect(cacheState('stale', 'edge').label).toBe('stale')
  })
})
