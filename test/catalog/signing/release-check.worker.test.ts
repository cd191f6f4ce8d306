import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import type { Alias } from '../../../src/catalog/alias.ts'
import { canonicalBytes } from '../../../src/catalog/canonical-json.ts'
import { aliasKey } from '../../../src/catalog/keys.ts'
import { CatalogReader } from '../../../src/catalog/reader.ts'
import type { ReleaseKey } from '../../../src/catalog/signing/public-keys.ts'
import { ReleaseCheck, type ReleaseMemory } from '../../../src/catalog/signing/release-check.ts'
import { StoredGenerations } from '../../../src/catalog/signing/stored-generations.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import type { Logger } from '../../../src/core/runtime.ts'
import { sha256Factory } from '../../../src/core/sha256.ts'
import { ReleaseGuardObject } from '../../../src/releases/guard.ts'
import { KvStore } from '../../../src/weights/kv.ts'
import { R2Store } from '../../../src/weights/r2.ts'
import type { Store } from '../../../src/weights/store.ts'
import { bindings } from '../../fixtures/bindings.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { MemoryStore } from '../../fixtures/memory-store.ts'
import { testSigner } from '../../fixtures/release-keys.ts'

const { RELEASES } = env as unknown as { readonly RELEASES: DurableObjectNamespace }
const sha256 = sha256Factory()
const kv = new KvStore(bindings.KV)
const r2 = new R2Store(bindings.BUCKET)
const [signer, second] = [await testSigner(), await testSigner()]

let names = 0
const newName = (): string => `checked-${++names}-${crypto.randomUUID().slice(0, 8)}`

function aliasOf(model: string, generation: number): Alias {
  const versions = { '1': 'a'.repeat(64) }
  return { schema: 1, model, generation, visibility: 'public', versions, live: [{ version: '1', weight: 1 }] }
}

/** The real object's code over its real storage, with the keys of this test. */
class Guard implements ReleaseMemory {
  asked = 0
  away = false

  async keep(model: string, bytes: Uint8Array) {
    this.asked++
    if (this.away) throw new Error('the object does not answer')
    const stub = RELEASES.get(RELEASES.idFromName(model))
    const verdict = await runInDurableObject(stub, (_, state) =>
      new ReleaseGuardObject(state, {}, async () => [signer.key, second.key]).keep(bytes),
    )
    if ('fault' in verdict) throw new Error(verdict.fault)
    return verdict
  }
}

function isolate(
  memory?: ReleaseMemory,
  keys = [signer.key, second.key],
  clock = new ManualClock(),
  copies: Store = kv,
) {
  const logged: string[] = []
  const log = (event: string): void => void logged.push(event)
  const logger: Logger = { info: log, warn: log, error: log }
  const shared = { sha256, clock, logger, limits: LIMITS }
  const releases = new ReleaseCheck({ ...shared, keys, memory })
  return { reader: new CatalogReader([copies, r2], { ...shared, releases }), clock, logged }
}

async function store(bytes: Uint8Array, model: string, { copied = true } = {}): Promise<void> {
  await r2.put(aliasKey(model), bytes)
  if (copied) await kv.put(aliasKey(model), bytes)
  else await kv.delete(aliasKey(model))
}

const next = (clock: ManualClock): Promise<void> => clock.advance(LIMITS.aliasTtlMs + 1)

