import { describe, expect, it } from 'vitest'
import { asItIs } from '../../../src/catalog/alias-changes.ts'
import { aliasKey, lastReleaseKey } from '../../../src/catalog/keys.ts'
import { MANIFEST_SCHEMA, type Manifest } from '../../../src/catalog/manifest.ts'
import type { ReleaseKey } from '../../../src/catalog/signing/public-keys.ts'
import { ReleaseSigning, type ReleaseSigningOptions } from '../../../src/catalog/signing/release-signing.ts'
import { checkSignature } from '../../../src/catalog/signing/signature.ts'
import { CatalogWriter } from '../../../src/catalog/writer.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { sha256Factory } from '../../../src/core/sha256.ts'
import { KvStore } from '../../../src/weights/kv.ts'
import { R2Store } from '../../../src/weights/r2.ts'
import { pattern, readValue, text } from '../../contract/store.ts'
import { bindings } from '../../fixtures/bindings.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { testSigner } from '../../fixtures/release-keys.ts'
import { splitChunks } from '../../fixtures/split-chunks.ts'

const r2 = new R2Store(bindings.BUCKET)
const kv = new KvStore(bindings.KV)
const [first, second] = [await testSigner(), await testSigner()]

let names = 0
const newName = (): string => `signed-${++names}-${crypto.randomUUID().slice(0, 8)}`

function writer(options: ReleaseSigningOptions = {}, clock = new ManualClock()) {
  const signing = async () => new ReleaseSigning(options)
  return new CatalogWriter(r2, [kv], { sha256: sha256Factory(), limits: LIMITS, clock, signing })
}

async function manifestOf(model: string, version: string): Promise<Manifest> {
  const { blob } = await writer().putBlob(splitChunks(pattern(2_000, model.length + version.charCodeAt(0)), 2_000))
  return {
    schema: MANIFEST_SCHEMA,
    model,
    version,
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [1] }],
    artifacts: [{ ...blob, chunks: [...blob.chunks], id: 'edge', format: 'onnx', dtype: 'fp32', places: ['edge'] }],
  }
}

async function published(model: string, options?: ReleaseSigningOptions, version = '1') {
  return writer(options).publishVersion(await manifestOf(model, version), { live: true, visibility: 'public' })
}

async function verdictOf(model: string, keys: readonly ReleaseKey[], key = aliasKey(model)) {
  const bytes = (await readValue(r2, key)) ?? new Uint8Array()
  return checkSignature(bytes, JSON.parse(new TextDecoder().decode(bytes)), keys)
}

async function tamper(model: string, change: (alias: Record<string, unknown>) => object): Promise<void> {
  const alias = JSON.parse(new TextDecoder().decode((await readValue(r2, aliasKey(model))) ?? undefined))
  await r2.put(aliasKey(model), text(JSON.stringify(change(alias))))
}

const state = async (model: string) => new TextDecoder().decode((await readValue(r2, aliasKey(model))) ?? undefined)

describe('a writer with a key', () => {
  it('signs every change, and the copies are the same', async () => {
    const model = newName()
    const { alias } = await published(model, { signer: first })
    expect(alias).toMatchObject({ generation: 1, signature: { key: first.key.id, at: 0 } })
    await published(model, { signer: first }, '2')
    await writer({ signer: first }).rollback(model)
    await writer({ signer: first }).setVisibility(model, 'private')
    await writer({ signer: first }).dropVersion(model, '2')
    expect(await verdictOf(model, [first.key])).toMatchObject({ fault: undefined })
    expect(JSON.parse(await state(model))).toMatchObject({ generation: 5, visibility: 'private' })
    expect(await readValue(kv, aliasKey(model))).toEqual(await readValue(r2, aliasKey(model)))
  })

  it('writes nothing where nothing changes', async () => {
    const model = newName()
    await published(model, { signer: first })
    const before = await state(model)
    expect((await writer({ signer: second }).setVisibility(model, 'public')).changed).toBe(false)
    expect((await writer().setVisibility(model, 'public')).changed).toBe(false)
    expect(await state(model)).toBe(before)
  })

  it('lets a signature last as long as the one before it', async () => {
    const model = newName()
    await published(model, { signer: first })
    const clock = new ManualClock()
    await clock.advance(1_000_000)
    const sign = { adopt: false, lasts: 60 }
    await writer({ signer: first }, clock).updateAlias(model, asItIs(model), { sign })
    await clock.advance(100_000)
    const { alias } = await writer({ signer: first }, clock).setVisibility(model, 'private')
    expect(alias.signature).toMatchObject({ at: 1_100, expires: 1_160 })
    const endless = { adopt: false, lasts: null }
    const again = await writer({ signer: first }, clock).updateAlias(model, asItIs(model), { sign: endless })
    expect(again.alias.signature).not.toHaveProperty('expires')
    expect(again.alias.generation).toBe(4)
  })

  it('signs on top of another key of the deployment, and of no other', async () => {
    const model = newName()
    await published(model, { signer: first })
    await expect(writer({ signer: second }).setVisibility(model, 'private')).rejects.toMatchObject({
      code: 'signature_invalid',
      details: { reason: 'unknown_key' },
    })
    await writer({ signer: second, accepted: [first.key] }).setVisibility(model, 'private')
    expect(await verdictOf(model, [second.key])).toMatchObject({ fault: undefined })
  })

  it.each([
    ['has no signature', async (model: string) => tamper(model, ({ signature: _, ...rest }) => rest), 'unsigned'],
    ['was changed', async (model: string) => tamper(model, (alias) => ({ ...alias, visibility: 'private' })), 'wrong'],
  ])('never signs on top of an alias that %s, unless the person says so', async (_, damage, reason) => {
    const model = newName()
    await published(model, { signer: first })
    await damage(model)
    const before = await state(model)
    const refusal = { code: 'signature_invalid', details: { model, reason } }
    await expect(published(model, { signer: first }, '2')).rejects.toMatchObject(refusal)
    await expect(
      writer({ signer: first }).updateAlias(model, asItIs(model), { sign: { adopt: false } }),
    ).rejects.toMatchObject(refusal)
    expect(await state(model)).toBe(before)
    await writer({ signer: first }).updateAlias(model, asItIs(model), { sign: { adopt: true } })
    expect(await verdictOf(model, [first.key])).toMatchObject({ fault: undefined })
  })
})

