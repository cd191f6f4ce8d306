import { describe, expect, it } from 'vitest'
import { KEY_RECORD_PREFIX } from '../../src/access/keys/record.ts'
import { KeyWriter } from '../../src/access/keys/writer.ts'
import { compareRecords } from '../../src/audit/compare.ts'
import { AuditLog } from '../../src/audit/log.ts'
import { verifyChain } from '../../src/audit/verify.ts'
import { ALIAS_PREFIX, aliasKey } from '../../src/catalog/keys.ts'
import { MANIFEST_SCHEMA } from '../../src/catalog/manifest.ts'
import { CatalogReader } from '../../src/catalog/reader.ts'
import { ReleaseCheck } from '../../src/catalog/signing/release-check.ts'
import { ReleaseSigning, type ReleaseSigningOptions } from '../../src/catalog/signing/release-signing.ts'
import { StoredGenerations } from '../../src/catalog/signing/stored-generations.ts'
import { CatalogWriter } from '../../src/catalog/writer.ts'
import { adopt } from '../../src/cli/audit/verify.ts'
import { isVergeError } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger } from '../../src/core/runtime.ts'
import { nodeSha256 as sha256 } from '../../src/origin/sha256.ts'
import type { Store } from '../../src/weights/store.ts'
import { pattern, readValue } from '../contract/store.ts'
import { ManualClock } from '../fixtures/clock.ts'
import { MemoryStore } from '../fixtures/memory-store.ts'
import { testSigner } from '../fixtures/release-keys.ts'

/** Operators' commands that are killed between any two of their writes: nothing stays that the next command cannot finish. */
const signer = await testSigner()
const signed: ReleaseSigningOptions = { signer }
const MODEL = 'm'

class Killed extends Error {}

/** Writes of one process, of which the first few are made. */
class Life {
  made = 0
  readonly #most: number

  constructor(most: number) {
    this.#most = most
  }

  write(): void {
    if (this.made >= this.#most) throw new Killed()
    this.made++
  }

  of(store: Store): Store {
    return {
      name: store.name,
      head: (...args) => store.head(...args),
      get: (...args) => store.get(...args),
      list: (...args) => store.list(...args),
      put: async (...args) => {
        this.write()
        return store.put(...args)
      },
      delete: async (...args) => {
        this.write()
        return store.delete(...args)
      },
    }
  }
}

interface Place {
  readonly truth: MemoryStore
  readonly kv: MemoryStore
  readonly clock: ManualClock
  /** What a Worker's guard has seen. */
  readonly generations: MemoryStore
}

function newPlace(): Place {
  const [truth, kv, generations] = [new MemoryStore(), new MemoryStore(), new MemoryStore()]
  return { truth, kv, clock: new ManualClock(), generations }
}

let salt = 0
const random = (bytes: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(bytes).fill(0).map((_, at) => (at * 7 + ++salt) % 256)

const auditOf = ({ clock }: Place, truth: Store): AuditLog =>
  new AuditLog(truth, { by: 'ann', sha256, clock, limits: LIMITS })

function writersOf(place: Place, life: Life, signing: ReleaseSigningOptions) {
  const [mine, copy] = [life.of(place.truth), life.of(place.kv)]
  const shared = { sha256, clock: place.clock, limits: LIMITS, audit: auditOf(place, mine) }
  return {
    catalog: new CatalogWriter(mine, [copy], { ...shared, signing: async () => new ReleaseSigning(signing) }),
    keys: new KeyWriter(mine, [copy], { ...shared, random }),
  }
}

type Writers = ReturnType<typeof writersOf>

async function publish({ catalog }: Writers, version: string): Promise<void> {
  const { blob } = await catalog.putBlob([pattern(500, version.charCodeAt(0))])
  const place = { id: 'edge', format: 'onnx' as const, dtype: 'fp32' as const, places: ['edge' as const] }
  const manifest = {
    schema: MANIFEST_SCHEMA,
    model: MODEL,
    version,
    inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [1] }],
    outputs: [{ name: 'y', datatype: 'FP32' as const, shape: [1] }],
    artifacts: [{ ...blob, chunks: [...blob.chunks], ...place }],
  }
  await catalog.publishVersion(manifest, { live: true, visibility: 'public' })
}

async function remove({ catalog }: Writers): Promise<void> {
  await catalog.dropModel(MODEL, (await catalog.stores.truth.head(aliasKey(MODEL)))?.etag ?? null)
}

async function keyIn({ truth }: Place): Promise<string> {
  const { keys } = await truth.list(KEY_RECORD_PREFIX)
  return (keys[0] ?? '').slice(KEY_RECORD_PREFIX.length)
}

