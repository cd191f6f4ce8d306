import { describe, expect, it } from 'vitest'
import { canonicalJson } from '../../src/catalog/canonical-json.ts'
import { aliasKey, blobKey, manifestKey } from '../../src/catalog/keys.ts'
import { MANIFEST_SCHEMA, type Manifest } from '../../src/catalog/manifest.ts'
import { parseManifest } from '../../src/catalog/parse.ts'
import { CatalogReader } from '../../src/catalog/reader.ts'
import { blobsOf } from '../../src/catalog/servable.ts'
import { CatalogWriter } from '../../src/catalog/writer.ts'
import { isVergeError } from '../../src/core/errors.ts'
import { LIMITS, type Limits } from '../../src/core/limits.ts'
import type { Logger } from '../../src/core/runtime.ts'
import { sha256Factory, sha256Hex } from '../../src/core/sha256.ts'
import { KvStore } from '../../src/weights/kv.ts'
import { R2Store } from '../../src/weights/r2.ts'
import type { GetOptions, Store, StoredValue } from '../../src/weights/store.ts'
import { pattern, readValue, text } from '../contract/store.ts'
import { bindings } from '../fixtures/bindings.ts'
import { ManualClock } from '../fixtures/clock.ts'
import { splitChunks } from '../fixtures/split-chunks.ts'

const sha256 = sha256Factory()
const kv = new KvStore(bindings.KV)
const r2 = new R2Store(bindings.BUCKET)

let names = 0
const newName = (): string => `model-${++names}-${Math.random().toString(36).slice(2, 8)}`

interface Logged {
  readonly event: string
  readonly fields: Readonly<Record<string, unknown>>
}

function recorder(): { logger: Logger; logged: Logged[] } {
  const logged: Logged[] = []
  const log = (event: string, fields = {}): void => void logged.push({ event, fields })
  return { logger: { info: log, warn: log, error: log }, logged }
}

function writerOf(truth: Store = r2, copies: readonly Store[] = [kv]): CatalogWriter {
  return new CatalogWriter(truth, copies, { sha256, limits: LIMITS })
}

function readerOf(layers: readonly Store[] = [kv, r2], limits: Partial<Limits> = {}) {
  const clock = new ManualClock()
  const { logger, logged } = recorder()
  const reader = new CatalogReader(layers, { sha256, clock, logger, limits: { ...LIMITS, ...limits } })
  return { reader, clock, logged }
}

/** A manifest whose blobs are stored. */
async function manifestOf(model: string, version: string, fields: Partial<Manifest> = {}): Promise<Manifest> {
  const chunks = splitChunks(pattern(5_000, model.length * 1000 + version.charCodeAt(0)), 2_000)
  const { blob } = await writerOf().putBlob(chunks, { hot: true })
  return {
    schema: MANIFEST_SCHEMA,
    model,
    version,
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 4] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 2] }],
    artifacts: [{ ...blob, chunks: [...blob.chunks], id: 'edge', format: 'onnx', dtype: 'fp32', places: ['edge'] }],
    ...fields,
  }
}

/** A manifest whose artifact has pages, all of it stored. */
async function pagedManifest(model: string): Promise<Manifest> {
  const manifest = await manifestOf(model, '1')
  const { blob } = await writerOf().putBlob(splitChunks(pattern(5_000, 77 + model.length), 2_000))
  const pages = { ...blob, chunks: [...blob.chunks], tables: [{ offset: 0, pageBytes: 1_000, pages: 5 }] }
  return { ...manifest, artifacts: manifest.artifacts.map((artifact) => ({ ...artifact, pages })) }
}

async function published(model: string, version = '1') {
  return writerOf().publishVersion(await manifestOf(model, version), { live: true, visibility: 'public' })
}

async function rewrite(store: Store, key: string, change: (value: Record<string, unknown>) => unknown): Promise<void> {
  const bytes = await readValue(store, key)
  if (bytes === null) throw new Error(`nothing at ${key}`)
  await store.put(key, text(JSON.stringify(change(JSON.parse(new TextDecoder().decode(bytes))))))
}

/** A real store that counts reads. */
function counting(inner: Store): Store & { gets: number; lists: number } {
  return {
    name: inner.name,
    gets: 0,
    lists: 0,
    head: (key, options) => inner.head(key, options),
    get(key: string, options?: GetOptions): Promise<StoredValue | null> {
      this.gets++
      return inner.get(key, options)
    },
    put: (key, value, options) => inner.put(key, value, options),
    list(prefix, options) {
      this.lists++
      return inner.list(prefix, options)
    },
    delete: (key, options) => inner.delete(key, options),
  }
}

