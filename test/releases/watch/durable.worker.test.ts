import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { env, exports } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import type { Alias } from '../../../src/catalog/alias.ts'
import type { Canary, CanaryStop } from '../../../src/catalog/canary.ts'
import { aliasKey } from '../../../src/catalog/keys.ts'
import { MANIFEST_SCHEMA } from '../../../src/catalog/manifest.ts'
import { parseAlias } from '../../../src/catalog/parse.ts'
import { CatalogWriter } from '../../../src/catalog/writer.ts'
import { VergeError } from '../../../src/core/errors.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { silentLogger } from '../../../src/core/runtime.ts'
import { sha256Factory } from '../../../src/core/sha256.ts'
import { type CanaryWatchDeps, CanaryWatchObject } from '../../../src/releases/watch/durable.ts'
import { NO_COUNTS, type WatchCounts } from '../../../src/releases/watch/judge.ts'
import type { WatchReport } from '../../../src/releases/watch/report.ts'
import { KvStore } from '../../../src/weights/kv.ts'
import { R2Store } from '../../../src/weights/r2.ts'
import { onnxModel } from '../../../synthetic/onnx.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { splitChunks } from '../../fixtures/split-chunks.ts'

const bindings = env as unknown as {
  readonly BUCKET: R2Bucket
  readonly KV: KVNamespace
  readonly CANARIES: DurableObjectNamespace<CanaryWatchObject>
}
const worker = (exports as unknown as { default: Fetcher }).default
const truth = new R2Store(bindings.BUCKET)
const copies = new KvStore(bindings.KV)

let names = 0
const newName = (): string => `trial-${++names}-${crypto.randomUUID().slice(0, 8)}`
const objectOf = (model: string) => bindings.CANARIES.get(bindings.CANARIES.idFromName(model))

const CANARY: Canary = { version: '2', against: '1', shadow: 1, guarded: true }

describe('a canary over real R2, KV and Durable Objects', () => {
  const SPEC = { datatype: 'FP32' as const, shape: ['n'] }
  const SIGNATURE = { inputs: [{ name: 'x', ...SPEC }], outputs: [{ name: 'y', ...SPEC }] }
  const MODEL = onnxModel({ ...SIGNATURE, nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }] })

  /** Version 1 is live with version 2, half of the requests each. */
  async function publish(model: string, second: Uint8Array): Promise<void> {
    const writer = new CatalogWriter(truth, [copies], { sha256: sha256Factory(), limits: LIMITS })
    for (const [version, bytes] of [
      ['1', MODEL],
      ['2', second],
    ] as const) {
      const { blob } = await writer.putBlob(splitChunks(bytes), { hot: true })
      const artifact = { ...blob, chunks: [...blob.chunks], id: 'edge', dtype: 'fp32', places: ['edge' as const] }
      await writer.publishVersion(
        {
          schema: MANIFEST_SCHEMA,
          model,
          version,
          ...SIGNATURE,
          artifacts: [{ ...artifact, format: 'onnx' as const }],
        },
        { live: true, visibility: 'public' },
      )
    }
    await writer.updateAlias(model, (old) => ({
      visibility: 'public',
      versions: old?.versions ?? {},
      live: [
        { version: '1', weight: 1 },
        { version: '2', weight: 1 },
      ],
      canary: { version: '2', against: '1', guarded: true },
    }))
  }

  /** @returns the version that answered, if one did */
  async function ask(model: string, x: number, version?: string): Promise<string | undefined> {
    const path = version === undefined ? model : `${model}/versions/${version}`
    const body = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [x] }] }
    const response = await worker.fetch(`http://verge.example/v2/models/${path}/infer`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': crypto.randomUUID() },
      body: JSON.stringify(body),
    })
    // Here the asker is in the isolate that answers: without a turn of the event loop no timer would fire between two requests.
    await new Promise((resolve) => setTimeout(resolve, 0))
    const answer: { model_version?: string } = await response.json()
    return answer.model_version
  }

  const stored = async (model: string): Promise<Alias> => {
    const object = await bindings.BUCKET.get(aliasKey(model))
    return parseAlias(new Uint8Array((await object?.arrayBuffer()) ?? new ArrayBuffer()), model)
  }

  async function takenOut(model: string): Promise<Alias> {
    await expect.poll(async () => (await stored(model)).stopped?.version).toBe('2')
    await expect.poll(async () => (await objectOf(model).state())?.verdict).toBe('stopped')
    expect(await bindings.KV.get(aliasKey(model))).toBe(await (await bindings.BUCKET.get(aliasKey(model)))?.text())
    return stored(model)
  }

  // The Worker starts with the first request.
  it('that cannot be loaded goes back after a few requests', { timeout: 120_000 }, async () => {
    const model = newName()
    await publish(model, new TextEncoder().encode('not a model'))
    // Whoever names a version has no say.
    for (let i = 0; i < 10; i++) expect(await ask(model, 1, '2')).toBeUndefined()
    expect(await objectOf(model).state()).toBeUndefined()
    let answered = 0
    while (answered < 20) answered = (await ask(model, 1)) === undefined ? 0 : answered + 1
    const { live, stopped } = await takenOut(model)
    expect(live).toEqual([{ version: '1', weight: 1 }])
    expect(stopped?.reason).toMatch(/^errors: (\d+) of \1 requests failed, and 0 of /)
    // This isolate was told, and does not wait for its copy of the alias to end.
    for (let i = 0; i < 10; i++) expect(await ask(model, 1)).toBe('1')
  })
})

