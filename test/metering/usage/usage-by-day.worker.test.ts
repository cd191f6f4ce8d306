import { describe, expect, it } from 'vitest'
import type { UsageRow } from '../../../src/metering/usage/block.ts'
import { addCounts, type Counts, NO_COUNTS } from '../../../src/metering/usage/counts.ts'
import {
  dayOf,
  mergeModels,
  monthOf,
  OTHER_MODELS,
  ofAllDays,
  totalOf,
  type UsageByModel,
} from '../../../src/metering/usage/usage-by-day.ts'
import { counts, randomRows } from '../../fixtures/usage.ts'

function modelsOf(rows: readonly UsageRow[], most: number): UsageByModel {
  return rows.reduce<UsageByModel>(
    (sum, { counts, model }) => mergeModels(sum, new Map([[model, counts]]), most),
    new Map(),
  )
}

const sumOf = (rows: readonly UsageRow[]): Counts => rows.reduce((sum, row) => addCounts(sum, row.counts), NO_COUNTS)
const sorted = (models: UsageByModel) => [...models].sort(([a], [b]) => (a < b ? -1 : 1))

describe('usage by model', () => {
  it.each([1, 3, 7, 100])('is the same whichever parts come together first, with %d models apart', (most) => {
    for (let seed = 1; seed <= 40; seed++) {
      const rows = randomRows(seed, 60)
      const whole = modelsOf(rows, most)
      const [a, b, c] = [rows.slice(0, 17), rows.slice(17, 40), rows.slice(40)].map((part) => modelsOf(part, most)) as [
        UsageByModel,
        UsageByModel,
        UsageByModel,
      ]
      const left = mergeModels(mergeModels(a, b, most), c, most)
      const right = mergeModels(a, mergeModels(b, c, most), most)
      const turned = mergeModels(c, mergeModels(b, a, most), most)
      for (const each of [left, right, turned]) expect(sorted(each)).toEqual(sorted(whole))
      expect(totalOf(whole)).toEqual(sumOf(rows))
      expect(whole.size).toBeLessThanOrEqual(most + 1)
    }
  })

  it('keeps the first names apart, and counts the others together', () => {
    const models = modelsOf(
      ['c@1', 'a@1', 'd@1', 'b@1', 'a@1'].map((model) => ({
        day: '2026-11-30',
        model,
        counts: counts({ requests: 1 }),
      })),
      2,
    )
    expect(sorted(models)).toEqual([
      ['a@1', counts({ requests: 2 })],
      ['b@1', counts({ requests: 1 })],
      [OTHER_MODELS, counts({ requests: 2 })],
    ])
  })

  it('of several days is added up', () => {
    const day = new Map([['a@1', counts({ requests: 2 })]])
    const other = new Map([
      ['a@1', counts({ requests: 1 })],
      ['b@1', counts({ errors: 1 })],
    ])
    expect([
      ...ofAllDays(
        new Map([
          ['2026-11-29', day],
          ['2026-11-30', other],
        ]),
        100,
      ),
    ]).toEqual([
      ['a@1', counts({ requests: 3 })],
      ['b@1', counts({ errors: 1 })],
    ])
  })
})

describe('days', () => {
  it('are those of UTC', () => {
    expect(dayOf(Date.UTC(2026, 10, 30, 23, 59, 59, 999))).toBe('2026-11-30')
    expect(dayOf(Date.UTC(2026, 11, 1))).toBe('2026-12-01')
    expect(monthOf('2026-12-01')).toBe('2026-12')
  })
})
