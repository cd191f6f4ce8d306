import { expect, it } from 'vitest'
import { utilizationsOf } from '../../src/operations/utilization.ts'

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
