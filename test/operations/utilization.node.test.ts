import { expect, it } from 'vitest'
import { singleIsolates, utilizationsOf } from '../../src/operations/utilization.ts'

const sample = (resource: string, model: string, value: number) => ({ labels: { resource, model }, value })

it('what is used over what is granted is of the whole, and of each model', () => {
  const { models, whole } = utilizationsOf({
    families: [
      {
        name: 'verge_utilization_ratio',
        type: 'gauge',
        help: '',
        samples: [sample('heap', '', 0.5), sample('cpu', 'digits', 0.1), sample('heap', 'digits', 0.25)],
      },
    ],
  })
  expect(whole).toEqual({ heap: 0.5 })
  expect([...models]).toEqual([['digits', { heap: 0.25, cpu: 0.1 }]])
})

it('nothing is known of it where no isolate was heard', () => {
  expect(utilizationsOf({ families: [] })).toEqual({ whole: {}, models: new Map() })
})

it('single isolates are named by the beginning of their names, the busiest first, and bounded', () => {
  const at = Date.UTC(2026, 10, 30, 12)
  const uses = [
    { isolate: 'aaaaaaaa-1', heap: 0.2, cpu: 0.1, silentMs: 1_000 },
    { isolate: 'bbbbbbbb-2', heap: 0.1, cpu: 0.9, silentMs: 2_000 },
    { isolate: 'cccccccc-3', heap: 0.5, silentMs: 3_000 },
  ]
  expect(singleIsolates(uses, at, 2)).toEqual({
    heap: { least: 0.1, median: 0.2, most: 0.5 },
    cpu: { least: 0.1, median: 0.1, most: 0.9 },
    busiest: [
      { isolate: 'bbbbbbbb', heap: 0.1, cpu: 0.9, reportedAt: '2026-11-30T11:59:58.000Z' },
      { isolate: 'cccccccc', heap: 0.5, reportedAt: '2026-11-30T11:59:57.000Z' },
    ],
  })
  expect(singleIsolates([], at, 2)).toEqual({ busiest: [] })
})
