import { beforeEach, describe, expect, it } from 'vitest'
import { blobKey, manifestKey } from '../../../src/catalog/keys.ts'
import { pushModel } from '../../../src/cli/push/push.ts'
import { planSweep, sweep } from '../../../src/cli/push/sweep.ts'
import { silentProgress } from '../../../src/cli/terminal/progress.ts'
import { systemClock } from '../../../src/core/runtime.ts'
import { pattern, text } from '../../contract/store.ts'
import { type MemoryTarget, memoryTarget, packedOf } from '../../fixtures/node/packed.ts'

const { signal } = new AbortController()
const HOUR = 3_600_000
const DAY = 24 * HOUR

let target: MemoryTarget
let now: number
const clock = { ...systemClock, now: () => now }
const work = { clock, signal, progress: silentProgress }
const recorded: unknown[] = []
const audit = {
  record: async (change: unknown) => {
    recorded.push(change)
    return { withdraw: async () => {} }
  },
}

const model = packedOf('m', pattern(2_000))
/** Chunks that a broken push left behind. */
const lost = packedOf('lost', pattern(3_000, 7), { pages: pattern(900, 8) })

async function leave(): Promise<void> {
  for (const [digest, bytes] of lost.chunks)
    for (const store of [target.truth, ...target.copies]) await store.put(blobKey(digest), bytes)
}

const run = async (grace = DAY) => sweep(target, await planSweep(target, grace, work), { ...work, audit })
const blobs = async (store: 'truth' | 'copy') => (await target.keys(store)).filter((key) => key.startsWith('blob/'))
const marks = async () => (await target.keys('truth')).filter((key) => key.startsWith('unreferenced/'))
const ofModel = [...model.chunks.keys()].map(blobKey).sort()

beforeEach(async () => {
  target = memoryTarget()
  now = 1_000 * HOUR
  recorded.length = 0
  await pushModel(target, model, { live: true })
})

describe('a sweep', () => {
  it('marks what nothing uses, deletes it after the grace time from every store, and leaves what is used', async () => {
    await leave()
    expect(await run()).toEqual({ marked: 4, deleted: 0, bytes: 0, copies: 0 })
    expect(await marks()).toHaveLength(4)
    now += DAY - 1_000
    expect(await run()).toMatchObject({ marked: 0, deleted: 0 })
    expect(recorded).toEqual([])
    now += 1_000
    expect(await run()).toEqual({ marked: 0, deleted: 4, bytes: 3_900, copies: 0 })
    expect([await blobs('truth'), await blobs('copy'), await marks()]).toEqual([ofModel, ofModel, []])
    expect(recorded).toMatchObject([
      { action: 'sweep', subject: 'blob/sha256', before: { value: { chunks: 4, bytes: 3_900 } }, after: null },
    ])
    expect(await run()).toEqual({ marked: 0, deleted: 0, bytes: 0, copies: 0 })
  })

  it('changes nothing while it plans', async () => {
    await leave()
    target.onChange = () => {
      throw new Error('changed')
    }
    expect(await planSweep(target, 0, work)).toMatchObject({ fresh: { bytes: 3_900 }, ripe: { digests: [] } })
  })

  it('leaves what a push takes up again, and forgets the marks', async () => {
    await leave()
    await run()
    await pushModel(target, lost, { live: true })
    expect(await marks()).toEqual([])
    now += DAY
    expect(await run()).toMatchObject({ marked: 0, deleted: 0 })
  })

  it('leaves the chunks of a manifest that is in no alias, and of a removal that was interrupted', async () => {
    await leave()
    await target.truth.put(manifestKey('lost', '1'), text(JSON.stringify(lost.manifest)))
    expect(await run(0)).toMatchObject({ marked: 0 })
    await target.truth.delete(manifestKey('lost', '1'))
    await target.truth.put('removed/lost/1', text(JSON.stringify(lost.manifest)))
    const plan = await planSweep(target, 0, work)
    expect(plan).toMatchObject({ fresh: { digests: [] }, unfinished: ['lost/1'] })
  })

  it('leaves everything while a manifest cannot be read, and says which', async () => {
    await leave()
    await run()
    await target.truth.put(manifestKey('odd', '1'), text('?'))
    now += 2 * DAY
    const plan = await planSweep(target, DAY, work)
    expect(plan).toMatchObject({ unreadable: ['manifest/odd/1'], ripe: { digests: [] }, fresh: { digests: [] } })
    expect(await sweep(target, plan, work)).toMatchObject({ deleted: 0 })
  })

  it('deletes what only KV has: chunks, pages, aliases and manifests of what is gone', async () => {
    const [copy] = target.copies
    const file = lost.manifest.artifacts[0]?.pages?.sha256 ?? ''
    for (const key of ['alias/lost', manifestKey('lost', '1')])
      await copy?.put(key, text(JSON.stringify(lost.manifest)))
    await copy?.put(`page/${file}/0/300`, text('x'))
    // the manifest's weights stay as long as a store has it
    expect(await run(0)).toEqual({ marked: 0, deleted: 0, bytes: 0, copies: 2 })
    expect(await run(0)).toMatchObject({ marked: 1 })
    expect(await run(0)).toMatchObject({ deleted: 1 })
    expect((await target.keys('copy')).filter((key) => !ofModel.includes(key))).toEqual(['alias/m', 'manifest/m/1'])
  })

  it('continues after it was interrupted at any change', async () => {
    for (let at = 1; ; at++) {
      target = memoryTarget()
      await pushModel(target, model, { live: true })
      await leave()
      now += 2 * DAY
      await run()
      now += DAY
      let changes = 0
      target.onChange = (_, change, key) => {
        // a command that is killed before it announces, or between two chunks
        if (++changes === at && !(change === 'delete' && key.startsWith('blob/'))) throw new Error('killed')
      }
      const outcome = await run().catch((error: Error) => error.message)
      target.onChange = () => {}
      await target.truth.delete('deleting/chunks')
      await run()
      expect([await blobs('truth'), await marks()], `change ${at}`).toEqual([ofModel, []])
      if (outcome !== 'killed' && changes < at) break
    }
  })
})
