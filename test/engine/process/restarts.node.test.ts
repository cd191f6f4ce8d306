import { describe, expect, it } from 'vitest'
import { Restarts } from '../../../src/engine/process/restarts.ts'

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
