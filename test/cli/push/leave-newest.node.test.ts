import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readModel } from '../../../src/cli/push/inventory.ts'
import { keepAll, leaveNewest } from '../../../src/cli/push/leave-newest.ts'
import { pushModel } from '../../../src/cli/push/push.ts'
import { silentProgress } from '../../../src/cli/terminal/progress.ts'
import { VergeError } from '../../../src/core/errors.ts'
import { pattern, text } from '../../contract/store.ts'
import { type MemoryTarget, memoryTarget, packedOf } from '../../fixtures/node/packed.ts'

const work = { progress: silentProgress, signal: new AbortController().signal }
let target: MemoryTarget

const versionOf = (version: string) => packedOf('m', pattern(900, Number(version)), { version })
const push = (version: string, dryRun = false) => pushModel(target, versionOf(version), { live: true, dryRun })
const aliasOf = async () => (await readModel(target.truth, 'm'))?.alias

beforeEach(async () => {
  target = memoryTarget()
  for (const version of ['1', '2', '3', '4']) await push(version)
})
afterEach(() => {
  process.exitCode = undefined
})

describe('a push with --keep', () => {
  it('removes what is neither live, nor where a rollback goes, nor among the newest of the others', async () => {
    const before = await aliasOf()
    const { json, steps } = await leaveNewest(target, await push('5'), before, 1, work)
    expect(steps).toEqual(['Removed 2 versions of model m: 1, 2, and 2 chunks of weights (1.8 KiB).'])
    expect(json.keep).toMatchObject({ versions: ['1', '2'], removed: [{ version: '1' }, { version: '2' }] })
    expect(Object.keys((await aliasOf())?.versions ?? {})).toEqual(['3', '4', '5'])
  })

  it('says after a dry run what would go, and removes nothing', async () => {
    const before = await aliasOf()
    const keys = await target.keys('truth')
    const { json, steps } = await leaveNewest(target, await push('5', true), before, 1, work)
    expect(steps).toEqual(['old versions: would remove 2 versions: 1, 2'])
    expect(json.keep?.removed).toEqual([])
    expect(await target.keys('truth')).toEqual(keys)
  })

  it('says that there are none, and leaves all where nobody asked or the version does not answer', async () => {
    const result = await push('5')
    const before = await aliasOf()
    expect((await leaveNewest(target, result, before, 9, work)).steps).toEqual(['old versions: removed 0 versions'])
    expect(await leaveNewest(target, result, before, undefined, work)).toEqual({ steps: [], json: {} })
    expect([keepAll(undefined).steps, keepAll(0).steps]).toEqual([[], [expect.stringMatching(/all were kept/)]])
    expect(Object.keys((await aliasOf())?.versions ?? {})).toHaveLength(5)
  })

  it('tells what it has removed, and why not the rest, where a store fails', async () => {
    const result = await push('5')
    target.onChange = (store, change, key) => {
      if (store === 'truth' && change === 'put' && key === 'removed/m/2')
        throw new VergeError('store_unavailable', 'R2 does not answer.')
    }
    const { json, steps } = await leaveNewest(target, result, await aliasOf(), 1, work)
    expect(steps).toEqual([
      expect.stringMatching(/^Removed 1 version of model m: 1,/),
      'old versions: not removed. R2 does not answer. To remove the others: npx verge rm m --keep 1',
    ])
    expect(json.keep).toMatchObject({ removed: [{ version: '1' }], error: { code: 'store_unavailable' } })
    expect(process.exitCode).toBe(1)
  })

  it('ends with 1 where weights had to stay', async () => {
    await target.truth.put('manifest/odd/1', text('?'))
    const { steps } = await leaveNewest(target, await push('5'), await aliasOf(), 1, work)
    expect(steps.join(' ')).toMatch(/The weights were kept, because .* manifest\/odd\/1/)
    expect(process.exitCode).toBe(1)
  })
})
