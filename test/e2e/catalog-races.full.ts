import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DELETION_KEY } from '../../src/catalog/deletion.ts'
import { ALIAS_PREFIX, blobKey, INDEX_HEAD_KEY } from '../../src/catalog/keys.ts'
import { blobsOf } from '../../src/catalog/servable.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { WORKER_NAME } from '../../src/cli/local/workerd.ts'
import { sha256 } from '../../src/cli/pack/bytes.ts'
import { readDescription } from '../../src/cli/pack/description.ts'
import { type PackedModel, pack } from '../../src/cli/pack/packer.ts'
import { readModel } from '../../src/cli/push/inventory.ts'
import { type PushTarget, pushModel } from '../../src/cli/push/push.ts'
import { allKeys } from '../../src/cli/push/references.ts'
import { planRemoval, remove } from '../../src/cli/push/removal.ts'
import { planSweep, sweep } from '../../src/cli/push/sweep.ts'
import { writerOf } from '../../src/cli/target/target.ts'
import { silentProgress } from '../../src/cli/terminal/progress.ts'
import { isVergeError } from '../../src/core/errors.ts'
import { systemClock } from '../../src/core/runtime.ts'
import type { Store } from '../../src/weights/store.ts'
import { pattern } from '../contract/store.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { packedOf } from '../fixtures/node/packed.ts'
import { writerFor } from '../fixtures/node/publish.ts'

/**
 * Every order of the steps is tried on stores in memory (test/cli/push). Here the commands meet on the R2 and KV of a Worker
 * that runs, whose conditional writes and lists are not Verge's.
 */

const { signal } = new AbortController()
const work = { clock: systemClock, signal, progress: silentProgress }
const ROUNDS = 3
/** An isolate knows the index for 10 s; the rest is for a busy machine. */
const PATIENCE = { timeout: 90_000 }
/** What versions are made of. Neighbours share two of three. */
const PARTS = Array.from({ length: 5 }, (_, index) => pattern(1_000, index + 1))
const SEVEN = readFileSync(join(ROOT, 'models/digits/samples/seven.png'))

let worker: LiveWorker
let stores: Pick<PushTarget, 'truth' | 'copies'>
let digits: PackedModel

beforeAll(async () => {
  worker = await startLiveWorker()
  stores = (await writerFor(worker)).stores
  const folder = join(ROOT, 'models/digits')
  digits = await pack(await readDescription(folder), folder)
  await pushModel(steady(), digits, { live: true, visibility: 'public' })
})
afterAll(() => worker?.dispose())

function steady(): PushTarget {
  const { copies, truth } = stores
  return { truth, copies, writer: writerOf(truth, copies) }
}

type Operation = 'head' | 'get' | 'list' | 'put' | 'delete'

interface Hooks {
  before?(operation: Operation, key: string): Promise<void> | undefined
  after?(operation: Operation, key: string): void
}

/** The Worker's own stores, each of whose operations on R2 is told. */
function hooked({ after, before }: Hooks): PushTarget {
  const told = (store: Store): Store => {
    const around =
      (operation: Operation) =>
      async (key: string, ...rest: unknown[]) => {
        await before?.(operation, key)
        const answer: unknown = await Reflect.apply(store[operation], store, [key, ...rest])
        after?.(operation, key)
        return answer
      }
    const operations = (['head', 'get', 'list', 'put', 'delete'] as const).map((each) => [each, around(each)])
    return { ...(Object.fromEntries(operations) as Store), name: store.name }
  }
  const [truth, copies] = [told(stores.truth), stores.copies]
  return { truth, copies, writer: writerOf(truth, copies) }
}

/** The same, whose answers take some milliseconds more or less. */
function unsteady(random: () => number): PushTarget {
  return hooked({ before: () => sleep(random() * 8) })
}

/** Something that happens once. */
function event(): { readonly happened: Promise<void>; happen(): void } {
  let happen = (): void => {}
  const happened = new Promise<void>((resolve) => {
    happen = resolve
  })
  return { happened, happen: () => happen() }
}

function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

