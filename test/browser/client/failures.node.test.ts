import { describe, expect, it } from 'vitest'
import { Failures, isOfDevice } from '../../../src/browser/client/failures.ts'
import { BROWSER_LIMITS } from '../../../src/browser/client/limits.ts'
import { type ClientErrorCode, VergeError } from '../../../src/client/error.ts'

const failure = (code: ClientErrorCode) => new VergeError(code, 'It failed.')

describe('Failures', () => {
  it('are remembered for a while, which doubles, and forgotten when the model works', () => {
    let now = 0
    const failures = new Failures(BROWSER_LIMITS, () => now)
    const rests: number[] = []
    for (let i = 0; i < 9; i++) {
      const began = now
      failures.note('m', failure('engine_aborted'))
      expect(failures.of('m')).toBe('engine_aborted')
      expect(failures.of('other')).toBeUndefined()
      while (failures.of('m') !== undefined) now += 1_000
      rests.push((now - began) / 1_000)
    }
    expect(rests).toEqual([30, 60, 120, 240, 480, 960, 1920, 3600, 3600])
    failures.forget('m')
    failures.note('m', failure('engine_aborted'))
    now += 30_000
    expect(failures.of('m')).toBeUndefined()
  })

  it('last longer where another attempt would fail in the same way', () => {
    let now = 0
    const failures = new Failures(BROWSER_LIMITS, () => now)
    failures.note('m', failure('not_downloadable'))
    now = 599_999
    expect(failures.of('m')).toBe('not_downloadable')
    now = 600_000
    expect(failures.of('m')).toBeUndefined()
  })

  it('of one request, or of the caller, say nothing of the next', () => {
    const failures = new Failures(BROWSER_LIMITS, () => 0)
    for (const code of ['run_too_large', 'run_rejected', 'invalid_image', 'cancelled'] as const) {
      failures.note('m', failure(code))
      expect(failures.of('m')).toBeUndefined()
    }
    failures.note('m', new TypeError('a defect'))
    expect(failures.of('m')).toBe('internal')
  })

  it('of the caller stay where they are; all others move to the edge', () => {
    const moved = ['engine_aborted', 'engine_full', 'model_too_large', 'engine_unsupported', 'network_error'] as const
    const more = [
      'weights_corrupt',
      'not_downloadable',
      'run_too_large',
      'run_rejected',
      'unexpected_answer',
      'internal',
    ] as const
    for (const code of [...moved, ...more]) expect(isOfDevice(failure(code)), code).toBe(true)
    expect(isOfDevice(new RangeError('out of memory'))).toBe(true)
    for (const code of ['invalid_request', 'invalid_image', 'input_too_large', 'cancelled'] as const) {
      expect(isOfDevice(failure(code)), code).toBe(false)
    }
  })
})
