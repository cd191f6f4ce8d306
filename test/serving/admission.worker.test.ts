import { describe, expect, it } from 'vitest'
import { BoundedAdmission, RenewingAdmission, type Ticket } from '../../src/serving/admission.ts'
import { ManualClock } from '../fixtures/clock.ts'
import { codeOf } from '../fixtures/http.ts'

describe('admission', () => {
  it('refuses at once what does not fit, with a time to come back', () => {
    const admission = new BoundedAdmission({ slots: 2, leaseMs: 1000, bodyBytes: 100, clock: new ManualClock() })
    const first = admission.enter('1')
    admission.enter('2')
    expect(() => admission.enter('3')).toThrowError(expect.objectContaining({ code: 'overloaded', retryAfter: 1 }))
    first.leave()
    first.leave()
    expect(admission.admitted).toBe(1)
    admission.enter('4')
    expect(() => admission.enter('5')).toThrowError(expect.objectContaining({ code: 'overloaded' }))
  })

  it('takes slots back from requests that were killed', async () => {
    const clock = new ManualClock()
    const admission = new BoundedAdmission({ slots: 1, leaseMs: 1000, bodyBytes: 100, clock })
    const killed = admission.enter('killed')
    await clock.advance(1000)
    expect(() => admission.enter('next')).toThrowError()
    await clock.advance(1)
    admission.enter('next')
    killed.leave()
    expect(admission.admitted).toBe(1)
  })

  it('leaves a slot with whoever renews it in time', async () => {
    const clock = new ManualClock()
    const admission = new BoundedAdmission({ slots: 1, leaseMs: 1000, bodyBytes: 100, clock })
    const writing = admission.enter('a long text')
    for (let i = 0; i < 3; i++) {
      await clock.advance(900)
      writing.renew()
    }
    expect(() => admission.enter('next')).toThrowError(expect.objectContaining({ code: 'overloaded' }))
    await clock.advance(1001)
    admission.enter('next')
  })

  it('counts a request again that was only slow to renew its slot, and none that has left or lost it', async () => {
    const clock = new ManualClock()
    const admission = new BoundedAdmission({ slots: 1, leaseMs: 1000, bodyBytes: 100, clock })
    const slow = admission.enter('slow')
    slow.hold(80)
    await clock.advance(1001)
    const other = admission.enter('other', 60_000)
    slow.renew()
    expect(admission.admitted).toBe(2)
    expect(() => other.hold(21)).toThrowError(expect.objectContaining({ code: 'overloaded' }))
    slow.leave()
    slow.renew()
    expect(admission.admitted).toBe(1)
    other.reading(0)
    await clock.advance(1001)
    admission.enter('next')
    other.renew()
    expect(admission.admitted).toBe(1)
  })

  it('bounds the bodies of all requests together', async () => {
    const clock = new ManualClock()
    const admission = new BoundedAdmission({ slots: 4, leaseMs: 1000, bodyBytes: 100, clock })
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

  it('gives the slots of slow callers to others, however many they are', async () => {
    const clock = new ManualClock()
    const admission = new BoundedAdmission({ slots: 16, leaseMs: 60_000, bodyBytes: 1e6, clock })
    const begin = (): Ticket => {
      const ticket = admission.enter('slow')
      ticket.reading(0)
      return ticket
    }
    const slow = Array.from({ length: 16 }, begin)
    expect(() => admission.enter('at once')).toThrowError(expect.objectContaining({ code: 'overloaded' }))
    let displaced = 0
    for (let second = 1; second <= 30; second++) {
      await clock.advance(1001)
      for (const [index, ticket] of slow.entries()) {
        if (codeOf(() => ticket.reading(second)) === 'fine') continue
        // Each comes back at once.
        displaced++
        slow[index] = begin()
      }
      expect(admission.admitted).toBe(16)
      admission.enter('quick').leave()
    }
    expect(displaced).toBe(29)
  })

  it('leaves a caller alone who is fast, who has just come, or whose body is there', async () => {
    const clock = new ManualClock()
    const admission = new BoundedAdmission({ slots: 3, leaseMs: 60_000, bodyBytes: 1e6, clock })
    const fast = admission.enter('fast')
    fast.reading(0)
    const whole = admission.enter('whole')
    whole.reading(0)
    whole.reading(undefined)
    await clock.advance(2000)
    fast.reading(200_000)
    admission.enter('new').reading(0)
    expect(() => admission.enter('next')).toThrowError(expect.objectContaining({ code: 'overloaded' }))
    fast.reading(210_000)
  })

  it('says so to whoever lost its slot', async () => {
    const clock = new ManualClock()
    const admission = new BoundedAdmission({ slots: 1, leaseMs: 60_000, bodyBytes: 1e6, clock })
    const slow = admission.enter('slow')
    slow.reading(0)
    await clock.advance(1001)
    admission.enter('next')
    expect(() => slow.reading(1)).toThrowError(expect.objectContaining({ message: expect.stringContaining('slowly') }))
    expect(() => slow.hold(1)).toThrowError(expect.objectContaining({ code: 'overloaded' }))
    slow.leave()
    expect(admission.admitted).toBe(1)
  })

  it('keeps room for small bodies, however many large ones are being read', () => {
    const MiB = 1024 * 1024
    const admission = new BoundedAdmission({
      slots: 2000,
      leaseMs: 60_000,
      bodyBytes: 24 * MiB,
      largeBodyBytes: 16 * MiB,
      clock: new ManualClock(),
    })
    let refused = 0
    for (let caller = 0; caller < 1000; caller++) {
      const ticket = admission.enter('large')
      ticket.reading(0)
      try {
        ticket.hold(MiB)
      } catch {
        refused++
        ticket.leave()
      }
    }
    expect(refused).toBe(984)
    for (let caller = 0; caller < 32; caller++) admission.enter('small').hold(MiB / 4)
    expect(() => admission.enter('small').hold(1)).toThrowError(expect.objectContaining({ code: 'overloaded' }))
  })

  it('takes the bytes of large bodies that come slowly for one that comes fast', async () => {
    const clock = new ManualClock()
    const admission = new BoundedAdmission({ slots: 9, leaseMs: 60_000, bodyBytes: 4e6, clock })
    const slow = admission.enter('slow')
    slow.hold(3e6)
    slow.reading(0)
    const next = admission.enter('next')
    expect(() => next.hold(2e6)).toThrowError(expect.objectContaining({ code: 'overloaded' }))
    await clock.advance(2000)
    next.hold(2e6)
    expect(() => slow.hold(3e6)).toThrowError(expect.objectContaining({ code: 'overloaded' }))
  })
})

describe('slow requests and one that asks for room', () => {
  const make = (largeBodyBytes: number) => {
    const clock = new ManualClock()
    const slots = { slots: 8, bodyBytes: 3e6, largeBodyBytes, leaseMs: 60_000, clock }
    const admission = new BoundedAdmission(slots)
    const reader = (bytes: number, received: number): Ticket => {
      const ticket = admission.enter('slow')
      ticket.hold(bytes)
      ticket.reading(0)
      ticket.reading(received)
      return ticket
    }
    return { admission, clock, reader }
  }
  const still = (ticket: Ticket): string => codeOf(() => ticket.reading(undefined))

  it('keep their slots where nothing that they give up would make it', async () => {
    const { admission, clock, reader } = make(2e6)
    admission.enter('at work').hold(2e6)
    const slow = [reader(1000, 10), reader(2000, 20)]
    await clock.advance(2000)
    const next = admission.enter('next')
    expect(() => next.hold(1e6)).toThrowError(expect.objectContaining({ code: 'overloaded' }))
    expect(slow.map(still)).toEqual(['fine', 'fine'])
  })

  it('keep their slots where others give up enough', async () => {
    const { admission, clock, reader } = make(2e6)
    const small = reader(1000, 10)
    const large = reader(1.5e6, 20_000)
    await clock.advance(2000)
    admission.enter('next').hold(1e6)
    expect([small, large].map(still)).toEqual(['fine', 'overloaded'])
  })
})

describe('admission of calls whose end nobody is told of', () => {
  const LEASE = 5000
  const make = (): { clock: ManualClock; calls: RenewingAdmission; all: BoundedAdmission } => {
    const clock = new ManualClock()
    const all = new BoundedAdmission({ slots: 2, leaseMs: 60_000, bodyBytes: 100, clock })
    const calls = new RenewingAdmission({ admission: all, clock, leaseMs: LEASE, renewMs: 1000, mostMs: 300_000 })
    return { clock, calls, all }
  }
  const overloaded = expect.objectContaining({ code: 'overloaded' }) as Error

  it('keeps the slots of those that are at work, however long', async () => {
    const { clock, calls } = make()
    const first = calls.enter('1')
    calls.enter('2')
    await clock.advance(120_000)
    expect(() => calls.enter('3')).toThrowError(overloaded)
    first.leave()
    calls.enter('3')
  })

  it('gives the slots of those that were killed away after their lease, and not after that of all', async () => {
    const { clock, calls, all } = make()
    // What is killed has no timers any more: it entered with a clock that stands still for good.
    const still = new ManualClock()
    const dying = new RenewingAdmission({
      admission: all,
      clock: still,
      leaseMs: LEASE,
      renewMs: 1000,
      mostMs: 300_000,
    })
    const killed = [dying.enter('killed 1'), dying.enter('killed 2')]
    await clock.advance(LEASE)
    expect(() => calls.enter('next')).toThrowError(overloaded)
    await clock.advance(1)
    calls.enter('next')
    calls.enter('after it')
    for (const ticket of killed) ticket.leave()
    expect(all.admitted).toBe(2)
  })

  it('leaves nothing behind: no timer, no slot, no bytes', async () => {
    const { clock, calls, all } = make()
    const ticket = calls.enter('1')
    ticket.hold(100)
    ticket.leave()
    await clock.advance(10_000)
    expect(all.admitted).toBe(0)
    calls.enter('2').hold(100)
  })

  it('stops counting on a call that has been at work for longer than any may', async () => {
    const { clock, calls } = make()
    calls.enter('stalled 1')
    calls.enter('stalled 2')
    await clock.advance(300_000 - 1)
    expect(() => calls.enter('next')).toThrowError(overloaded)
    await clock.advance(LEASE + 1001)
    calls.enter('next')
  })
})
