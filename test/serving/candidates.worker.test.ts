import { describe, expect, it } from 'vitest'
import { Candidates } from '../../src/serving/candidates.ts'
import { testModel } from '../fixtures/http.ts'

const artifact = (id: string, bytes: number) => ({
  id,
  sha256: '0'.repeat(64),
  bytes,
  chunks: [],
  format: 'ort' as const,
  dtype: 'fp32',
  places: ['edge' as const],
})
const { manifest } = testModel('m', 'public', {
  inputs: [],
  outputs: [],
  artifacts: [artifact('best', 30), artifact('small', 20), artifact('broken', 10)],
})

describe('the artifact that answers', () => {
  const candidates = new Candidates('edge', {
    supports: ({ bytes }) =>
      bytes === 10 ? { ok: false, code: 'engine_unsupported', reason: 'is broken' } : { ok: true },
  })

  it('is the best that the engine can run, and the smallest of those where little is left of a budget', () => {
    expect(candidates.chosen(manifest).id).toBe('best')
    expect(candidates.chosen(manifest, true).id).toBe('small')
    // What is kept of a manifest stays in its order.
    expect(candidates.chosen(manifest).id).toBe('best')
    expect(candidates.of(manifest).map(({ artifact: { id } }) => id)).toEqual(['best', 'small', 'broken'])
  })
})