describe('a reader that takes signed releases only', () => {
  it('reads what is signed, and asks the guard once for each reading of the stores', async () => {
    const model = newName()
    await store(await signer.signed(aliasOf(model, 3)), model)
    const guard = new Guard()
    const { reader, clock } = isolate(guard)
    for (let request = 0; request < 50; request++) expect(await reader.alias(model)).toMatchObject({ generation: 3 })
    expect(guard.asked).toBe(1)
    await next(clock)
    await reader.alias(model)
    expect(guard.asked).toBe(2)
  })

  it.each([
    ['unsigned', async (model: string) => canonicalBytes(aliasOf(model, 3)), 'unsigned'],
    [
      'changed',
      async (model: string) => canonicalBytes({ ...(await signer.signAlias(aliasOf(model, 3))), generation: 4 }),
      'wrong',
    ],
    ['of a stranger', async (model: string) => (await testSigner()).signed(aliasOf(model, 3)), 'unknown_key'],
    ['ended', async (model: string) => signer.signed(aliasOf(model, 3), { expires: 1 }), 'expired'],
  ])('serves nothing that is %s, and leaves it out of lists', async (_, make, reason) => {
    const [model, other] = [newName(), newName()]
    await store(await make(model), model)
    await store(await signer.signed(aliasOf(other, 1)), other)
    const { reader, clock, logged } = isolate(new Guard())
    await clock.advance(2_000)
    await expect(reader.alias(model)).rejects.toMatchObject({ code: 'signature_invalid', details: { model, reason } })
    expect(await reader.alias(other)).toMatchObject({ model: other })
    const listed = (await reader.list()).map((alias) => alias.model)
    expect(listed).toContain(other)
    expect(listed).not.toContain(model)
    expect(logged).toContain('signature_invalid')
  })

  it('reads the truth where a copy is tampered with, and reports the copy', async () => {
    const model = newName()
    const signed = await signer.signAlias(aliasOf(model, 3))
    await store(canonicalBytes(signed), model)
    await kv.put(aliasKey(model), canonicalBytes({ ...signed, visibility: 'private' }))
    const { reader, logged } = isolate(new Guard())
    expect(await reader.alias(model)).toEqual(signed)
    expect(logged).toEqual(['copy_unusable'])
  })

  it('refuses without a look at the stores for as long as it keeps an alias, then looks again', async () => {
    const model = newName()
    await store(canonicalBytes(aliasOf(model, 3)), model, { copied: false })
    const { reader, clock } = isolate(new Guard())
    await expect(reader.alias(model)).rejects.toMatchObject({ code: 'signature_invalid' })
    await store(await signer.signed(aliasOf(model, 4)), model, { copied: false })
    await expect(reader.alias(model)).rejects.toMatchObject({ code: 'signature_invalid' })
    await next(clock)
    expect(await reader.alias(model)).toMatchObject({ generation: 4 })
  })

  it('lets a signature end while its alias is kept', async () => {
    const model = newName()
    await store(await signer.signed(aliasOf(model, 3), { expires: 5 }), model, { copied: false })
    const { reader, clock } = isolate(new Guard())
    await reader.alias(model)
    await clock.advance(4_999)
    await reader.alias(model)
    await clock.advance(1)
    await expect(reader.alias(model)).rejects.toMatchObject({
      code: 'signature_invalid',
      details: { reason: 'expired' },
    })
  })

  it('refuses a downgrade in every isolate, also in one that has never seen the newer release', async () => {
    const model = newName()
    const guard = new Guard()
    const [old, now] = [await signer.signed(aliasOf(model, 3)), await signer.signed(aliasOf(model, 4))]
    await store(now, model, { copied: false })
    await isolate(guard).reader.alias(model)
    await store(old, model, { copied: false })
    await expect(isolate(guard).reader.alias(model)).rejects.toMatchObject({
      code: 'release_outdated',
      details: { model, generation: 3, newest: 4 },
    })
  })

  it('refuses a downgrade by what it has seen itself, where there is no guard', async () => {
    const model = newName()
    await store(await signer.signed(aliasOf(model, 4)), model, { copied: false })
    const { reader, clock } = isolate()
    await reader.alias(model)
    await store(await signer.signed(aliasOf(model, 3)), model, { copied: false })
    await next(clock)
    await expect(reader.alias(model)).rejects.toMatchObject({ code: 'release_outdated' })
    // this isolate alone knows
    expect(await isolate().reader.alias(model)).toMatchObject({ generation: 3 })
  })

  it('finds a new release in the truth as soon as the guard has heard of it, however old the copy is', async () => {
    const model = newName()
    const guard = new Guard()
    const [old, now] = [await signer.signed(aliasOf(model, 3)), await signer.signed(aliasOf(model, 4))]
    await store(now, model, { copied: false })
    await isolate(guard).reader.alias(model)
    await kv.put(aliasKey(model), old)
    expect(await isolate(guard).reader.alias(model)).toMatchObject({ generation: 4 })
  })

  it('takes an old release that the operator has released again: its generation is a new one', async () => {
    const model = newName()
    const guard = new Guard()
    for (const generation of [3, 4, 5]) {
      await store(await signer.signed(aliasOf(model, generation)), model, { copied: false })
      expect(await isolate(guard).reader.alias(model)).toMatchObject({ generation })
    }
  })

  it('takes releases of both keys while one replaces the other', async () => {
    const model = newName()
    const guard = new Guard()
    await store(await signer.signed(aliasOf(model, 3)), model, { copied: false })
    await isolate(guard).reader.alias(model)
    await store(await second.signed(aliasOf(model, 4)), model, { copied: false })
    expect(await isolate(guard).reader.alias(model)).toMatchObject({ generation: 4 })
    await expect(isolate(guard, [signer.key]).reader.alias(model)).rejects.toMatchObject({
      details: { reason: 'unknown_key' },
    })
  })
})

