import { describe, expect, it } from 'vitest'
import type { Alias } from '../../src/catalog/alias.ts'
import {
  actionOf,
  historyOf,
  nextAlias,
  published,
  released,
  rolledBack,
  shown,
  withoutVersion,
} from '../../src/catalog/alias-changes.ts'
import type { CanaryStop } from '../../src/catalog/canary.ts'
import { canonicalBytes } from '../../src/catalog/canonical-json.ts'
import { aliasKey } from '../../src/catalog/keys.ts'
import { checkAlias, parseAlias } from '../../src/catalog/parse.ts'
import { CatalogReader } from '../../src/catalog/reader.ts'
import { ReleaseCheck } from '../../src/catalog/signing/release-check.ts'
import { ReleaseSigning } from '../../src/catalog/signing/release-signing.ts'
import { checkSignature } from '../../src/catalog/signing/signature.ts'
import { StoredGenerations } from '../../src/catalog/signing/stored-generations.ts'
import { readStoredAlias } from '../../src/catalog/stored-alias.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger } from '../../src/core/runtime.ts'
import { nodeSha256 } from '../../src/origin/sha256.ts'
import { text } from '../contract/store.ts'
import { ManualClock } from '../fixtures/clock.ts'
import { MemoryStore } from '../fixtures/memory-store.ts'
import { testSigner } from '../fixtures/release-keys.ts'

const digest = (letter: string): string => letter.repeat(64)
const one = { version: '1', weight: 95 }
const two = { version: '2', weight: 5 }
const alone = [{ version: '1', weight: 1 }]

/** Version 2 is on trial against version 1, after version 0. */
function trial(fields: Partial<Alias> = {}): Alias {
  return {
    schema: 1,
    model: 'm',
    generation: 7,
    visibility: 'public',
    versions: { '0': digest('0'), '1': digest('a'), '2': digest('b') },
    live: [one, two],
    canary: { version: '2', against: '1', guarded: true },
    history: ['0', '1'],
    ...fields,
  }
}

const stop = (fields: Partial<CanaryStop> = {}): CanaryStop => ({
  generation: 7,
  version: '2',
  at: 100,
  reason: 'errors: 9 of 40 against 0 of 760',
  ...fields,
})

const stopped = (alias = trial()): Alias => ({ ...alias, stopped: stop({ generation: alias.generation }) })

describe('an alias with a canary', () => {
  it('keeps the canary on trial while nobody stops it', () => {
    expect(checkAlias(trial(), 'm')).toEqual(trial())
    const shadowed = trial({ live: alone, canary: { version: '2', against: '1', shadow: 0.1, guarded: true } })
    expect(checkAlias(shadowed, 'm')).toEqual(shadowed)
  })

  it('takes a stopped canary out of the live versions, and keeps the stop for who looks', () => {
    const { canary: _, ...rest } = stopped()
    expect(checkAlias(stopped(), 'm')).toEqual({ ...rest, live: [one] })
    const shadowed = checkAlias(stopped(trial({ live: alone })), 'm')
    expect(shadowed).toMatchObject({ live: alone, stopped: stop() })
    expect(shadowed.canary).toBeUndefined()
  })

  it.each([
    ['another generation', trial(), stop({ generation: 6 })],
    ['a later generation', trial(), stop({ generation: 8 })],
    ['the stable version', trial(), stop({ version: '1' })],
    [
      'a version that is not on trial',
      trial({ live: [one, two, { version: '0', weight: 5 }] }),
      stop({ version: '0' }),
    ],
    ['a version of several that nobody watches', trial({ canary: undefined }), stop()],
    ['the only live version', trial({ canary: undefined, live: alone }), stop({ version: '1' })],
    [
      'the only live version, named as a canary against itself',
      trial({ live: alone, canary: { version: '1', against: '1', guarded: true } }),
      stop({ version: '1' }),
    ],
    [
      'the only live version, named as a canary against one that is not live',
      trial({ live: [two], canary: { version: '2', against: '1', guarded: true } }),
      stop(),
    ],
  ])('ignores a stop of %s', (_, alias, written) => {
    const read = checkAlias({ ...alias, stopped: written }, 'm')
    expect(read.live).toEqual(alias.live)
    expect(read.stopped).toBeUndefined()
  })

  it('is not on trial where an older Verge has changed the versions around the canary', () => {
    for (const fields of [{ live: [two] }, { live: alone, versions: { '1': digest('a') } }]) {
      const read = checkAlias(trial(fields), 'm')
      expect(read.canary).toBeUndefined()
      expect(read.live).toEqual(fields.live)
    }
  })
})

