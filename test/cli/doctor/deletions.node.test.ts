import { describe, expect, it } from 'vitest'
import { DELETION_KEY, Deletion } from '../../../src/catalog/deletion.ts'
import { checkDeletions } from '../../../src/cli/doctor/deletions.ts'
import { mark } from '../../../src/cli/push/unreferenced.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { text } from '../../contract/store.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { MemoryStore } from '../../fixtures/memory-store.ts'

const DAY = 86_400
const NOW = 100 * DAY
const digest = (index: number): string => index.toString(16).padStart(64, '0')
const findings = async (store: MemoryStore) =>
  (await checkDeletions(store, 'staging', NOW * 1000)).map(({ status, finding, fix }) => [status, finding, fix])

describe('doctor', () => {
  it('says nothing of a bucket in which nothing is left', async () => {
    const store = new MemoryStore()
    expect(await findings(store)).toEqual([])
    const deletion = new Deletion(store, 'id', { clock: new ManualClock(), limits: LIMITS })
    await deletion.announce([digest(1)])
    await deletion.end()
    expect(await findings(store)).toEqual([])
  })

  it('finds a deletion that did not end, and an announcement that cannot be read', async () => {
    const store = new MemoryStore()
    await new Deletion(store, 'id', { clock: new ManualClock(), limits: LIMITS }).announce([digest(1), digest(2)])
    const fix = expect.stringMatching(/npx verge sweep --env staging/)
    expect(await findings(store)).toEqual([['warn', expect.stringMatching(/^2 chunks are announced/), fix]])
    await store.put(DELETION_KEY, text('?'))
    expect(await findings(store)).toEqual([['warn', expect.stringMatching(/cannot be read/), fix]])
  })

  it('names removals that were interrupted', async () => {
    const store = new MemoryStore()
    for (let version = 1; version <= 6; version++) await store.put(`removed/m/${version}`, text('{}'))
    expect(await findings(store)).toEqual([
      [
        'warn',
        expect.stringMatching(/: m@1, m@2, m@3, m@4, m@5 and more$/),
        'Finish them: npx verge rm m@1 --env staging',
      ],
    ])
  })

  it('counts weights that wait for a sweep for longer than its grace time', async () => {
    const store = new MemoryStore()
    const { signal } = new AbortController()
    await mark(store, [digest(1)], NOW - DAY, signal)
    expect(await findings(store)).toEqual([])
    await mark(store, [digest(2), digest(3)], NOW - 3 * DAY, signal)
    expect(await findings(store)).toEqual([
      ['warn', expect.stringMatching(/^2 chunks of weights/), 'Delete them: npx verge sweep --env staging'],
    ])
  })
})