describe('two environments on one bucket, each with copies and a guard of its own', () => {
  const environment = (keys: readonly ReleaseKey[]) => {
    const copies = new MemoryStore()
    const memory = new StoredGenerations(new MemoryStore(), keys, sha256)
    return { copies, ...isolate(memory, [...keys], new ManualClock(), copies) }
  }

  it('each refuse what is older than what they have served themselves', async () => {
    const model = newName()
    const [staging, production] = [environment([signer.key]), environment([signer.key])]
    const [old, released] = [await signer.signed(aliasOf(model, 3)), await signer.signed(aliasOf(model, 4))]
    await store(old, model, { copied: false })
    await production.copies.put(aliasKey(model), old)
    for (const { reader } of [staging, production]) expect(await reader.alias(model)).toMatchObject({ generation: 3 })
    // a command for staging writes the bucket and staging's copies
    await store(released, model, { copied: false })
    await staging.copies.put(aliasKey(model), released)
    for (const { clock } of [staging, production]) await next(clock)
    expect(await staging.reader.alias(model)).toMatchObject({ generation: 4 })
    expect(await production.reader.alias(model)).toMatchObject({ generation: 3 })
    // the next command for production brings its copies up to date
    await production.copies.put(aliasKey(model), released)
    await next(production.clock)
    expect(await production.reader.alias(model)).toMatchObject({ generation: 4 })
    for (const { copies } of [staging, production]) await copies.put(aliasKey(model), old)
    await store(old, model, { copied: false })
    for (const { clock, reader } of [staging, production]) {
      await next(clock)
      await expect(reader.alias(model)).rejects.toMatchObject({ code: 'release_outdated' })
    }
  })

  it('need a key that both accept: an alias has one signature', async () => {
    const model = newName()
    const [staging, production] = [environment([second.key]), environment([signer.key])]
    await store(await signer.signed(aliasOf(model, 3)), model, { copied: false })
    expect(await production.reader.alias(model)).toMatchObject({ generation: 3 })
    await expect(staging.reader.alias(model)).rejects.toMatchObject({ details: { reason: 'unknown_key' } })
    await store(await second.signed(aliasOf(model, 4)), model, { copied: false })
    for (const { clock } of [staging, production]) await next(clock)
    expect(await staging.reader.alias(model)).toMatchObject({ generation: 4 })
    await expect(production.reader.alias(model)).rejects.toMatchObject({ details: { reason: 'unknown_key' } })
  })
})

