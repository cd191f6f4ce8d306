import { describe, expect, it } from 'vitest'
import { AliasLists } from '../../src/catalog/index/model-lists.ts'
import { MANIFEST_SCHEMA, type Manifest } from '../../src/catalog/manifest.ts'
import { CatalogReader } from '../../src/catalog/reader.ts'
import { CatalogWriter } from '../../src/catalog/writer.ts'
import { nodeSha256 } from '../../src/cli/pack/bytes.ts'
import { throwIfAborted } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { sha256Factory } from '../../src/core/sha256.ts'
import type { Tensor, Tensors } from '../../src/core/tensors.ts'
import type { ArtifactInfo, Engine, Session } from '../../src/engine/engine.ts'
import { ModelNotes, requestNotes } from '../../src/origin/model-notes.ts'
import { HealthView } from '../../src/placement/health.ts'
import { OriginPool } from '../../src/placement/origin-pool.ts'
import { PlacementPlanner } from '../../src/placement/planner.ts'
import { OriginPlacement } from '../../src/placement/route.ts'
import { BoundedAdmission } from '../../src/serving/admission.ts'
import { FileCache } from '../../src/serving/files.ts'
import { LocalServing, type LocalServingOptions } from '../../src/serving/local.ts'
import { RunCache } from '../../src/serving/results/run-cache.ts'
import { SessionCache } from '../../src/sessions/cache.ts'
import { BlobLoader } from '../../src/weights/loader.ts'
import { COPIES, COUNTS, type ServingUnderTest, servingContract, WORDS } from '../contract/serving.ts'
import { FakeServing, testModel } from '../fixtures/http.ts'
import { MemoryStore } from '../fixtures/memory-store.ts'
import { originOf } from '../fixtures/remote.ts'

const shared = { clock: systemClock, logger: silentLogger, limits: LIMITS, sha256: sha256Factory(nodeSha256) }

/** Outputs that are asked for, of a model that copies. */
function copied(inputs: Tensors, outputs: readonly string[] = ['y', 'z']): Tensors {
  const all = new Map([
    ['y', inputs.get('x') as Tensor],
    ['z', inputs.get('w') as Tensor],
  ])
  return new Map(outputs.map((name) => [name, all.get(name) as Tensor]))
}

async function* counted(maxNewTokens: number): AsyncGenerator<number, undefined> {
  for (let token = 1; token <= maxNewTokens; token++) yield token
  return undefined
}

/** An engine that has both models of the contract. */
class ContractEngine implements Engine {
  readonly name = 'contract'

  supports() {
    return { ok: true } as const
  }

  async load({ bytes }: ArtifactInfo): Promise<Session> {
    return {
      signature: { inputs: [], outputs: [] },
      bytes: 1,
      alive: true,
      run: async (inputs, { outputs, signal }) => {
        throwIfAborted(signal)
        return copied(inputs, outputs)
      },
      ...(bytes === COUNTS_BYTES && { generate: (_: readonly number[], { maxNewTokens }) => counted(maxNewTokens) }),
      dispose() {},
    }
  }

  async health() {
    return { ok: true, engine: this.name, version: '1' }
  }
}

/** What tells the two models' artifacts apart. */
const COUNTS_BYTES = 2

/** A serving over a store in memory that holds both models. */
async function localServing(own: Partial<LocalServingOptions> = {}): Promise<LocalServing> {
  const store = new MemoryStore()
  const writer = new CatalogWriter(store, [], shared)
  const blobOf = async (bytes: Uint8Array) => {
    const { blob } = await writer.putBlob([bytes])
    return { ...blob, chunks: [...blob.chunks] }
  }
  const publish = async (model: string, version: string, bytes: number, manifest: Partial<Manifest>) => {
    const blob = await blobOf(new Uint8Array(bytes))
    await writer.publishVersion(
      {
        schema: MANIFEST_SCHEMA,
        model,
        version,
        inputs: [],
        outputs: [],
        artifacts: [{ ...blob, id: 'edge', format: 'onnx', dtype: 'fp32', places: ['edge'] }],
        ...manifest,
      },
      { live: true, visibility: 'public' },
    )
  }
  const files = { 'words.txt': await blobOf(WORDS) }
  await publish('copies', '1', 1, { ...COPIES, files })
  await publish('copies', '2', 1, { ...COPIES, files })
  await publish('counts', '1', COUNTS_BYTES, COUNTS)
  const blobs = new BlobLoader([store], shared)
  const polling = { clock: systemClock, staleMs: LIMITS.loadStaleMs, pollMs: 5 }
  const catalog = new CatalogReader([store], shared)
  return new LocalServing({
    place: 'edge',
    catalog,
    lists: new AliasLists(catalog, shared),
    blobs,
    files: new FileCache({
      ...polling,
      budgetBytes: 1_000,
      read: (blob, _, signal) => blobs.bytes(blob, 1_000, signal),
    }),
    engine: new ContractEngine(),
    sessions: new SessionCache({
      ...shared,
      budgetBytes: 10_000_000,
      loadStaleMs: 5_000,
      loadPollMs: 5,
      loadDeadlineMs: 5_000,
      holdLeaseMs: 5_000,
      roomWaitMs: 1_000,
    }),
    results: new RunCache({ ...shared, engine: 'contract 1' }),
    costLimit: LIMITS.requestCost,
    prefillTokens: LIMITS.prefillTokens,
    pinned: new Set(),
    clock: systemClock,
    random: () => 0,
    ...own,
  })
}