const NOW = Date.now() + 3_600_000

/** A model's object with a way to stop that the test gives it, over the storage of the real one. */
function withObject<T>(
  model: string,
  stop: CanaryWatchDeps['stop'],
  use: (object: CanaryWatchObject, clock: ManualClock, state: DurableObjectState) => Promise<T>,
): Promise<T> {
  return runInDurableObject(objectOf(model), async (_, state) => {
    const clock = new ManualClock()
    // Later than any alarm that rings by itself meanwhile.
    await clock.advance(NOW)
    const deps = { clock, limits: LIMITS, logger: silentLogger, stop }
    return use(new CanaryWatchObject(state, {}, deps), clock, state)
  })
}

const never = (): Promise<never> => Promise.reject(new Error('nothing is to be stopped'))

function reportOf(seq: number, counts: Partial<WatchCounts>, more: Partial<WatchReport> = {}): WatchReport {
  return { source: 'isolate', seq, generation: 7, canary: CANARY, counts: { ...NO_COUNTS, ...counts }, ...more }
}

const fine = { canary: { requests: 10, errors: 0 }, stable: { requests: 190, errors: 0 } }
const failing = { canary: { requests: 10, errors: 10 }, stable: { requests: 190, errors: 0 } }

describe('CanaryWatchObject', () => {
  it('counts each report once, over its own resets', async () => {
    const model = newName()
    await withObject(model, never, async (object) => {
      expect(await object.report(reportOf(1, fine))).toEqual({ verdict: 'continue' })
      await object.report(reportOf(2, fine))
    })
    await evictDurableObject(objectOf(model))
    await withObject(model, never, async (object) => {
      // The isolate has not heard that its report arrived.
      await object.report(reportOf(2, fine))
      await object.report(reportOf(1, fine))
      await object.report(reportOf(1, fine, { source: 'another' }))
      const state = await object.state()
      expect(state?.counts.canary.requests).toBe(30)
      expect(state?.verdict).toBe('watching')
    })
  })

  it('tells isolates at once, and writes the alias as soon as it can be written', async () => {
    const model = newName()
    const tried: CanaryStop[] = []
    const stop: CanaryWatchDeps['stop'] = async (name, each) => {
      expect(name).toBe(model)
      if (tried.push(each) < 3) throw new VergeError('store_unavailable', 'R2 is away.')
      return 'stopped'
    }
    await withObject(model, stop, async (object, _clock, { storage }) => {
      const reply = await object.report(reportOf(1, failing))
      expect(reply).toMatchObject({ verdict: 'stopped', stop: { generation: 7, version: '2' }, isFirst: true })
      await object.alarm()
      expect(await storage.getAlarm()).toBe(NOW + 2_000)
      expect((await object.state())?.verdict).toBe('stopping')
      await object.alarm()
      expect(await storage.getAlarm()).toBe(NOW + 4_000)
      await object.alarm()
      expect(await object.state()).toMatchObject({ verdict: 'stopped', failedStops: 2 })
      // What comes later is told the same, and counts no more.
      expect(await object.report(reportOf(2, fine))).toEqual({
        verdict: 'stopped',
        stop: 'stop' in reply && reply.stop,
      })
      expect((await object.state())?.counts.canary.requests).toBe(10)
      await storage.deleteAlarm()
    })
    expect(new Set(tried.map((each) => JSON.stringify(each))).size).toBe(1)
  })

  it('gives up a write that takes too long, and one that was reset away is made again', async () => {
    const model = newName()
    await withObject(
      model,
      () => new Promise(() => {}),
      async (object, clock, { storage }) => {
        await object.report(reportOf(1, failing))
        const alarm = object.alarm()
        await clock.advance(LIMITS.canaryStopMs)
        await alarm
        expect((await object.state())?.failedStops).toBe(1)
        // Reset before the alarm was set.
        await storage.deleteAlarm()
      },
    )
    await withObject(
      model,
      async () => 'stopped',
      async (object, _clock, { storage }) => {
        await object.report(reportOf(1, failing))
        expect(await storage.getAlarm()).toBe(NOW)
        await object.alarm()
        expect((await object.state())?.verdict).toBe('stopped')
        await storage.deleteAlarm()
      },
    )
  })

  it('begins anew with each generation, and leaves a newer release alone', async () => {
    const model = newName()
    await withObject(
      model,
      async () => 'superseded',
      async (object, _clock, { storage }) => {
        await object.report(reportOf(1, failing))
        await object.alarm()
        expect((await object.state())?.verdict).toBe('superseded')
        expect(await object.report(reportOf(2, failing))).toEqual({ verdict: 'outdated' })
        expect(await object.report(reportOf(3, fine, { generation: 8 }))).toEqual({ verdict: 'continue' })
        expect(await object.report(reportOf(4, fine))).toEqual({ verdict: 'outdated' })
        expect((await object.state())?.counts.canary).toEqual({ requests: 10, errors: 0 })
        await storage.deleteAlarm()
      },
    )
  })

  it('takes nothing from a report of another Verge that no isolate can have seen', async () => {
    const wrong: Partial<Record<keyof WatchCounts, unknown>>[] = [
      { canary: { requests: 10, errors: 11 } },
      { canary: { requests: Number.NaN, errors: Number.NaN } },
      { canary: { requests: 1e300, errors: 1e300 } },
      { stable: { requests: -5, errors: -9 } },
      { canary: undefined },
      { slower: { count: 1 } },
      { disagreed: [20, 20] },
      { largest: Number.POSITIVE_INFINITY },
      { failed: '3' },
    ]
    await withObject(newName(), never, async (object) => {
      let seq = 0
      for (const each of wrong) {
        const report = reportOf(++seq, each as Partial<WatchCounts>)
        expect(await object.report(report), JSON.stringify(each)).toEqual({ verdict: 'continue' })
      }
      expect((await object.state())?.counts).toEqual(NO_COUNTS)
      for (const each of [
        { canary: undefined },
        { generation: Number.NaN },
        { seq: undefined },
        { source: 'x'.repeat(200) },
      ]) {
        const report = reportOf(++seq, failing, each as unknown as Partial<WatchReport>)
        expect(await object.report(report), JSON.stringify(each)).toEqual({ verdict: 'continue' })
      }
      // A question that an older Verge does not ask is left out.
      const { slower: _, ...older } = { ...NO_COUNTS, ...fine }
      await object.report({ ...reportOf(++seq, {}), counts: older as WatchCounts })
      expect((await object.state())?.counts).toEqual({ ...NO_COUNTS, ...fine })
    })
  })

  it('watches the canary of a model that was removed and pushed again, whose generations begin anew', async () => {
    await withObject(
      newName(),
      async () => 'stopped',
      async (object, clock, { storage }) => {
        const [old, again] = [{ digest: 'a'.repeat(64) }, { digest: 'b'.repeat(64) }]
        await object.report(reportOf(1, failing, old))
        await object.alarm()
        // As long as an isolate may know of the older one.
        expect(await object.report(reportOf(2, fine, { ...again, generation: 3 }))).toEqual({ verdict: 'outdated' })
        expect(await object.report(reportOf(3, fine, again))).toEqual({ verdict: 'outdated' })
        await clock.advance(LIMITS.canaryForgottenMs)
        expect(await object.report(reportOf(4, fine, again))).toEqual({ verdict: 'continue' })
        expect(await object.report(reportOf(5, fine, old))).toEqual({ verdict: 'outdated' })
        await clock.advance(LIMITS.canaryForgottenMs)
        expect(await object.report(reportOf(6, fine, { generation: 3 }))).toEqual({ verdict: 'continue' })
        expect(await object.state()).toMatchObject({ generation: 3, verdict: 'watching', counts: fine })
        await storage.deleteAlarm()
      },
    )
  })

  it('says that a canary is worse, and leaves it, where it is not guarded', async () => {
    const model = newName()
    await withObject(model, never, async (object, _clock, { storage }) => {
      const canary = { ...CANARY, guarded: false }
      expect(await object.report(reportOf(1, failing, { canary }))).toEqual({ verdict: 'continue' })
      const state = await object.state()
      expect(state?.verdict).toBe('worse')
      expect(state?.reason).toBe(
        'errors: 10 of 10 requests failed, and 0 of 190 with the stable version; tolerated are 1 % more',
      )
      expect(await storage.getAlarm()).toBeNull()
    })
  })
})