describe('publishing', () => {
  it('makes a version readable, from KV alone as from R2 alone', async () => {
    const model = newName()
    const manifest = await manifestOf(model, '1')
    const { alias, digest } = await writerOf().publishVersion(manifest, { live: true, visibility: 'public' })
    expect(alias).toEqual({
      schema: 1,
      model,
      generation: 1,
      visibility: 'public',
      versions: { '1': digest },
      created: { '1': expect.any(Number) },
      live: [{ version: '1', weight: 1 }],
    })
    for (const layers of [[kv], [r2], [kv, r2]]) {
      const { reader } = readerOf(layers)
      expect(await reader.alias(model)).toEqual(alias)
      expect(await reader.manifest(model, '1', digest)).toEqual(manifest)
    }
    for (const { sha256: hex, bytes } of manifest.artifacts[0]?.chunks ?? []) {
      expect((await kv.head(blobKey(hex)))?.bytes).toBe(bytes)
    }
  })

  it('is private unless said otherwise, and keeps what was said', async () => {
    const model = newName()
    const writer = writerOf()
    const first = await writer.publishVersion(await manifestOf(model, '1'), { live: true })
    expect(first.alias.visibility).toBe('private')
    await writer.setVisibility(model, 'public')
    const second = await writer.publishVersion(await manifestOf(model, '2'), { live: false })
    expect(second.alias).toMatchObject({ visibility: 'public', generation: 3, live: [{ version: '1', weight: 1 }] })
    expect(Object.keys(second.alias.versions).sort()).toEqual(['1', '2'])
  })

  it('does nothing the second time', async () => {
    const model = newName()
    const manifest = await manifestOf(model, '1')
    const writer = writerOf()
    const data = pattern(7_000, 5)
    expect((await writer.putBlob(splitChunks(data, 3_000), { hot: true })).written).toBeGreaterThan(0)
    const first = await writer.publishVersion(manifest, { live: true })
    expect(first).toMatchObject({ changed: true, written: 2, copied: 1 })
    expect((await writer.putBlob(splitChunks(data, 3_000), { hot: true })).written).toBe(0)
    const second = await writer.publishVersion(manifest, { live: true })
    expect(second).toMatchObject({ changed: false, written: 0, copied: 0, digest: first.digest })
    expect(second.alias).toEqual(first.alias)
  })

  it('gives one digest to one manifest, however its fields are ordered', async () => {
    const manifest = await manifestOf(newName(), '1')
    const turned = Object.fromEntries(Object.entries(manifest).reverse()) as Manifest
    expect(Object.keys(turned)[0]).not.toBe(Object.keys(manifest)[0])
    const { digest } = await writerOf().putManifest(manifest)
    expect(await writerOf().putManifest(turned)).toEqual({ digest, written: 0 })
    expect(digest).toBe(await sha256Hex(sha256, (await readValue(r2, manifestKey(manifest.model, '1'))) ?? text('')))
  })

  it('never changes a version: other contents are a conflict', async () => {
    const model = newName()
    const { digest } = await published(model)
    const other = await manifestOf(model, '1', { description: 'another' })
    await expect(writerOf().putManifest(other)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/under another/),
    })
    await expect(
      writerOf().updateAlias(model, (old) => ({
        visibility: 'public',
        live: old?.live ?? [],
        versions: { '1': digest.replace(/^./, (c) => (c === '0' ? '1' : '0')) },
      })),
    ).rejects.toMatchObject({ code: 'conflict' })
    expect((await readerOf([r2]).reader.alias(model))?.versions).toEqual({ '1': digest })
  })

  it('refuses a manifest that is invalid, too large, or does not add up, and writes nothing', async () => {
    const model = newName()
    const manifest = await manifestOf(model, '1')
    const artifact = manifest.artifacts[0]
    if (artifact === undefined) throw new Error('no artifact')
    const bad: readonly Manifest[] = [
      { ...manifest, artifacts: [] },
      { ...manifest, artifacts: [{ ...artifact, bytes: artifact.bytes + 1 }] },
      { ...manifest, artifacts: [{ ...artifact, sha256: 'ABC' }] },
      { ...manifest, description: 'x'.repeat(LIMITS.manifestBytes) },
      { ...manifest, schema: MANIFEST_SCHEMA + 1 },
      { ...manifest, model: '../up' },
    ]
    for (const one of bad) {
      await expect(writerOf().putManifest(one)).rejects.toMatchObject({ code: 'manifest_invalid' })
    }
    expect(await r2.get(manifestKey(model, '1'))).toBeNull()
    const chunk = [new Uint8Array(LIMITS.chunkBytes + 1)]
    await expect(writerOf().putBlob(chunk)).rejects.toMatchObject({ code: 'manifest_invalid' })
  })

  it('needs the first version of a model to be live', async () => {
    const manifest = await manifestOf(newName(), '1')
    await expect(writerOf().publishVersion(manifest, { live: false })).rejects.toMatchObject({ code: 'conflict' })
    expect(await r2.get(aliasKey(manifest.model))).toBeNull()
  })
})

