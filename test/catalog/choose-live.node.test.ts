import { describe, expect, it } from 'vitest'
import type { Alias } from '../../src/catalog/alias.ts'
import { chooseLive } from '../../src/catalog/choose-live.ts'

const CALLERS = Array.from({ length: 20_000 }, (_, n) => `key:${n}`)
const never = (): number => {
  throw new Error('chance decides nothing for who is known')
}

type Chosen = Pick<Alias, 'canary' | 'live' | 'model'>

const trialOf = (percent: number, canary = '2', model = 'm'): Chosen => ({
  model,
  live: [
    { version: '1', weight: 100 - percent },
    { version: canary, weight: percent },
  ],
  canary: { version: canary, against: '1', guarded: true },
})

const versionFor = (alias: Chosen, sticky: string): string => chooseLive(alias, { sticky, random: never })
const meeting = (alias: Chosen, version: string): Set<string> =>
  new Set(CALLERS.filter((sticky) => versionFor(alias, sticky) === version))
const shared = (one: Set<string>, other: Set<string>): number => [...one].filter((each) => other.has(each)).length

describe('chooseLive', () => {
  it('gives each request a version by weight where nobody is known', () => {
    const live = [
      { version: 'a', weight: 1 },
      { version: 'b', weight: 0.5 },
      { version: 'c', weight: 2.5 },
    ]
    const choose = (at: number, more: Partial<Chosen> = {}): string =>
      chooseLive({ model: 'm', live, ...more }, { random: () => at })
    const picks = Array.from({ length: 400 }, (_, i) => choose(i / 400))
    const count = (version: string): number => picks.filter((pick) => pick === version).length
    expect([count('a'), count('b'), count('c')]).toEqual([100, 50, 250])
    expect(choose(1 - Number.EPSILON)).toBe('c')
    expect(choose(0.999, { live: [{ version: 'only', weight: 3 }] })).toBe('only')
    expect([0, 0.94, 0.96, 0.999].map((at) => chooseLive(trialOf(5), { random: () => at }))).toEqual([
      '1',
      '1',
      '2',
      '2',
    ])
  })

  it.each([1, 5, 25, 60])('gives %s % of the callers to the canary', (percent) => {
    const share = (100 * meeting(trialOf(percent), '2').size) / CALLERS.length
    // four standard deviations of a share among so many callers
    const deviation = 4 * Math.sqrt((percent * (100 - percent)) / CALLERS.length)
    expect(Math.abs(share - percent)).toBeLessThan(deviation)
  })

  it('moves callers to the canary alone while its weight rises, and back alone while it falls', () => {
    let before = new Set<string>()
    for (const percent of [1, 5, 6, 25, 50, 99]) {
      const now = meeting(trialOf(percent), '2')
      expect(shared(before, now)).toBe(before.size)
      expect(now.size).toBeGreaterThan(before.size)
      before = now
    }
    const lowered = meeting(trialOf(5), '2')
    expect(shared(lowered, before)).toBe(lowered.size)
  })

  it('moves nobody among the other versions when a canary comes, grows or goes', () => {
    const others = [
      { version: '0', weight: 60 },
      { version: '1', weight: 40 },
    ]
    const without: Chosen = { model: 'm', live: others }
    for (const percent of [5, 50]) {
      const live = [
        ...others.map(({ version, weight }) => ({ version, weight: (weight * (100 - percent)) / 100 })),
        { version: '2', weight: percent },
      ]
      const on: Chosen = { model: 'm', live, canary: { version: '2', against: '0', guarded: true } }
      for (const sticky of CALLERS.slice(0, 5_000)) {
        const version = versionFor(on, sticky)
        if (version !== '2') expect(version).toBe(versionFor(without, sticky))
      }
    }
  })

  it('lets other callers meet the next canary, and the canary of another model', () => {
    const first = meeting(trialOf(10), '2')
    for (const other of [meeting(trialOf(10, '3'), '3'), meeting(trialOf(10, '2', 'n'), '2')]) {
      // a tenth of a tenth, within four standard deviations
      expect(Math.abs(shared(first, other) - 200)).toBeLessThan(4 * Math.sqrt(200))
    }
  })

  it('lets callers keep their version where several versions share without a canary', () => {
    const split = (second: number): Chosen => ({
      model: 'm',
      live: [
        { version: '1', weight: 100 - second },
        { version: '2', weight: second },
      ],
    })
    const ten = meeting(split(10), '2')
    expect(shared(ten, meeting(split(30), '2'))).toBe(ten.size)
  })
})
