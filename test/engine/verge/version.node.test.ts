import { describe, expect, it } from 'vitest'
import { newerVersion } from '../../../src/engine/verge/version.ts'
import { vergeEngine } from '../../fixtures/node/verge-engine.ts'

describe('the version that an artifact needs', () => {
  it.each([
    [undefined, undefined],
    ['onnxruntime 9.0.0', undefined],
    ['verge 2.3.4', undefined],
    ['verge 2.3.9', undefined],
    ['verge 2.2.9', undefined],
    ['verge 1.9.0', undefined],
    ['verge 2.4.0', '2.4.0'],
    ['verge 3.0.0', '3.0.0'],
    ['verge 10.0.0-beta', '10.0.0-beta'],
  ])('of %s, where the engine is 2.3.4, is newer: %s', (runtime, newer) => {
    expect(newerVersion(runtime, '2.3.4')).toBe(newer)
  })

  it('is named by the engine that does not support it', () => {
    const artifact = { sha256: '00', format: 'verge', bytes: 1000 } as const
    expect(vergeEngine().supports({ ...artifact, runtime: 'verge 1.0.7' })).toEqual({ ok: true })
    expect(vergeEngine().supports({ ...artifact, runtime: 'verge 9.0.0' })).toMatchObject({
      ok: false,
      code: 'engine_unsupported',
      reason: expect.stringMatching(/^needs version 9\.0\.0 of Verge's engine, and this is 1\./),
    })
  })
})