describe('a guard that does not answer', () => {
  it('of one model does not stop others, which have objects of their own', async () => {
    const [broken, fine] = [newName(), newName()]
    for (const model of [broken, fine]) await store(await signer.signed(aliasOf(model, 3)), model, { copied: false })
    const guard = new Guard()
    const partly: ReleaseMemory = {
      keep: (model, bytes) =>
        model === broken ? Promise.reject(new Error('the object is overloaded')) : guard.keep(model, bytes),
    }
    const { reader } = isolate(partly)
    await expect(reader.alias(broken)).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(await reader.alias(fine)).toMatchObject({ generation: 3 })
  })

  it('is asked again after a pause, also where the clock was set back meanwhile', async () => {
    const model = newName()
    await store(await signer.signed(aliasOf(model, 3)), model, { copied: false })
    const guard = new Guard()
    guard.away = true
    let behind = 0
    const clock = new ManualClock()
    const { now } = clock
    clock.now = () => now.call(clock) - behind
    await clock.advance(3_600_000)
    const { reader } = isolate(guard, undefined, clock)
    await expect(reader.alias(model)).rejects.toMatchObject({ code: 'store_unavailable' })
    guard.away = false
    behind = 3_000_000
    expect(await reader.alias(model)).toMatchObject({ generation: 3 })
  })

  it('stops an isolate that has seen nothing yet', async () => {
    const model = newName()
    await store(await signer.signed(aliasOf(model, 3)), model, { copied: false })
    const guard = new Guard()
    guard.away = true
    const { reader, logged } = isolate(guard)
    await expect(reader.alias(model)).rejects.toMatchObject({ code: 'store_unavailable', retryAfter: 5 })
    expect(logged).toContain('release_guard_away')
    // asked again after a pause only
    await expect(reader.alias(model)).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(guard.asked).toBe(1)
  })

  it('leaves an isolate what was accepted, and newer ones, for ten minutes', async () => {
    const model = newName()
    const guard = new Guard()
    const { reader, clock } = isolate(guard)
    await store(await signer.signed(aliasOf(model, 3)), model, { copied: false })
    await reader.alias(model)
    guard.away = true
    await next(clock)
    expect(await reader.alias(model)).toMatchObject({ generation: 3 })
    await store(await signer.signed(aliasOf(model, 4)), model, { copied: false })
    await next(clock)
    expect(await reader.alias(model)).toMatchObject({ generation: 4 })
    await store(await signer.signed(aliasOf(model, 3)), model, { copied: false })
    await next(clock)
    await expect(reader.alias(model)).rejects.toMatchObject({ code: 'release_outdated' })
    await store(await signer.signed(aliasOf(model, 4)), model, { copied: false })
    await clock.advance(LIMITS.releaseGraceMs)
    await expect(reader.alias(model)).rejects.toMatchObject({ code: 'store_unavailable' })
    guard.away = false
    await clock.advance(LIMITS.releaseGuardPauseMs + 1)
    expect(await reader.alias(model)).toMatchObject({ generation: 4 })
  })

  it('is left after two seconds', async () => {
    const model = newName()
    await store(await signer.signed(aliasOf(model, 3)), model, { copied: false })
    const asked = Promise.withResolvers<void>()
    const silent: ReleaseMemory = {
      keep: () => {
        asked.resolve()
        return new Promise(() => {})
      },
    }
    const { reader, clock } = isolate(silent)
    const answer = reader.alias(model)
    answer.catch(() => {})
    await asked.promise
    await clock.advance(LIMITS.releaseGuardMs)
    await expect(answer).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  it('is asked by one request of a burst, and by another where that one was killed', async () => {
    const model = newName()
    await store(await signer.signed(aliasOf(model, 3)), model, { copied: false })
    let asked = 0
    let answers = true
    const memory: ReleaseMemory = {
      keep: () => {
        asked++
        return answers ? Promise.resolve({ accepted: true, generation: 3 }) : new Promise(() => {})
      },
    }
    const { reader, clock } = isolate(memory)
    await reader.alias(model)
    expect(asked).toBe(1)
    await next(clock)
    answers = false
    // never settles, as if its request were killed
    const killed = reader.alias(model)
    killed.catch(() => {})
    await expect.poll(() => asked).toBe(2)
    expect(await reader.alias(model)).toMatchObject({ generation: 3 })
    expect(asked).toBe(2)
  })
})
