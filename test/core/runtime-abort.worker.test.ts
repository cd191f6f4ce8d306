import { describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import { onAbort, untilAborted, untilLate } from '../../src/core/runtime.ts'
import { ManualClock, settle } from '../fixtures/clock.ts'

/** Counts the callbacks that a signal holds. */
function countedSignal(): { readonly controller: AbortController; readonly listeners: () => number } {
  const controller = new AbortController()
  const { signal } = controller
  let listeners = 0
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--
    remove(...args)
  }
  return { controller, listeners: () => listeners }
}

describe('a callback for a signal', () => {
  it('is called once when the signal is raised, and not after it was removed', () => {
    const controller = new AbortController()
    const seen: string[] = []
    onAbort(controller.signal, () => seen.push('kept'))
    onAbort(controller.signal, () => seen.push('removed'))()
    controller.abort()
    expect(seen).toEqual(['kept'])
  })

  it('is called at once where the signal has been raised already', () => {
    const seen: string[] = []
    onAbort(AbortSignal.abort(), () => seen.push('called'))
    expect(seen).toEqual(['called'])
  })
})

describe('waiting until a signal', () => {
  it('gives the result, and lets go of the signal', async () => {
    const { controller, listeners } = countedSignal()
    await expect(untilAborted(Promise.resolve(1), controller.signal)).resolves.toBe(1)
    await expect(untilAborted(Promise.reject(new Error('no')), controller.signal)).rejects.toThrow('no')
    await settle()
    expect(listeners()).toBe(0)
  })

  it('ends with the typed reason of the signal, and hands what comes too late to `discard`', async () => {
    const controller = new AbortController()
    const work = Promise.withResolvers<string>()
    const discarded: string[] = []
    const waiting = untilAborted(work.promise, controller.signal, (late) => discarded.push(late))
    controller.abort(new VergeError('deadline_exceeded', 'Too late.'))
    await expect(waiting).rejects.toMatchObject({ code: 'deadline_exceeded' })
    work.resolve('a body')
    await settle()
    expect(discarded).toEqual(['a body'])
  })

  it('ends for one who waits, and not for another who waits for the same work', async () => {
    const work = Promise.withResolvers<string>()
    const leaver = new AbortController()
    const leaving = untilAborted(work.promise, leaver.signal)
    const staying = untilAborted(work.promise, new AbortController().signal)
    leaver.abort()
    await expect(leaving).rejects.toMatchObject({ code: 'cancelled' })
    work.resolve('done')
    await expect(staying).resolves.toBe('done')
  })

  it('does not wait where the signal has been raised already', async () => {
    const waiting = untilAborted(new Promise(() => {}), AbortSignal.abort())
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' })
  })
})

describe('waiting until it is late', () => {
  it('gives the result, and calls the timer off', async () => {
    const clock = new ManualClock()
    let late = 0
    const result = await untilLate(Promise.resolve('in time'), 50, clock, () => late++)
    await clock.advance(1000)
    expect({ result, late }).toEqual({ result: 'in time', late: 0 })
  })

  it('gives what `late` returns or throws, and ignores what the work does then', async () => {
    const clock = new ManualClock()
    const work = Promise.withResolvers<string>()
    const given = untilLate(work.promise, 50, clock, () => undefined)
    const thrown = untilLate(work.promise, 50, clock, () => {
      throw new VergeError('body_too_slow', 'Too slow.')
    })
    const refused = expect(thrown).rejects.toMatchObject({ code: 'body_too_slow' })
    await clock.advance(49)
    let over = false
    given.then(() => {
      over = true
    })
    await settle()
    expect(over).toBe(false)
    await clock.advance(1)
    await expect(given).resolves.toBeUndefined()
    await refused
    work.reject(new Error('broke later'))
    await settle()
  })
})