describe('changes of an alias whose canary was taken out', () => {
  const read = (alias: Alias): Alias => checkAlias(alias, 'm')

  it('do not make the canary live again', () => {
    const next = nextAlias('m', read(stopped()), shown('m', 'private'))
    expect(next).toMatchObject({ generation: 8, visibility: 'private', live: [one] })
    expect(next.canary ?? next.stopped).toBeUndefined()
    expect(actionOf(read(stopped()), next)).toBe('visibility')
  })

  it('leave the stop on record where they change nothing', () => {
    const old = read(stopped())
    const same = nextAlias('m', old, published('m', '2', digest('b'), { live: 'seeding' }))
    expect(same).toMatchObject({ generation: 8, stopped: stop() })
    expect(same).toEqual({ ...old, generation: 8, history: ['0'] })
  })

  it('roll back to what is live since, not to the version before', () => {
    const old = read(stopped())
    expect(historyOf(old)).toEqual(['0'])
    const next = nextAlias('m', old, rolledBack('m'))
    expect(next).toMatchObject({ generation: 8, live: alone, history: ['0'] })
    expect(next.stopped).toBeUndefined()
    expect(actionOf(old, next)).toBe('release')
    expect(nextAlias('m', next, rolledBack('m')).live).toEqual([{ version: '0', weight: 1 }])
  })

  it('end a trial with the release of a version, with a rollback, and with a push', () => {
    const old = read(trial())
    for (const change of [
      released('m', [{ version: '2', weight: 1 }]),
      rolledBack('m'),
      published('m', '3', digest('c'), { live: true }),
    ]) {
      expect(nextAlias('m', old, change).canary).toBeUndefined()
    }
    expect(nextAlias('m', old, rolledBack('m')).live).toEqual(alone)
    expect(nextAlias('m', old, published('m', '3', digest('c'), { live: false })).canary).toEqual(old.canary)
  })

  it('do not remove a version that is on trial without answering', () => {
    const shadowed = read(trial({ live: alone }))
    expect(() => nextAlias('m', shadowed, withoutVersion('m', '2'))).toThrow('on trial as a canary')
    expect(nextAlias('m', shadowed, withoutVersion('m', '0')).versions).not.toHaveProperty('0')
  })
})