describe('moving an alias', () => {
  it('releases, splits and rolls back, one generation each', async () => {
    const model = newName()
    const writer = writerOf()
    await published(model, '1')
    await published(model, '2')
    const canary = await writer.release(model, [
      { version: '1', weight: 9 },
      { version: '2', weight: 1 },
    ])
    expect(canary.alias).toMatchObject({ generation: 3, live: [{ weight: 9 }, { weight: 1 }] })
    const back = await writer.release(model, [{ version: '1', weight: 1 }])
    expect(back.alias).toMatchObject({ generation: 4, live: [{ version: '1' }] })
    for (const layers of [[kv], [r2]]) expect(await readerOf(layers).reader.alias(model)).toEqual(back.alias)
    await expect(writer.release(model, [{ version: '3', weight: 1 }])).rejects.toMatchObject({
      code: 'version_not_found',
    })
    await expect(writer.release(newName(), [])).rejects.toMatchObject({ code: 'model_not_found' })
    for (const live of [[], [{ version: '1', weight: 0 }], Array(2).fill({ version: '1', weight: 1 })]) {
      await expect(writer.release(model, live)).rejects.toMatchObject({ code: 'alias_invalid' })
    }
    expect((await readerOf([r2]).reader.alias(model))?.generation).toBe(4)
  })

  it('loses no write when many race, and KV ends up with the last', async () => {
    const model = newName()
    await published(model, '0')
    const manifests = await Promise.all(['1', '2', '3', '4', '5', '6'].map((version) => manifestOf(model, version)))
    const updates = await Promise.all(
      manifests.map((manifest) => writerOf().publishVersion(manifest, { live: true, visibility: 'public' })),
    )
    const generations = updates.map(({ alias }) => alias.generation).sort()
    expect(generations).toEqual([2, 3, 4, 5, 6, 7])
    const alias = await readerOf([r2]).reader.alias(model)
    expect(alias?.generation).toBe(7)
    expect(Object.keys(alias?.versions ?? {}).sort()).toEqual(['0', '1', '2', '3', '4', '5', '6'])
    expect(alias?.live).toEqual(updates.find((update) => update.alias.generation === 7)?.alias.live)
    expect(await readerOf([kv]).reader.alias(model)).toEqual(alias)
  })

  it('leaves the newest in KV, even where an older write arrives there last', async () => {
    const model = newName()
    await published(model, '1')
    let reached = (): void => {}
    let go = (): void => {}
    const atTheDoor = new Promise<void>((resolve) => {
      reached = resolve
    })
    const mayGo = new Promise<void>((resolve) => {
      go = resolve
    })
    const slow: Store = {
      ...counting(kv),
      async put(key, value) {
        reached()
        await mayGo
        return kv.put(key, value)
      },
    }
    const late = writerOf(r2, [slow]).setVisibility(model, 'private')
    await atTheDoor
    expect((await published(model, '2')).alias.generation).toBe(3)
    go()
    expect(await late).toMatchObject({ alias: { generation: 2 }, copied: 2 })
    expect((await readerOf([kv]).reader.alias(model))?.generation).toBe(3)
  })

  it('is stopped by its signal before the alias is written, and leaves it as it was', async () => {
    const model = newName()
    await published(model, '1')
    const manifest = await manifestOf(model, '2')
    const controller = new AbortController()
    const truth: Store = {
      ...counting(r2),
      head(key, options) {
        controller.abort()
        return r2.head(key, options)
      },
    }
    const { signal } = controller
    const release = writerOf(truth).publishVersion(manifest, { live: true, signal })
    await expect(release).rejects.toMatchObject({ code: 'cancelled' })
    expect((await readerOf([r2]).reader.alias(model))?.live).toEqual([{ version: '1', weight: 1 }])
    await expect(writerOf().setVisibility(model, 'private', { signal })).rejects.toMatchObject({ code: 'cancelled' })
    await expect(writerOf().dropModel(model, null, { signal })).rejects.toMatchObject({ code: 'cancelled' })
    expect((await readerOf([kv]).reader.alias(model))?.generation).toBe(1)
  })

  it('is finished, copies included, where the signal fires once the alias is being written', async () => {
    const model = newName()
    await published(model, '1')
    const controller = new AbortController()
    const truth: Store = {
      ...counting(r2),
      put(key, value, options) {
        controller.abort()
        return r2.put(key, value, options)
      },
    }
    const update = await writerOf(truth).setVisibility(model, 'private', { signal: controller.signal })
    expect(update).toMatchObject({ changed: true, copied: 1 })
    for (const store of [kv, r2]) {
      expect((await readerOf([store]).reader.alias(model))?.visibility).toBe('private')
    }
  })

  it('lets one of two creators win, and the other build on it', async () => {
    const model = newName()
    const [one, two] = [await manifestOf(model, '1'), await manifestOf(model, '2')]
    const updates = await Promise.all([one, two].map((manifest) => writerOf().publishVersion(manifest, { live: true })))
    expect(updates.map(({ alias }) => alias.generation).sort()).toEqual([1, 2])
    expect(Object.keys((await readerOf([r2]).reader.alias(model))?.versions ?? {}).sort()).toEqual(['1', '2'])
  })

  it('tells a writer that keeps losing, and leaves the alias as the others made it', async () => {
    const model = newName()
    await published(model)
    const limits = { ...LIMITS, aliasWriteAttempts: 3 }
    let calls = 0
    const losing = new CatalogWriter(
      // another writer comes in between, each time
      { ...counting(r2), put: async () => null },
      [kv],
      { sha256, limits },
    ).updateAlias(model, (old) => {
      calls++
      return { visibility: 'private', versions: old?.versions ?? {}, live: old?.live ?? [] }
    })
    await expect(losing).rejects.toMatchObject({ code: 'conflict' })
    expect(calls).toBe(3)
    expect((await readerOf([r2]).reader.alias(model))?.visibility).toBe('public')
  })

  it('does not move to a version whose manifest or chunks the bucket lacks', async () => {
    const model = newName()
    await published(model, '1')
    const manifest = await manifestOf(model, '2')
    const gone = manifest.artifacts[0]?.chunks[1]?.sha256 ?? ''
    await r2.delete(blobKey(gone))
    await expect(writerOf().publishVersion(manifest, { live: true })).rejects.toMatchObject({
      code: 'weights_unavailable',
      details: { sha256: gone, version: '2' },
    })
    await expect(
      writerOf().updateAlias(model, (old) => ({
        visibility: 'public',
        versions: { ...old?.versions, '9': 'a'.repeat(64) },
        live: [{ version: '9', weight: 1 }],
      })),
    ).rejects.toMatchObject({ code: 'manifest_invalid', details: { version: '9' } })
    for (const store of [kv, r2]) {
      expect(await readerOf([store]).reader.alias(model)).toMatchObject({ generation: 1, live: [{ version: '1' }] })
    }
    await manifestOf(model, '2')
    expect((await writerOf().publishVersion(manifest, { live: true })).alias.live[0]?.version).toBe('2')
  })

  it('does not move to a version that lacks a chunk of its pages, or whose pages do not add up', async () => {
    const manifest = await pagedManifest(newName())
    const [artifact] = manifest.artifacts
    const gone = artifact?.pages?.chunks[0]?.sha256 ?? ''
    await r2.delete(blobKey(gone))
    const publishing = writerOf().publishVersion(manifest, { live: true })
    await expect(publishing).rejects.toMatchObject({ code: 'weights_unavailable', details: { sha256: gone } })
    if (artifact?.pages === undefined) throw new Error('no pages')
    for (const pages of [
      { ...artifact.pages, bytes: 4_999 },
      { ...artifact.pages, tables: [] },
    ]) {
      const wrong = { ...manifest, artifacts: [{ ...artifact, pages }] }
      await expect(writerOf().putManifest(wrong)).rejects.toMatchObject({ code: 'manifest_invalid' })
    }
  })

  it('says that a copy is out of date when KV refuses it, and refreshes it the next time', async () => {
    const model = newName()
    await published(model, '1')
    const manifest = await manifestOf(model, '2')
    const clock = new ManualClock()
    const { logger, logged } = recorder()
    // a real refusal: KV takes no conditional writes
    const refusing: Store = { ...counting(kv), put: (key, value) => kv.put(key, value, { onlyIf: 'absent' }) }
    const writing = new CatalogWriter(r2, [refusing], { sha256, clock, logger, limits: LIMITS })
      .publishVersion(manifest, { live: true })
      .catch((error: unknown) => error)
    while (!logged.some(({ event }) => event === 'copy_refused')) await new Promise((go) => setTimeout(go, 5))
    await clock.advance(LIMITS.kvWritePauseMs)
    expect(await writing).toMatchObject({
      code: 'store_unavailable',
      message: expect.stringMatching(/copy in kv may be out of date/),
    })
    expect((await readerOf([r2]).reader.alias(model))?.generation).toBe(2)
    expect((await readerOf([kv]).reader.alias(model))?.generation).toBe(1)

    const again = await writerOf().publishVersion(manifest, { live: true })
    expect(again).toMatchObject({ changed: false, copied: 1 })
    expect((await readerOf([kv]).reader.alias(model))?.generation).toBe(2)
  })

  it('keeps fields that a newer Verge has added', async () => {
    const model = newName()
    await published(model, '1')
    await rewrite(r2, aliasKey(model), (alias) => ({ ...alias, added: { later: true } }))
    await writerOf().setVisibility(model, 'private')
    await published(model, '2')
    const stored = JSON.parse(new TextDecoder().decode((await readValue(r2, aliasKey(model))) ?? text('')))
    expect(stored).toMatchObject({ added: { later: true }, generation: 3 })
    expect(await readerOf([r2]).reader.alias(model)).not.toHaveProperty('added')
  })

  it('does not write over an alias that it cannot read', async () => {
    const model = newName()
    await published(model)
    for (const broken of ['{', 'null', JSON.stringify({ schema: 2 }), 'x'.repeat(LIMITS.aliasBytes + 1)]) {
      await r2.put(aliasKey(model), text(broken))
      await expect(writerOf().setVisibility(model, 'private')).rejects.toMatchObject({ code: 'alias_invalid' })
      expect(await readValue(r2, aliasKey(model))).toEqual(text(broken))
    }
  })
})