function versionOf(model: string, round: number, first: number) {
  const parts = [0, 1, 2].map((index) => PARTS[(first + round + index) % PARTS.length] ?? new Uint8Array(0))
  return packedOf(model, new Uint8Array(Buffer.concat(parts)), { version: String(round) })
}

/** What is missing of the versions that aliases name, and which chunks they name. */
async function audit(truth: Store): Promise<{ readonly faults: string[]; readonly named: Set<string> }> {
  const faults: string[] = []
  const named = new Set<string>()
  for (const key of await allKeys(truth, ALIAS_PREFIX)) {
    const model = key.slice(ALIAS_PREFIX.length)
    const record = await readModel(truth, model)
    for (const { fault, manifest, version } of record?.versions ?? []) {
      if (fault !== undefined) faults.push(`${model}@${version}: ${fault}`)
      for (const { sha256: digest } of manifest === null ? [] : blobsOf(manifest).flatMap(({ chunks }) => chunks)) {
        named.add(digest)
        const found = await truth.get(blobKey(digest))
        const bytes = found && new Uint8Array(await new Response(found.body).arrayBuffer())
        if (bytes === null || sha256(bytes) !== digest) faults.push(`${model}@${version} lacks ${digest}`)
      }
    }
  }
  return { faults, named }
}

async function removeVersion(target: PushTarget, model: string, version: string | undefined): Promise<void> {
  await remove(target, await planRemoval(target, model, version, signal), work)
}

async function sweepTwice(target: PushTarget): Promise<void> {
  for (let time = 0; time < 2; time++) await sweep(target, await planSweep(target, 0, work), work)
}

const OVERTAKEN: ReadonlySet<string> = new Set(['conflict', 'version_not_found', 'model_not_found'])

/** A command may find that another one was quicker, or that what it removes is gone, or live. */
async function unlessOvertaken(work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!isVergeError(error) || !OVERTAKEN.has(error.code)) throw error
  })
}

async function ask(model = 'digits'): Promise<unknown> {
  const answer = await fetch(`${worker.url}/run/${model}?top_k=1`, {
    method: 'POST',
    headers: { 'content-type': 'image/png', 'cache-control': 'no-store' },
    body: SEVEN,
  })
  return [answer.status, ((await answer.json()) as { label?: string }[])[0]?.label]
}

