import { describe, expect, it } from 'vitest'
import { BoundedAdmission } from '../../src/serving/admission.ts'
import { ManualClock } from '../fixtures/clock.ts'

describe('admission', () => {
  it('refuses at once what does not fit, with a time to come back', () => {
    const admission = new BoundedAdmission({ places: 2, leaseMs: 1000, bodyBytes: 100, clock: new ManualClock() })
    const first = admission.enter('1')
    admission.enter('2')
    expect(() => admission.enter('3')).toThrowError(expect.objectContaining({ code: 'overloaded', retryAfter: 1 }))
    first.leave()
    first.leave()
    expect(admission.admitted).toBe(1)
    admission.enter('4')
    expect(() => admission.enter('5')).toThrowError(expect.objectContaining({ code: 'overloaded' }))
  })

  it('takes places back from requests that were killed', async () => {
    const clock = new ManualClock()
    const admission = new BoundedAdmission({ places: 1, leaseMs: 1000, bodyBytes: 100, clock })
    const killed = admission.enter('killed')
    await clock.advance(1000)
    expect(() => admission.enter('next')).toThrowError()
    await clock.advance(1)
    admission.enter('next')
    killed.leave()
    expect(admission.admitted).toBe(1)
  })

  it('leaves a place with whoever renews it in time', async () => {
    const clock = new ManualClock()
    const admission = new BoundedAdmission({ places: 1, leaseMs: 1000, bodyBytes: 100, clock })
    const writing = admission.enter('a long text')
    for (let i = 0; i < 3; i++) {
      await clock.advance(900)
      writing.renew()
    }
    expect(() => admission.enter('next')).toThrowError(expect.objectContaining({ code: 'overloaded' }))
    await clock.advance(1001)
    admission.enter('next')
  })

  it('bounds the bodies of all requests together', async () => {
    const clock = new ManualClock()
    const admission = new BoundedAdmission({ places: 4, leaseMs: 1000, bodyBytes: 100, clock })
    const [first, second] = [admission.enter('1'), admission.enter('2')]
    first.hold(40)
    first.hold(60)
    second.hold(40)
    expect(() => second.hold(41)).toThrowError(expect.objectContaining({ code: 'overloaded', retryAfter: 1 }))
    first.leave()
    second.hold(100)
    const third = admission.enter('3')
    expect(() => third.hold(1)).toThrowError()
    await clock.advance(1001)
    third.hold(100)
  })
})