const GRANT = { models: ['*'], actions: ['infer'] as const, places: ['edge'] as const }
const created = { name: 'shop', grant: { ...GRANT, actions: [...GRANT.actions], places: [...GRANT.places] } }

interface Command {
  readonly before?: (writers: Writers) => Promise<unknown>
  readonly run: (writers: Writers, place: Place) => Promise<unknown>
  readonly signing?: ReleaseSigningOptions
  readonly adopted?: boolean
}

const released = async (writers: Writers): Promise<void> => {
  await publish(writers, '1')
  await publish(writers, '2')
}

const COMMANDS: Readonly<Record<string, Command>> = {
  'a first push': { run: (writers) => publish(writers, '1') },
  'a push of a version': { before: released, run: (writers) => publish(writers, '3') },
  'a rollback': { before: released, run: ({ catalog }) => catalog.release(MODEL, [{ version: '1', weight: 1 }]) },
  'a change that gives up the signature': {
    before: released,
    run: ({ catalog }) => catalog.setVisibility(MODEL, 'private'),
    signing: { unsigned: true },
  },
  'a removal': { before: released, run: remove },
  'a push after a removal': {
    before: async (writers) => {
      await released(writers)
      await remove(writers)
    },
    run: (writers) => publish(writers, '4'),
  },
  // The next command makes another key: the entry about the first one is there until an operator adopts it.
  'a new key': { run: ({ keys }) => keys.create(created), adopted: true },
  'a rotation': {
    before: ({ keys }) => keys.create(created),
    run: async ({ keys }, place) => keys.rotate(await keyIn(place), 60),
  },
  'a revocation': {
    before: ({ keys }) => keys.create(created),
    run: async ({ keys }, place) => keys.revoke(await keyIn(place)),
  },
}

async function verified({ truth }: Place) {
  const { faults, recorded } = await verifyChain(truth, { sha256, limits: LIMITS })
  const prefixes = [ALIAS_PREFIX, KEY_RECORD_PREFIX]
  const { differences } = await compareRecords(truth, recorded, { prefixes, sha256, limits: LIMITS })
  return { faults, differences }
}

/** The generation that a Worker serves; null where there is no such model. */
async function served({ truth, kv, clock, generations }: Place): Promise<number | null> {
  const shared = { sha256, clock, logger: silentLogger, limits: LIMITS }
  const memory = new StoredGenerations(generations, [signer.key], sha256)
  const releases = new ReleaseCheck({ ...shared, keys: [signer.key], memory })
  const alias = await new CatalogReader([kv, truth], { ...shared, releases }).alias(MODEL).catch((error: unknown) => {
    if (isVergeError(error, 'model_not_found')) return null
    throw error
  })
  return alias?.generation ?? null
}

/** A place in which a command was killed after some writes. @returns undefined if it took no more than those */
async function killedAfter(writes: number, { before, run, signing = signed }: Command): Promise<Place | undefined> {
  const place = newPlace()
  await before?.(writersOf(place, new Life(Number.POSITIVE_INFINITY), signed))
  if (signing === signed) await served(place)
  try {
    await run(writersOf(place, new Life(writes), signing), place)
    return undefined
  } catch (error) {
    if (!(error instanceof Killed)) throw error
    return place
  }
}

describe.each(Object.entries(COMMANDS))('%s that is killed', (_, command) => {
  it('after any of its writes leaves a log that says so, a Worker that serves, and is finished by the next', async () => {
    let kills = 0
    for (;;) {
      const place = await killedAfter(kills, command)
      if (place === undefined) break
      const killed = await verified(place)
      expect([kills, killed.faults]).toEqual([kills, []])
      expect([kills, killed.differences.filter(({ kind }) => kind !== 'as-before')]).toEqual([kills, []])
      const { signing = signed } = command
      if (signing === signed) await served(place)
      const again = writersOf(place, new Life(Number.POSITIVE_INFINITY), signing)
      await command.run(again, place)
      if (command.adopted) {
        const { differences } = await verified(place)
        expect([kills, differences]).toEqual([kills, killed.differences])
        await adopt(auditOf(place, place.truth), differences)
      }
      expect([kills, await verified(place)]).toEqual([kills, { faults: [], differences: [] }])
      expect([kills, await readValue(place.kv, aliasKey(MODEL))]).toEqual([
        kills,
        await readValue(place.truth, aliasKey(MODEL)),
      ])
      if (signing === signed) await served(place)
      kills++
    }
    // before the entry, its head, and the record
    expect(kills).toBeGreaterThanOrEqual(3)
  })
})
