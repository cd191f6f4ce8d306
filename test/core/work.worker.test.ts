import { describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import { finish, StepMeter, type Work, WorkLane } from '../../src/core/work.ts'
import { ManualClock, settle, testContext } from '../fixtures/clock.ts'
import { codeOf } from '../fixtures/http.ts'

const LANE = { stepsBetweenPauses: 100, leaseMs: 1_000 }

function* pieces(count: number, steps: number, seen: string[], name: string): Work<string> {
  for (let i = 0; i < count; i++) {
    seen.push(`${name}${i}`)
    yield steps
  }
  return name
}

describe('a lane of work', () => {
  it('lets the event loop turn after so many steps, and not before', async () => {
    const clock = new ManualClock()
    const seen: string[] = []
    const done = new WorkLane({ clock, ...LANE }).perform(pieces(6, 50, seen, 'a'), testContext().signal)
    await settle()
    // The clock stands still: nothing goes on until the loop has turned.
    expect(seen).toEqual(['a0', 'a1'])
    await clock.advance(0)
    expect(seen).toEqual(['a0', 'a1', 'a2', 'a3', 'a4', 'a5'])
    await expect(done).resolves.toBe('a')
  })

  it('does one work after the other, in the order in which they came', async () => {
    const clock = new ManualClock()
    const lane = new WorkLane({ clock, ...LANE })
    const seen: string[] = []
    const all = ['a', 'b', 'c'].map((name) => lane.perform(pieces(2, 100, seen, name), testContext().signal))
    await clock.advance(0)
    await expect(Promise.all(all)).resolves.toEqual(['a', 'b', 'c'])
    expect(seen).toEqual(['a0', 'a1', 'b0', 'b1', 'c0', 'c1'])
  })

  it('notices between two pieces that the caller has left, and makes room for the next', async () => {
    const clock = new ManualClock()
    const lane = new WorkLane({ clock, ...LANE })
    const seen: string[] = []
    const [gone, next] = [testContext(), testContext()]
    const first = lane.perform(pieces(9, 100, seen, 'a'), gone.signal)
    const second = lane.perform(pieces(1, 1, seen, 'b'), next.signal)
    await settle()
    gone.abort()
    await expect(first).rejects.toMatchObject({ code: 'cancelled' })
    await clock.advance(0)
    await expect(second).resolves.toBe('b')
    expect(seen).toEqual(['a0', 'b0'])
  })

  it('notices a deadline while it waits for its turn', async () => {
    const clock = new ManualClock()
    const lane = new WorkLane({ clock, ...LANE })
    const late = testContext()
    void lane.perform(pieces(9, 100, [], 'a'), testContext().signal)
    const waiting = lane.perform(pieces(1, 1, [], 'b'), late.signal)
    late.abort(new VergeError('deadline_exceeded', 'Too late.'))
    await expect(waiting).rejects.toMatchObject({ code: 'deadline_exceeded' })
  })

  it('takes the place of work whose request was killed', async () => {
    const clock = new ManualClock()
    // What is killed is never resumed: its sleep never ends.
    const killed = { now: () => clock.now(), after: clock.after, sleep: () => new Promise<void>(() => {}) }
    const lane = new WorkLane({ clock: { ...killed, sleep: (ms, signal) => sleepOf(ms, signal) }, ...LANE })
    let dead = true
    const sleepOf = (ms: number, signal?: AbortSignal): Promise<void> => {
      if (dead) {
        dead = false
        return killed.sleep()
      }
      return clock.sleep(ms, signal)
    }
    void lane.perform(pieces(9, 100, [], 'a'), testContext().signal)
    const next = lane.perform(pieces(1, 1, [], 'b'), testContext().signal)
    await clock.advance(LANE.leaseMs)
    const early = await Promise.race([next, settle().then(() => 'waiting')])
    expect(early).toBe('waiting')
    await clock.advance(LANE.leaseMs)
    await expect(next).resolves.toBe('b')
  })

  it('lets a small work wait for the one that has begun, and not for the large ones that came before it', async () => {
    const clock = new ManualClock()
    const lane = new WorkLane({ clock, ...LANE })
    const seen: string[] = []
    const large = ['a', 'b', 'c'].map((name) => lane.perform(pieces(4, 100, seen, name), testContext().signal, 400))
    await settle()
    const small = lane.perform(pieces(1, 50, seen, 's'), testContext().signal, 50)
    await clock.advance(0)
    await expect(Promise.all([...large, small])).resolves.toEqual(['a', 'b', 'c', 's'])
    expect(seen.filter((piece) => piece.endsWith('0'))).toEqual(['a0', 's0', 'b0', 'c0'])
    // What has begun holds memory, and is not interrupted.
    expect(seen.slice(0, 5)).toEqual(['a0', 'a1', 'a2', 'a3', 's0'])
  })

  it('lets no work wait for ever, however many small ones come', async () => {
    const clock = new ManualClock()
    const lane = new WorkLane({ clock, ...LANE })
    const seen: string[] = []
    const ask = (name: string, cost: number) => lane.perform(pieces(1, cost, seen, name), testContext().signal, cost)
    const all = [ask('first', 100), ask('large', 500)]
    let next = 0
    // Two small ones are always there.
    all.push(ask(`s${next++}`, 100), ask(`s${next++}`, 100))
    while (!seen.includes('large0') && next < 100) {
      all.push(ask(`s${next++}`, 100))
      await clock.advance(0)
      await settle()
    }
    expect(next).toBeLessThan(30)
    await clock.advance(0)
    await Promise.all(all)
  })

  it('refuses what others would keep waiting for too long, and takes a small work on all the same', async () => {
    const clock = new ManualClock()
    const lane = new WorkLane({ clock, ...LANE, mostStepsAhead: 1000 })
    const seen: string[] = []
    const all = ['a', 'b', 'c'].map((name) => lane.perform(pieces(4, 100, seen, name), testContext().signal, 400))
    await settle()
    const late = lane.perform(pieces(4, 100, seen, 'd'), testContext().signal, 400)
    await expect(late).rejects.toMatchObject({ code: 'overloaded', retryAfter: 1 })
    all.push(lane.perform(pieces(1, 50, seen, 's'), testContext().signal, 50))
    await clock.advance(0)
    await expect(Promise.all(all)).resolves.toEqual(['a', 'b', 'c', 's'])
    expect(seen).not.toContain('d0')
  })

  it('does not count the steps of works that were killed', async () => {
    const clock = new ManualClock()
    const dead = { now: () => clock.now(), after: clock.after, sleep: () => new Promise<void>(() => {}) }
    let alive = false
    const mixed = {
      now: () => clock.now(),
      after: clock.after.bind(clock),
      sleep: (ms: number, signal?: AbortSignal) => (alive ? clock.sleep(ms, signal) : dead.sleep()),
    }
    const lane = new WorkLane({ clock: mixed, ...LANE, mostStepsAhead: 4000 })
    for (const name of ['a', 'b', 'c']) void lane.perform(pieces(4, 400, [], name), testContext().signal, 1600)
    await settle()
    alive = true
    await clock.advance(LANE.leaseMs + 1)
    const next = lane.perform(pieces(1, 1, [], 'd'), testContext().signal, 2000)
    for (let poll = 0; poll < 8; poll++) await clock.advance(250)
    await expect(next).resolves.toBe('d')
  })

  it('asks work with a meter for its cost, and lets it go no further before its turn', async () => {
    const clock = new ManualClock()
    const lane = new WorkLane({ clock, ...LANE })
    const seen: string[] = []
    const tooMuch = () => new VergeError('input_too_large', 'Too much.')
    const priced = (name: string, steps: number) => {
      const meter = new StepMeter(1000)
      const work = function* (): Work<string> {
        meter.require(steps, tooMuch)
        seen.push(`${name} priced`)
        yield 0
        seen.push(`${name} begun`)
        return name
      }
      return lane.perform(work(), testContext().signal, meter)
    }
    const all = [lane.perform(pieces(2, 100, seen, 'a'), testContext().signal, 200), priced('b', 900), priced('c', 10)]
    await settle()
    expect(seen).toEqual(['a0', 'b priced', 'c priced'])
    await expect(priced('d', 1001)).rejects.toMatchObject({ code: 'input_too_large' })
    await clock.advance(0)
    await Promise.all(all)
    expect(seen.slice(-2)).toEqual(['c begun', 'b begun'])
  })

  it('hands on what the work throws', async () => {
    // biome-ignore lint/correctness/useYield: it fails before its first piece
    const failing = function* (): Work<never> {
      throw new VergeError('invalid_image', 'No.')
    }
    const lane = new WorkLane({ clock: new ManualClock(), ...LANE })
    await expect(lane.perform(failing(), testContext().signal)).rejects.toMatchObject({ code: 'invalid_image' })
    await expect(lane.perform(pieces(1, 1, [], 'b'), testContext().signal)).resolves.toBe('b')
  })
})

describe('counting steps', () => {
  const refusal = (steps: number, limit: number): VergeError =>
    new VergeError('input_too_large', `${steps} of ${limit}`, { details: { steps } })

  it('refuses a cost before anything is done, and what goes on beyond the limit', () => {
    const meter = new StepMeter(10)
    expect(codeOf(() => meter.require(11, refusal))).toBe('input_too_large')
    expect(codeOf(() => meter.require(10, refusal))).toBe('fine')
    expect(codeOf(() => meter.spend(6, refusal))).toBe('fine')
    expect(codeOf(() => meter.require(5, refusal))).toBe('input_too_large')
    expect(codeOf(() => meter.spend(5, refusal))).toBe('input_too_large')
    expect(meter.spent).toBe(11)
  })

  it('tells the steps of each piece', () => {
    const meter = new StepMeter()
    meter.spend(3, refusal)
    meter.spend(4, refusal)
    expect([meter.piece(), meter.piece()]).toEqual([7, 0])
  })

  it('finishes work at once where nobody waits', () => {
    const seen: string[] = []
    expect(finish(pieces(3, 1_000, seen, 'a'))).toBe('a')
    expect(seen).toHaveLength(3)
  })
})
