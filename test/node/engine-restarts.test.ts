import { describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import { Restarts, untilAborted } from '../../src/engine/process/restarts.ts'
import { never } from '../fixtures/source.ts'

function restarts(): { restarts: Restarts; time: { ms: number }; slept: number[] } {
  const time = { ms: 1_000_000 }
  const slept: number[] = []
  const clock = {
    now: () => time.ms,
    after: () => () => {},
    sleep: async (ms: number) => {
      slept.push(ms)
    },
  }
  return { restarts: new Restarts(clock), time, slept }
}

describe('a process that died is started again', () => {
  it('at once after one death, and later after each more within a minute', async () => {
    const { restarts: subject, slept } = restarts()
    await subject.pause()
    for (let count = 0; count < 9; count++) {
      subject.died()
      await subject.pause()
    }
    expect(slept).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000])
    expect(subject.deaths).toBe(9)
  })

  it('at once when its deaths lie a minute back, which are counted all the same', () => {
    const { restarts: subject, time } = restarts()
    for (let count = 0; count < 4; count++) subject.died()
    expect(subject.pauseMs).toBe(400)
    time.ms += 60_000
    expect(subject.pauseMs).toBe(0)
    subject.died()
    expect([subject.pauseMs, subject.deaths]).toEqual([0, 5])
  })
})

describe('waiting for what others wait for too', () => {
  it('ends with the own signal, and the work goes on', async () => {
    const { promise, resolve } = Promise.withResolvers<string>()
    const leaver = new AbortController()
    const [leaving, staying] = [untilAborted(promise, leaver.signal), untilAborted(promise, never())]
    leaver.abort(new VergeError('deadline_exceeded', 'too late'))
    await expect(leaving).rejects.toMatchObject({ code: 'deadline_exceeded' })
    resolve('done')
    expect(await staying).toBe('done')
  })

  it('passes failures on', async () => {
    await expect(untilAborted(Promise.reject(new Error('broken')), never())).rejects.toThrow('broken')
  })
})