describe('pushes, removals and sweeps at the same time', () => {
  /** Chunks in the bucket that no manifest names, marked for longer than the grace time. */
  async function leaveRipe(packed: PackedModel): Promise<void> {
    for (const [digest, bytes] of packed.chunks) await stores.truth.put(blobKey(digest), bytes)
    await sweep(steady(), await planSweep(steady(), 0, work), work)
  }

  it('leave a version whole that is pushed after a sweep has looked, and before it deletes', async () => {
    const packed = versionOf('between', 1, 0)
    await leaveRipe(packed)
    const [looked, answered] = [event(), event()]
    let stored = false
    const pusher = hooked({
      before: (operation, key) => (operation === 'put' && key.startsWith('manifest/') ? looked.happened : undefined),
      after(operation, key) {
        if (operation === 'put' && key.startsWith('manifest/')) stored = true
        // It has read that its chunks are being deleted; or it relies on them.
        const relies = operation === 'put' && key.startsWith(ALIAS_PREFIX)
        if (stored && (key === DELETION_KEY || relies)) answered.happen()
      },
    })
    const sweeper = hooked({
      before(operation, key) {
        if (operation !== 'delete' || !key.startsWith(blobKey(''))) return undefined
        looked.happen()
        return answered.happened
      },
    })
    const plan = await planSweep(sweeper, 0, work)
    const [swept, pushed] = await Promise.all([sweep(sweeper, plan, work), pushModel(pusher, packed, { live: true })])
    expect(swept.deleted).toBe(packed.chunks.size)
    expect(pushed.live).toMatchObject([{ version: '1' }])
    expect((await audit(stores.truth)).faults).toEqual([])
  })

  it('leave a version whole whose chunks are swept after its push has found them', async () => {
    const packed = versionOf('after', 1, 0)
    await removeVersion(steady(), 'between', undefined)
    await leaveRipe(packed)
    const [found, swept] = [event(), event()]
    const pusher = hooked({
      before(operation, key) {
        if (operation !== 'put' || !key.startsWith('manifest/')) return undefined
        found.happen()
        return swept.happened
      },
    })
    const pushing = pushModel(pusher, packed, { live: true })
    await found.happened
    await sweepTwice(steady())
    for (const digest of packed.chunks.keys()) expect(await stores.truth.head(blobKey(digest))).toBeNull()
    swept.happen()
    await pushing
    expect((await audit(stores.truth)).faults).toEqual([])
    await removeVersion(steady(), 'after', undefined)
  })

  it('leave every version whole that an alias names, and in the end nothing else', async () => {
    const { truth, copies } = stores
    const twin = (round: number): PackedModel => ({
      ...digits,
      manifest: { ...digits.manifest, model: 'twin', version: String(round) },
    })
    for (let round = 1; round <= ROUNDS; round++) {
      const random = randomFrom(round)
      const target = (): PushTarget => unsteady(random)
      await Promise.all([
        pushModel(target(), versionOf('one', round, 0), { live: true }),
        pushModel(target(), versionOf('two', round, 1), { live: true }),
        pushModel(target(), twin(round), { live: true }),
        unlessOvertaken(removeVersion(target(), round % 2 === 0 ? 'twin' : 'two', undefined)),
        unlessOvertaken(removeVersion(target(), 'one', String(Math.max(1, round - 2)))),
        unlessOvertaken(sweepTwice(target())),
        unlessOvertaken(sweepTwice(target())),
      ])
      expect((await audit(truth)).faults, `round ${round}`).toEqual([])
      expect(await ask()).toEqual([200, '7'])
    }
    for (const model of ['two', 'twin']) await unlessOvertaken(removeVersion(steady(), model, undefined))
    await sweepTwice(steady())
    const { faults, named } = await audit(truth)
    expect(faults).toEqual([])
    const prefix = blobKey('')
    const digestsIn = async (store: Store) => (await allKeys(store, prefix)).map((key) => key.slice(prefix.length))
    expect(new Set(await digestsIn(truth))).toEqual(named)
    for (const copy of copies) for (const digest of await digestsIn(copy)) expect(named).toContain(digest)
    for (const left of ['removed/', 'unreferenced/']) expect(await allKeys(truth, left)).toEqual([])
  })
})

describe('an index of lists', () => {
  const listed = async (): Promise<unknown> => {
    const answer = await fetch(`${worker.url}/v1/models`)
    const { data } = (await answer.json()) as { data: { id: string }[] }
    return data.map(({ id }) => id)
  }
  const cron = async (): Promise<void> => {
    const entry = await worker.miniflare.getWorker(WORKER_NAME)
    await entry.scheduled({ cron: '* * * * *' })
  }

  it('that was lost, or lags behind an alias, changes no answer, and is made again', async () => {
    const { truth } = stores
    await expect.poll(listed).toEqual(['digits'])
    for (const prefix of ['index/page/', INDEX_HEAD_KEY])
      for (const key of await allKeys(truth, prefix)) await truth.delete(key)
    const unindexed = () => worker.logs.some((line) => line.includes('list_without_index'))
    await expect.poll(async () => [await listed(), unindexed()], PATIENCE).toEqual([['digits'], true])
    expect(await ask()).toEqual([200, '7'])
    await cron()
    expect(await truth.head(INDEX_HEAD_KEY)).not.toBeNull()

    // A command that was killed after the alias and before the index.
    const before = await allKeys(truth, 'index/')
    const head = await truth.get(INDEX_HEAD_KEY)
    const bytes = head && new Uint8Array(await new Response(head.body).arrayBuffer())
    const twin = { ...digits, manifest: { ...digits.manifest, model: 'twin' } }
    await pushModel(steady(), twin, { live: true, visibility: 'public' })
    await truth.put(INDEX_HEAD_KEY, bytes ?? new Uint8Array(0))
    for (const key of await allKeys(truth, 'index/')) if (!before.includes(key)) await truth.delete(key)
    expect(await ask('twin')).toEqual([200, '7'])
    await cron()
    await expect.poll(listed, PATIENCE).toEqual(['digits', 'twin'])
  })
})
