import { describe, expect, it } from 'vitest'
import { type BodyOptions, readBody } from '../../src/core/body.ts'
import { isVergeError } from '../../src/core/errors.ts'
import { BoundedAdmission } from '../../src/serving/admission.ts'
import { never } from '../../synthetic/source.ts'
import { ManualClock, settle } from '../fixtures/clock.ts'

const KiB = 1024

/** A body that comes piece by piece as the test says, with or without a declared length. */
function arriving(declared?: number) {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const writer = writable.getWriter()
  writer.closed.catch(() => {})
  const headers = declared === undefined ? {} : { 'content-length': String(declared) }
  const init = { method: 'POST', body: readable, headers, duplex: 'half' }
  return {
    request: new Request('http://verge/', init),
    send: async (bytes: number) => {
      writer.write(new Uint8Array(bytes)).catch(() => {})
      await new Promise((resolve) => setTimeout(resolve))
      await settle()
    },
    end: () => writer.close().catch(() => {}),
  }
}

function setup(declared?: number, more: Partial<BodyOptions> = {}) {
  const clock = new ManualClock()
  const body = arriving(declared)
  const outcome = readBody(body.request, {
    maxBytes: 1024 * KiB,
    signal: never(),
    pace: { clock, graceMs: 5000, bytesPerSecond: 16 * KiB },
    ...more,
  }).then(
    (bytes) => bytes.length,
    (error: unknown) => (isVergeError(error) ? error.code : error),
  )
  return { clock, outcome, ...body }
}

describe('the pace of a body', () => {
  it.each([100, 600 * KiB, undefined])('ends one of length %s of which a byte a second comes', async (declared) => {
    const { clock, outcome, send } = setup(declared)
    let answered = false
    void outcome.then(() => {
      answered = true
    })
    let seconds = 0
    for (; !answered && seconds < 60; seconds++) {
      await send(1)
      await clock.advance(1000)
      await new Promise((resolve) => setTimeout(resolve))
    }
    expect(await outcome).toBe('body_too_slow')
    expect(seconds).toBeLessThanOrEqual(7)
  })

  it('ends one that pauses, however fast it came before', async () => {
    const { clock, outcome, send } = setup(900 * KiB)
    for (let piece = 0; piece < 8; piece++) await send(100 * KiB)
    await clock.advance(4000)
    await send(50 * KiB)
    await clock.advance(4000)
    await clock.advance(2000)
    expect(await outcome).toBe('body_too_slow')
  })

  it('takes one that comes at the least rate', async () => {
    const { clock, outcome, send, end } = setup(640 * KiB)
    for (let second = 0; second < 40; second++) {
      await send(16 * KiB)
      await clock.advance(1000)
    }
    await end()
    expect(await outcome).toBe(640 * KiB)
  })

  it('says how much has come, and that all has', async () => {
    const seen: (number | undefined)[] = []
    const { outcome, send, end } = setup(undefined, { reading: (received) => void seen.push(received) })
    await send(10)
    await send(20)
    await end()
    expect(await outcome).toBe(30)
    expect(seen).toEqual([0, 10, 30, undefined])
  })

  it('says so where a read that is cancelled fails, as reads of a connection do', async () => {
    const clock = new ManualClock()
    let fail = (_: Error): void => {}
    const reader = {
      read: () =>
        new Promise((_, reject) => {
          fail = reject
        }),
      cancel: async () => fail(new Error('The stream was cancelled.')),
    }
    const request = { headers: new Headers(), body: { getReader: () => reader } } as unknown as Request
    const outcome = readBody(request, {
      maxBytes: 1024 * KiB,
      signal: never(),
      pace: { clock, graceMs: 5000, bytesPerSecond: 16 * KiB },
    })
    const refused = expect(outcome).rejects.toMatchObject({ code: 'body_too_slow' })
    await clock.advance(6000)
    await refused
  })

  it('gives the place of one that hardly comes to others, and not that of one that comes steadily', async () => {
    const clock = new ManualClock()
    const admission = new BoundedAdmission({ slots: 2, bodyBytes: 1024 * KiB, leaseMs: 60_000, clock })
    const pace = { clock, graceMs: 5000, bytesPerSecond: 16 * KiB }
    const read = (declared?: number) => {
      const { hold, reading } = admission.enter('')
      return setup(declared, { hold, reading, pace })
    }
    const steady = read(120 * KiB)
    const dripping = read()
    for (let second = 0; second < 2; second++) {
      await steady.send(40 * KiB)
      await dripping.send(1)
      await clock.advance(1000)
    }
    admission.enter('next')
    await dripping.send(1)
    expect(await dripping.outcome).toBe('overloaded')
    await steady.send(40 * KiB)
    await steady.end()
    expect(await steady.outcome).toBe(120 * KiB)
  })

  it.each([undefined, 200 * KiB])('holds little for one of length %s that has not come yet', async (declared) => {
    let held = 0
    const { send } = setup(declared, { hold: (bytes) => (held = bytes) })
    await settle()
    expect(held).toBeLessThanOrEqual(16 * KiB)
    await send(100 * KiB)
    expect(held).toBeGreaterThanOrEqual(100 * KiB)
  })

  it('ends a body whose slot was given to another request', async () => {
    const clock = new ManualClock()
    const admission = new BoundedAdmission({ slots: 1, bodyBytes: 1024 * KiB, leaseMs: 60_000, clock })
    const { hold, reading } = admission.enter('slow')
    const { outcome, send } = setup(undefined, { hold, reading, pace: { clock, graceMs: 5000, bytesPerSecond: 1 } })
    await send(10)
    await clock.advance(1500)
    admission.enter('next')
    await send(10)
    expect(await outcome).toBe('overloaded')
  })
})