describe('a signed alias', async () => {
  const signer = await testSigner()
  const signed = await signer.signAlias(trial())
  const stored = (value: unknown): Uint8Array => canonicalBytes(value)
  const verdict = (bytes: Uint8Array) =>
    checkSignature(bytes, JSON.parse(new TextDecoder().decode(bytes)), [signer.key])

  it('is genuine with and without a stop, and with nothing else that was not signed', async () => {
    expect((await verdict(stored(signed))).fault).toBeUndefined()
    expect((await verdict(stored({ ...signed, stopped: stop() }))).fault).toBeUndefined()
    expect((await verdict(stored({ ...signed, stopping: stop() }))).fault).toBe('wrong')
    expect((await verdict(stored({ ...signed, canary: { ...signed.canary, version: '1' } }))).fault).toBe('wrong')
    expect((await verdict(text(JSON.stringify({ stopped: stop(), ...signed })))).fault).toBe('wrong')
  })

  it('counts as the same release with and without a stop, and another one of the generation does not', async () => {
    const memory = new StoredGenerations(new MemoryStore({ name: 'own' }), [signer.key], nodeSha256)
    const other = await signer.signAlias(trial({ visibility: 'private' }))
    expect(await memory.keep('m', stored(signed))).toMatchObject({ accepted: true })
    expect(await memory.keep('m', stored({ ...signed, stopped: stop() }))).toMatchObject({ accepted: true })
    expect(await memory.keep('m', stored(signed))).toMatchObject({ accepted: true })
    expect(await memory.keep('m', stored(other))).toMatchObject({ accepted: false })
    expect(await memory.keep('m', stored({ ...other, stopped: stop() }))).toMatchObject({ accepted: false })
  })

  it('is signed again without the stop, on top of the release that was signed', async () => {
    const truth = new MemoryStore({ name: 'truth' })
    await truth.put(aliasKey('m'), stored({ ...signed, stopped: stop() }))
    const old = await readStoredAlias(truth, 'm', LIMITS.aliasBytes, undefined)
    if (old === null) throw new Error('nothing is stored')
    expect(old.value.live).toEqual([one])
    const next = await new ReleaseSigning({ signer }).sealed(nextAlias('m', old.value, shown('m', 'private')), old, 5)
    expect(next).not.toHaveProperty('stopped')
    expect((await verdict(stored(next))).fault).toBeUndefined()
    const forged = { ...old, bytes: stored({ ...signed, visibility: 'private', stopped: stop() }) }
    await expect(new ReleaseSigning({ signer }).sealed(next, forged, 5)).rejects.toMatchObject({
      code: 'signature_invalid',
    })
  })
})

describe('a reader', async () => {
  const signer = await testSigner()
  const bytes = { running: await signer.signAlias(trial()), later: await signer.signAlias(trial({ generation: 8 })) }
  const put = (store: MemoryStore, alias: Alias) => store.put(aliasKey('m'), canonicalBytes(alias))

  async function scene(isSigned: boolean) {
    const [copy, truth, clock] = [
      new MemoryStore({ name: 'copy' }),
      new MemoryStore({ name: 'truth' }),
      new ManualClock(),
    ]
    const shared = { sha256: nodeSha256, clock, logger: silentLogger, limits: LIMITS }
    const releases = isSigned ? new ReleaseCheck({ ...shared, keys: [signer.key] }) : undefined
    const reader = new CatalogReader([copy, truth], { ...shared, releases })
    const live = async (): Promise<readonly string[]> => {
      await clock.advance(LIMITS.aliasTtlMs + 1)
      return (await reader.alias('m'))?.live.map(({ version }) => version) ?? []
    }
    await put(copy, bytes.running)
    await put(truth, bytes.running)
    return { copy, truth, live }
  }

  it.each([true, false])(
    'never goes from a stopped canary back to a copy where it runs (signed: %s)',
    async (isSigned) => {
      const { copy, truth, live } = await scene(isSigned)
      expect(await live()).toEqual(['1', '2'])
      await put(truth, stopped(bytes.running))
      // as far as the copy's cache is out of date
      expect(await live()).toEqual(['1', '2'])
      await put(copy, stopped(bytes.running))
      expect(await live()).toEqual(['1'])
      await put(copy, bytes.running)
      expect(await live()).toEqual(['1'])
      await put(copy, bytes.later)
      expect(await live()).toEqual(['1', '2'])
    },
  )

  it('reads what was signed where somebody drops the stop from every store', async () => {
    const { copy, truth, live } = await scene(true)
    for (const store of [copy, truth]) await put(store, stopped(bytes.running))
    expect(await live()).toEqual(['1'])
    for (const store of [copy, truth]) await put(store, bytes.running)
    expect(await live()).toEqual(['1', '2'])
  })

  it('is led to the truth where somebody edits the stop in a copy into something else', async () => {
    const { copy, live } = await scene(true)
    await put(copy, { ...bytes.running, stopped: { ...stop(), reason: 'x'.repeat(201) } })
    expect(await live()).toEqual(['1', '2'])
    await put(copy, { ...bytes.running, stopped: stop({ version: '1' }) })
    expect(await live()).toEqual(['1', '2'])
  })

  it('parses stored bytes as they count', () => {
    expect(parseAlias(canonicalBytes(stopped()), 'm').live).toEqual([one])
  })
})
