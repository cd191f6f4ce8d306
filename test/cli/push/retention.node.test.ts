import { expect, it } from 'vitest'
import type { Alias } from '../../../src/catalog/alias.ts'
import { spareVersions } from '../../../src/cli/push/retention.ts'

const versions = ['1', '2', '3', '4', '5', '6']
const alias: Alias = {
  schema: 1,
  model: 'm',
  generation: 9,
  visibility: 'public',
  versions: Object.fromEntries(versions.map((version) => [version, 'a'.repeat(64)])),
  // 1 and 2 are of an older Verge, which noted no times; 6 is older than 3
  created: { '3': 30, '4': 40, '5': 50, '6': 20 },
  live: [{ version: '4', weight: 1 }],
  canary: { version: '5', against: '4', guarded: true },
  history: ['1', '3'],
}

it.each([
  [0, ['1', '2', '6']],
  [1, ['1', '2']],
  [2, ['1']],
  [3, []],
  [9, []],
])('with %i to keep, the oldest go that are not live, on trial or where a rollback goes', (keep, gone) => {
  expect(spareVersions(alias, keep)).toEqual(gone)
})
