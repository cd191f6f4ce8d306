import { describe, expect, it } from 'vitest'
import { AuditLog } from '../../src/audit/log.ts'
import type { Alias } from '../../src/catalog/alias.ts'
import { stopCanary } from '../../src/catalog/alias-stop.ts'
import type { CanaryStop } from '../../src/catalog/canary.ts'
import { canonicalBytes } from '../../src/catalog/canonical-json.ts'
import { aliasKey } from '../../src/catalog/keys.ts'
import { parseAlias } from '../../src/catalog/parse.ts'
import { checkSignature } from '../../src/catalog/signing/signature.ts'
import { VergeError } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger } from '../../src/core/runtime.ts'
import { nodeSha256 } from '../../src/origin/sha256.ts'
import { readAtMost } from '../../src/weights/body.ts'
import type { Store } from '../../src/weights/store.ts'
import { ManualClock } from '../fixtures/clock.ts'
import { MemoryStore } from '../fixtures/memory-store.ts'
import { testSigner } from '../fixtures/release-keys.ts'

const KEY = aliasKey('m')
const stop: CanaryStop = { generation: 7, version: '2', at: 100, reason: 'errors: 9 of 40' }

function trial(fields: Partial<Alias> = {}): Alias {
  return {
    schema: 1,
    model: 'm',
    generation: 7,
    visibility: 'public',
    versions: { '1': 'a'.repeat(64), '2': 'b'.repeat(64) },
    live: [
      { version: '1', weight: 95 },
      { version: '2', weight: 5 },
    ],
    canary: { version: '2', against: '1', guarded: true },
    ...fields,
  }
}

async function setUp(alias: Alias | Uint8Array = trial(), over: (store: MemoryStore) => Store = (store) => store) {
  const [memory, copy] = [new MemoryStore({ name: 'r2' }), new MemoryStore({ name: 'kv' })]
  const bytes = alias instanceof Uint8Array ? alias : canonicalBytes(alias)
  await memory.put(KEY, bytes)
  await copy.put(KEY, bytes)
  const truth = over(memory)
  const options = { sha256: nodeSha256, clock: new ManualClock(), logger: silentLogger, limits: LIMITS }
  const audit = new AuditLog(memory, { ...options, by: 'canary watch' })
  const run = () => stopCanary(truth, [copy], { model: 'm', stop }, { ...options, audit })
  const actions = async () => {
    const { keys } = await memory.list('audit/')
    const entries = await Promise.all(keys.filter((key) => /\d$/.test(key)).map((key) => read(memory, key)))
    return entries.map((entry) => (JSON.parse(entry) as { action: string }).action)
  }
  return { memory, copy, run, actions }
}

describe('stopCanary', () => {
  it('writes the stop beside the release, in the log and in the copies, and once', async () => {
    const { actions, copy, memory, run } = await setUp()
    expect(await run()).toBe('stopped')
    const stored = await read(memory)
    const alias = parseAlias(new TextEncoder().encode(stored), 'm')
    expect(alias.live).toEqual([{ version: '1', weight: 95 }])
    expect(alias.stopped).toEqual(stop)
    expect(await read(copy)).toBe(stored)
    expect(await run()).toBe('stopped')
    expect(await read(memory)).toBe(stored)
    expect(await actions()).toEqual(['canary-stop'])
  })

  it('leaves the signature as it is', async () => {
    const signer = await testSigner()
    const { memory, run } = await setUp(await signer.signed(trial()))
    await run()
    const bytes = new TextEncoder().encode(await read(memory))
    expect((await checkSignature(bytes, JSON.parse(new TextDecoder().decode(bytes)), [signer.key])).fault).toBe(
      undefined,
    )
  })

  it.each([
    ['of another generation', trial({ generation: 8 })],
    ['whose canary is another version', trial({ canary: { version: '1', against: '2', guarded: true } })],
    ['without a canary', trial({ canary: undefined })],
  ])('leaves a release %s alone', async (_name, alias) => {
    const { actions, memory, run } = await setUp(alias)
    const before = await read(memory)
    expect(await run()).toBe('superseded')
    expect(await read(memory)).toBe(before)
    expect(await actions()).toEqual([])
  })

  it('loses to a command that releases meanwhile', async () => {
    const newer = canonicalBytes(trial({ generation: 8 }))
    const { actions, memory, run } = await setUp(trial(), (store) => between(store, () => store.put(KEY, newer)))
    expect(await run()).toBe('superseded')
    expect(parseAlias(new TextEncoder().encode(await read(memory)), 'm').generation).toBe(8)
    expect(await actions()).toEqual(['canary-stop', 'withdrawn'])
  })

  it('completes at the next try what a failing store has left undone', async () => {
    let failures = 1
    const { copy, memory, run } = await setUp(trial(), (store) =>
      between(store, async () => {
        if (failures-- > 0) throw new VergeError('store_unavailable', 'R2 is away.')
      }),
    )
    await expect(run()).rejects.toThrow(/R2 is away/)
    expect(await run()).toBe('stopped')
    expect(await read(copy)).toBe(await read(memory))
  })
})

async function read(store: Store, key = KEY): Promise<string> {
  const found = await store.get(key)
  const bytes = found && (await readAtMost(found.body, LIMITS.aliasBytes))
  return new TextDecoder().decode(bytes ?? undefined)
}

/** The same store, in which something happens before the alias is written. */
function between(store: MemoryStore, first: () => Promise<unknown>): Store {
  return {
    name: store.name,
    head: (...args) => store.head(...args),
    get: (...args) => store.get(...args),
    list: (...args) => store.list(...args),
    delete: (...args) => store.delete(...args),
    put: async (key, value, options) => {
      if (key === KEY) await first()
      return store.put(key, value, options)
    },
  }
}