function alone(serving: LocalServing | FakeServing): ServingUnderTest {
  return { models: serving, readiness: serving, runnerOf: async () => serving }
}

/** The edge and one origin, which has both models; every request goes where `hint` says. */
async function placed(hint: 'edge' | 'origin'): Promise<ServingUnderTest> {
  const edge = await localServing()
  const health = new HealthView({ read: async () => null, write: async () => {} }, shared)
  const origin = originOf(async () => Response.error())
  const originPool = new OriginPool([origin], { ...shared, health, random: () => 0 })
  const placement = new OriginPlacement({
    ...shared,
    edge,
    originPool,
    planner: new PlacementPlanner({ ...shared, edge, originPool, health, failedLoadMs: 1_000 }),
    admission: new BoundedAdmission({ slots: 1, bodyBytes: 1, leaseMs: 1_000, clock: systemClock }),
    runRemotely: async (_, __, inputs, outputs) => copied(inputs, outputs),
    forward: async () => {
      throw new Error('A serving is given tensors.')
    },
  })
  return {
    models: edge,
    readiness: edge,
    runnerOf: (model, context) =>
      placement.route(model, { route: 'oip', full: false, tensorsAlone: true }, { ...context, placement: { hint } }),
  }
}

function fake(): FakeServing {
  return new FakeServing([
    testModel('copies', 'public', COPIES, { files: { 'words.txt': WORDS } }),
    testModel('counts', 'public', COUNTS, { write: (_, { maxNewTokens }) => counted(maxNewTokens) }),
  ])
}

servingContract('LocalServing', async () => alone(await localServing()))
servingContract('LocalServing of an origin, observed', async () => {
  const observer = new ModelNotes(() => {})
  return alone(await localServing({ observer, accepts: () => true }))
})
servingContract('the route of a request to the edge', () => placed('edge'))
servingContract('the route of a request to an origin', () => placed('origin'), { writes: false })
servingContract('the fake of the tests', async () => alone(fake()))

describe('an origin', () => {
  const context = { requestId: 'r', signal: new AbortController().signal, runsBefore: 0, waitUntil: () => {} }

  it('notes the model of a request, and counts the tokens of texts', async () => {
    const counts = new Map<string, number>()
    const observer = new ModelNotes((model) => counts.set(model, (counts.get(model) ?? 0) + 1))
    const serving = await localServing({ observer })
    const alias = await serving.alias('counts', context)
    if (alias === null) throw new Error('no alias')
    const notes: { model?: string } = {}
    const model = await requestNotes.run(notes, () => serving.resolve(alias, undefined, context))
    expect(notes.model).toBe('counts')
    expect(observer.modelOf(model.manifest.artifacts[0]?.sha256 ?? '')).toBe('counts')
    const options = { stopTokens: new Set<number>(), maxNewTokens: 4, choose: () => 0, signal: context.signal }
    for await (const _ of (await serving.generate(model, [5], options, context)).tokens);
    expect([...counts]).toEqual([['counts', 4]])
  })

  it('is not ready while it accepts no requests, though its engine works', async () => {
    const serving = await localServing({ accepts: () => false })
    const alias = await serving.alias('copies', context)
    if (alias === null) throw new Error('no alias')
    expect(await serving.ready(await serving.resolve(alias, undefined, context))).toBe(false)
    expect(await serving.health()).toMatchObject({ ok: false, engine: 'contract' })
  })
})
