import { expect, it } from 'vitest'
import { checkAnalytics } from '../../../src/cli/doctor/objects.ts'

it('finds a dataset of Analytics Engine under a name that the Worker does not write to', () => {
  const found = (datasets: Readonly<Record<string, string>>) =>
    checkAnalytics({ datasets }).map(({ finding, status }) => [status, finding])
  expect(found({})).toEqual([])
  expect(found({ ANALYTICS: 'verge', OTHER: 'shop' })).toEqual([
    ['ok', 'ANALYTICS is the Analytics Engine dataset verge'],
  ])
  expect(found({ ANALYTIC: 'verge' })).toEqual([
    ['warn', 'the Analytics Engine dataset verge is bound to ANALYTIC, and the Worker writes to ANALYTICS alone'],
  ])
})