describe('reading an alias', () => {
  it('keeps it for a while, then sees the new one', async () => {
    const model = newName()
    await published(model, '1')
    const [near, truth] = [counting(kv), counting(r2)]
    const { reader, clock } = readerOf([near, truth])
    expect((await reader.alias(model))?.generation).toBe(1)
    await published(model, '2')
    await clock.advance(LIMITS.aliasTtlMs - 1)
    expect((await reader.alias(model))?.generation).toBe(1)
    expect([near.gets, truth.gets]).toEqual([1, 0])
    await clock.advance(1)
    expect((await reader.alias(model))?.generation).toBe(2)
    expect([near.gets, truth.gets]).toEqual([2, 0])
  })

  it('remembers for as long that there is no such model', async () => {
    const model = newName()
    const [near, truth] = [counting(kv), counting(r2)]
    const { reader, clock } = readerOf([near, truth])
    expect(await reader.alias(model)).toBeNull()
    await published(model)
    expect(await reader.alias(model)).toBeNull()
    expect([near.gets, truth.gets]).toEqual([1, 1])
    await clock.advance(LIMITS.aliasTtlMs)
    expect((await reader.alias(model))?.generation).toBe(1)
  })

  it('bounds what it remembers, and lets guessed names evict no model', async () => {
    const model = newName()
    await published(model)
    const near = counting(kv)
    const { reader } = readerOf([near], { unknownModelsCached: 2, aliasesCached: 1 })
    await reader.alias(model)
    for (const name of ['a', 'b', 'c']) expect(await reader.alias(`${model}-${name}`)).toBeNull()
    expect(near.gets).toBe(4)
    await reader.alias(model)
    await reader.alias(`${model}-c`)
    expect(near.gets).toBe(4)
    await reader.alias(`${model}-a`)
    expect(near.gets).toBe(5)
  })

  it('asks no store for what cannot be a name', async () => {
    const truth = counting(r2)
    const { reader } = readerOf([truth])
    for (const name of ['', '../digits', 'A', 'a/b', 'a'.repeat(65), '__proto__']) {
      expect(await reader.alias(name)).toBeNull()
    }
    expect(truth.gets).toBe(0)
  })

  const nonsense: readonly (readonly [string, (alias: Record<string, unknown>) => unknown])[] = [
    ['no JSON object', () => 'nonsense'],
    ['a live version that does not exist', (alias) => ({ ...alias, live: [{ version: '9', weight: 1 }] })],
    [
      'a live version named after a property of objects',
      (alias) => ({ ...alias, live: [{ version: 'constructor', weight: 1 }] }),
    ],
    ['another model', (alias) => ({ ...alias, model: 'another' })],
    ['nothing live', (alias) => ({ ...alias, live: [] })],
    ['an unknown visibility', (alias) => ({ ...alias, visibility: 'secret' })],
    ['a digest that is none', (alias) => ({ ...alias, versions: { '1': 'x' } })],
    ['a newer schema', (alias) => ({ ...alias, schema: 2 })],
    ['too many bytes', (alias) => ({ ...alias, filler: 'x'.repeat(LIMITS.aliasBytes) })],
  ]
  for (const [what, spoil] of nonsense) {
    it(`falls back to R2 for a copy with ${what}, and fails by a typed error if R2 has it too`, async () => {
      const model = newName()
      const { alias } = await published(model)
      await rewrite(kv, aliasKey(model), spoil)
      const { reader, logged } = readerOf()
      expect(await reader.alias(model)).toEqual(alias)
      expect(logged).toMatchObject([{ event: 'copy_unusable', fields: { store: 'kv' } }])
      await rewrite(r2, aliasKey(model), spoil)
      const failure = await readerOf()
        .reader.alias(model)
        .catch((error: unknown) => error)
      expect(failure).toMatchObject({ code: 'alias_invalid' })
      if (what === 'a newer schema')
        expect(failure).toMatchObject({ message: expect.stringMatching(/newer Verge.*Deploy a newer Worker/) })
    })
  }

  it('falls back to R2 when KV does not answer', async () => {
    const model = newName()
    const { alias, digest } = await published(model)
    const broken = new KvStore(bindings.KV, { cacheTtl: () => 1 })
    const { reader } = readerOf([broken, r2])
    expect(await reader.alias(model)).toEqual(alias)
    expect((await reader.manifest(model, '1', digest)).version).toBe('1')
    await expect(readerOf([broken]).reader.alias(model)).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  it('does not go back to an older copy that KV shows again, but does to what R2 says', async () => {
    const model = newName()
    await published(model, '1')
    const old = (await readValue(kv, aliasKey(model))) ?? text('')
    await published(model, '2')
    const { reader, clock } = readerOf()
    expect((await reader.alias(model))?.generation).toBe(2)
    await kv.put(aliasKey(model), old)
    await clock.advance(LIMITS.aliasTtlMs)
    expect((await reader.alias(model))?.generation).toBe(2)
    await r2.put(aliasKey(model), old)
    await clock.advance(LIMITS.aliasTtlMs)
    expect((await reader.alias(model))?.generation).toBe(1)
  })

  it('stops with the signal', async () => {
    const { reader } = readerOf()
    const signal = AbortSignal.abort()
    await expect(reader.alias(newName(), signal)).rejects.toMatchObject({ code: 'cancelled' })
    await expect(reader.list(signal)).rejects.toMatchObject({ code: 'cancelled' })
    await expect(reader.manifest('m', '1', 'd', signal)).rejects.toMatchObject({ code: 'cancelled' })
  })
})

describe('reading a manifest', () => {
  it('reads it once, and keeps as many as allowed', async () => {
    const [a, b] = [newName(), newName()]
    const [first, second] = [await published(a), await published(b)]
    const near = counting(kv)
    const { reader } = readerOf([near, r2], { manifestsCached: 1 })
    await reader.manifest(a, '1', first.digest)
    await reader.manifest(a, '1', first.digest)
    expect(near.gets).toBe(1)
    await reader.manifest(b, '1', second.digest)
    await reader.manifest(a, '1', first.digest)
    expect(near.gets).toBe(3)
  })

  it('ignores fields that it does not know', async () => {
    const model = newName()
    const manifest = { ...(await manifestOf(model, '1')), invented: 'later' }
    const { digest } = await writerOf().publishVersion(manifest, { live: true })
    expect(await readerOf().reader.manifest(model, '1', digest)).not.toHaveProperty('invented')
    expect(new TextDecoder().decode((await readValue(r2, manifestKey(model, '1'))) ?? text(''))).toContain('invented')
  })

  it('takes words about the rounding of an artifact that a newer Verge writes', async () => {
    const model = newName()
    const manifest = await manifestOf(model, '1')
    const artifacts = manifest.artifacts.map((artifact) => ({ ...artifact, rounding: 'invented-later' }))
    const { digest } = await writerOf().publishVersion({ ...manifest, artifacts }, { live: true })
    const read = await readerOf().reader.manifest(model, '1', digest)
    expect(read.artifacts.map(({ rounding }) => rounding)).toEqual(artifacts.map(() => 'invented-later'))
  })

  it('takes no copy that was edited by hand, and no truth either', async () => {
    const model = newName()
    const { digest } = await published(model)
    const key = manifestKey(model, '1')
    await rewrite(kv, key, (manifest) => ({ ...manifest, labels: ['edited'] }))
    const { reader, logged } = readerOf()
    expect(await reader.manifest(model, '1', digest)).not.toHaveProperty('labels')
    expect(logged).toMatchObject([{ event: 'copy_unusable', fields: { store: 'kv', key } }])

    await rewrite(r2, key, (manifest) => ({ ...manifest, labels: ['edited'] }))
    await expect(readerOf().reader.manifest(model, '1', digest)).rejects.toMatchObject({
      code: 'manifest_invalid',
      message: expect.stringMatching(/differs from the published manifest.*Push this version again/),
    })
    await r2.delete(key)
    await kv.delete(key)
    await expect(readerOf().reader.manifest(model, '1', digest)).rejects.toMatchObject({
      code: 'manifest_invalid',
      message: expect.stringMatching(/missing in every store.*Push this version again/),
    })
  })

  it('is mended by pushing the version again, as the error says', async () => {
    const model = newName()
    const manifest = await manifestOf(model, '1')
    const { digest } = await writerOf().publishVersion(manifest, { live: true })
    for (const edit of [text('{}'), new Uint8Array(LIMITS.manifestBytes + 1)]) {
      await r2.put(manifestKey(model, '1'), edit)
      await kv.put(manifestKey(model, '1'), edit)
      await expect(readerOf().reader.manifest(model, '1', digest)).rejects.toMatchObject({ code: 'manifest_invalid' })
      expect(await writerOf().publishVersion(manifest, { live: true })).toMatchObject({ written: 2, changed: false })
      for (const store of [kv, r2])
        expect(await readerOf([store]).reader.manifest(model, '1', digest)).toEqual(manifest)
    }
  })

  it('knows the pages of an artifact, and does without', async () => {
    const model = newName()
    const manifest = await pagedManifest(model)
    const { digest } = await writerOf().publishVersion(manifest, { live: true })
    const read = await readerOf().reader.manifest(model, '1', digest)
    expect(read.artifacts).toEqual(manifest.artifacts)
    expect(read.artifacts[0]?.pages?.tables).toEqual([{ offset: 0, pageBytes: 1_000, pages: 5 }])
    const older = await published(model, '2')
    expect((await readerOf().reader.manifest(model, '2', older.digest)).artifacts[0]).not.toHaveProperty('pages')
  })

  it('keeps the pages of an artifact that only a newer Verge understands', async () => {
    const manifest = await pagedManifest(newName())
    const [artifact] = manifest.artifacts
    const read = (fields: object) => {
      const artifacts = [
        { ...artifact, format: 'vnn', ...fields },
        { ...artifact, id: 'other', pages: undefined },
      ]
      return parseManifest(text(JSON.stringify({ ...manifest, artifacts })), manifest.model, '1')
    }
    const named = blobsOf(read({})).flatMap(({ chunks }) => chunks)
    expect(named).toEqual(expect.arrayContaining(artifact?.pages?.chunks ?? []))
    expect(read({ pages: 'kept elsewhere' }).aside?.[0]?.blobs).toBeUndefined()
  })

  it('tells to deploy a newer Worker for what a newer Verge wrote', async () => {
    const model = newName()
    const newer = text(canonicalJson({ schema: MANIFEST_SCHEMA + 1, model, version: '1', artifacts: 'elsewhere' }))
    await r2.put(manifestKey(model, '1'), newer)
    const reading = readerOf().reader.manifest(model, '1', await sha256Hex(sha256, newer))
    await expect(reading).rejects.toMatchObject({
      code: 'manifest_invalid',
      message: expect.stringMatching(/Deploy a newer Worker/),
    })
  })

  it('does not take one model for another, even where the digest is right', async () => {
    const [a, b] = [newName(), newName()]
    const { digest } = await published(a)
    await r2.put(manifestKey(b, '1'), (await readValue(r2, manifestKey(a, '1'))) ?? text(''))
    const { reader } = readerOf([r2])
    await reader.manifest(a, '1', digest)
    await expect(reader.manifest(b, '1', digest)).rejects.toMatchObject({ code: 'manifest_invalid' })
  })
})

describe('listing', () => {
  it('reads every alias from R2, over several pages, and leaves a broken one out', async () => {
    const models = Array.from({ length: 5 }, () => newName()).sort()
    for (const model of models) await published(model)
    const broken = models[2] ?? ''
    await r2.put(aliasKey(broken), text('{"schema":1}'))
    await r2.put(aliasKey('Not A Name'), text('{}'))
    const truth = counting(new R2Store(bindings.BUCKET, { pageSize: 2 }))
    const { reader, clock, logged } = readerOf([kv, truth])
    const listed = (await reader.list()).map(({ model }) => model)
    expect(listed).toEqual([...listed].sort())
    expect(listed.filter((model) => models.includes(model))).toEqual(models.filter((model) => model !== broken))
    expect(truth.lists).toBeGreaterThan(2)
    expect(logged.filter(({ fields }) => fields.model === broken)).toMatchObject([{ event: 'alias_invalid' }])

    const lists = truth.lists
    await reader.list()
    expect(truth.lists).toBe(lists)
    await clock.advance(LIMITS.aliasTtlMs)
    await published(models[2]?.replace('model', 'newer') ?? '')
    expect((await reader.list()).length).toBe(listed.length + 1)
    await r2.delete(aliasKey(broken))
  })

  it('fails as a whole only when the truth is unavailable', async () => {
    const failing: Store = { ...counting(r2), list: () => new R2Store(bindings.BUCKET, { pageSize: 0 }).list('') }
    const failure = await readerOf([failing])
      .reader.list()
      .catch((error: unknown) => error)
    expect(isVergeError(failure, 'store_unavailable')).toBe(true)
  })

  it('stops at a bounded number of models, and says so', async () => {
    for (let i = 0; i < 3; i++) await published(newName())
    const { reader, logged } = readerOf([r2], { modelsListed: 2 })
    expect(await reader.list()).toHaveLength(2)
    expect(logged).toMatchObject([{ event: 'list_truncated', fields: { limit: 2 } }])
  })
})

describe('canonicalJson', () => {
  it('sorts keys at every depth, leaves undefined out, and reads back the same', () => {
    const value = { b: [{ z: 1, a: undefined }, null], a: 'ü"\n', '': 1.5, aa: { '\uFFFD': 1, '😀': 2 } }
    const written = canonicalJson(value)
    expect(written).toBe('{"":1.5,"a":"ü\\"\\n","aa":{"😀":2,"\uFFFD":1},"b":[{"z":1},null]}')
    expect(JSON.parse(canonicalJson(JSON.parse('{"__proto__":{"x":1}}')))).toEqual(JSON.parse('{"__proto__":{"x":1}}'))
  })

  it('gives the results of the examples in RFC 8785', () => {
    const input = String.raw`{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}`
    expect(canonicalJson(JSON.parse(input))).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    )
    const names = ['\u20ac', '\r', '\ufb33', '1', '\u{1f600}', '\u0080', '\u00f6']
    const sorted = ['\r', '1', '\u0080', '\u00f6', '\u20ac', '\u{1f600}', '\ufb33']
    const members = [...canonicalJson(Object.fromEntries(names.map((name) => [name, name]))).matchAll(/"([^"]+)":/g)]
    expect(members.map(([, name]) => JSON.parse(`"${name}"`))).toEqual(sorted)
    expect(canonicalJson([-0, 5e-324, 1.7976931348623157e308, 9007199254740992, 1e21, 295147905179352830000])).toBe(
      '[0,5e-324,1.7976931348623157e+308,9007199254740992,1e+21,295147905179352830000]',
    )
  })
})