describe('a writer without a key', () => {
  it('leaves signed models as they are', async () => {
    const model = newName()
    await published(model, { signer: first })
    await published(model, { signer: first }, '2')
    const before = await state(model)
    const { etag = null } = (await r2.head(aliasKey(model))) ?? {}
    const refusal = { code: 'signature_invalid', message: expect.stringContaining('VERGE_SIGNING_KEY') }
    await expect(published(model, {}, '3')).rejects.toMatchObject(refusal)
    await expect(writer().rollback(model)).rejects.toMatchObject(refusal)
    await expect(writer().dropModel(model, etag)).rejects.toMatchObject(refusal)
    await expect(writer().updateAlias(model, asItIs(model), { sign: { adopt: true } })).rejects.toMatchObject(refusal)
    expect(await state(model)).toBe(before)
  })

  it('gives a signature up where it is told to, and generations go on from the last signed one', async () => {
    const model = newName()
    await published(model, { signer: first })
    const { alias } = await writer({ unsigned: true }).setVisibility(model, 'private')
    expect(alias).not.toHaveProperty('signature')
    expect(await verdictOf(model, [first.key], lastReleaseKey(model))).toMatchObject({ fault: undefined })
    await writer().setVisibility(model, 'public')
  })
})

describe('a signed model that is removed', () => {
  async function removed(model: string): Promise<void> {
    await published(model, { signer: first })
    await writer({ signer: first }).setVisibility(model, 'private')
    const { etag = null } = (await r2.head(aliasKey(model))) ?? {}
    await writer({ signer: first }).dropModel(model, etag)
    expect(await readValue(r2, aliasKey(model))).toBeNull()
  }

  it('goes on from its last generation when it is pushed again', async () => {
    const model = newName()
    await removed(model)
    expect((await published(model, { signer: first })).alias).toMatchObject({ generation: 3 })
    expect(await verdictOf(model, [first.key])).toMatchObject({ fault: undefined })
  })

  it('is still a signed one for who has no key', async () => {
    const model = newName()
    await removed(model)
    await expect(published(model)).rejects.toMatchObject({ code: 'signature_invalid' })
    expect((await published(model, { unsigned: true })).alias).toMatchObject({ generation: 3 })
  })

  it('does not go on from a generation that somebody has made up', async () => {
    const model = newName()
    await removed(model)
    const kept = JSON.parse(new TextDecoder().decode((await readValue(r2, lastReleaseKey(model))) ?? undefined))
    await r2.put(lastReleaseKey(model), text(JSON.stringify({ ...kept, generation: 2 ** 53 - 2 })))
    const refusal = { message: expect.stringContaining(`Delete the record`), details: { reason: 'wrong' } }
    await expect(published(model, { signer: first })).rejects.toMatchObject(refusal)
    await r2.put(lastReleaseKey(model), text('{'))
    await expect(published(model, { signer: first })).rejects.toMatchObject(refusal)
    await r2.delete(lastReleaseKey(model))
    await published(model, { signer: first })
  })

  it('can be pushed again after its key was replaced, from the first generation, as the guard counts', async () => {
    const model = newName()
    await removed(model)
    const both = { signer: second, accepted: [first.key] }
    expect((await published(model, { signer: second })).alias).toMatchObject({ generation: 1 })
    const other = newName()
    await removed(other)
    expect((await published(other, both)).alias).toMatchObject({ generation: 3 })
  })

  it('does not keep a forged release', async () => {
    const model = newName()
    await published(model, { signer: first })
    await tamper(model, (alias) => ({ ...alias, generation: 2 ** 53 - 2 }))
    const { etag = null } = (await r2.head(aliasKey(model))) ?? {}
    await writer({ signer: first }).dropModel(model, etag)
    expect(await readValue(r2, lastReleaseKey(model))).toBeNull()
  })
})

it('a restored bucket is raised above what was seen', async () => {
  const model = newName()
  await published(model, { signer: first })
  const { alias } = await writer({ signer: first }).updateAlias(model, asItIs(model), {
    sign: { adopt: false, above: 40 },
  })
  expect(alias.generation).toBe(41)
})
