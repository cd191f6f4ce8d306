import { describe, expect, it } from 'vitest'
import { LIMITS, type Limits } from '../../../src/core/limits.ts'
import { type LogFields, systemClock } from '../../../src/core/runtime.ts'
import { sha256Factory } from '../../../src/core/sha256.ts'
import { type Tensor, type Tensors, tensor } from '../../../src/core/tensors.ts'
import type { CallContext } from '../../../src/inference/call.ts'
import { openLedger } from '../../../src/serving/ledger.ts'
import { entryOf, readEntry, sealEntry } from '../../../src/serving/results/entry.ts'
import { type CachedQuestion, keyOf } from '../../../src/serving/results/key.ts'
import { type CachedRun, RunCache } from '../../../src/serving/results/run-cache.ts'
import { CacheApiStore, type ResultStore } from '../../../src/serving/results/store.ts'
import type { RunResult } from '../../../src/serving/serving.ts'
import { OPERATOR, testApp, testModel } from '../../fixtures/http.ts'

const sha256 = sha256Factory()
const FLOATS = {
  inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [-1] }],
  outputs: [{ name: 'y', datatype: 'FP32' as const, shape: [-1] }],
}

class MapStore implements ResultStore {
  readonly entries = new Map<string, { bytes: Uint8Array<ArrayBuffer>; ttl: number }>()
  reads = 0

  async get(key: string) {
    this.reads++
    return this.entries.get(key)?.bytes.slice()
  }

  async put(key: string, bytes: Uint8Array<ArrayBuffer>, ttl: number) {
    this.entries.set(key, { bytes, ttl })
  }
}

interface Setting {
  readonly store?: ResultStore | undefined
  readonly limits?: Partial<Limits>
}

function setUp({ limits, ...given }: Setting = {}) {
  const store = new MapStore()
  const warnings: string[] = []
  const warn = (event: string, _fields?: LogFields): void => void warnings.push(event)
  const cache = new RunCache({
    store: 'store' in given ? given.store : store,
    engine: 'test 1',
    limits: { ...LIMITS, ...limits },
    sha256,
    clock: systemClock,
    logger: { info() {}, warn, error() {} },
  })
  let runs = 0
  /** @returns what the cache says, and the first output's first element: how many runs there had been */
  const ask = async (change: Change = {}) => {
    const model = testModel('m', change.visibility ?? 'public', { ...FLOATS, ...change.manifest })
    const [artifact] = model.manifest.artifacts
    if (artifact === undefined) throw new Error('no artifact')
    const background: Promise<unknown>[] = []
    const ledger = { ...openLedger(), lookups: change.lookups ?? 0 }
    const context: CallContext = {
      requestId: 'r',
      signal: new AbortController().signal,
      runsBefore: 0,
      waitUntil: (work) => void background.push(work),
      ledger,
      ...(change.mode !== null && { cache: { mode: change.mode ?? 'use', scope: change.scope ?? '' } }),
    }
    const run: CachedRun = {
      model: { alias: model.alias, manifest: model.manifest, digest: change.digest ?? 'd' },
      artifact: { ...artifact, sha256: change.artifact ?? 'a' },
      inputs: change.inputs ?? new Map([['x', tensor('FP32', [2], Float32Array.of(1, 2))]]),
      outputs: change.outputs,
      cost: change.cost ?? 1000,
    }
    const result = await cache.through(run, context, async () => {
      runs++
      const outputs: Tensors = new Map([['y', change.output ?? tensor('FP32', [1], Float32Array.of(runs))]])
      const fresh: RunResult = {
        outputs,
        artifact,
        start: 'warm',
        timings: { loadMs: 0, queueMs: 0, runMs: 1 },
        ...(change.degraded && { degraded: true }),
      }
      return fresh
    })
    const y = result.outputs.get('y')
    // As a task may: what is kept must not change with it.
    const said = `${ledger.cache} ${y?.data[0]}`
    if (y?.data instanceof Float32Array) y.data.fill(-1)
    await Promise.all(background)
    return { said, result, lookups: ledger.lookups }
  }
  const says = async (change?: Change): Promise<string> => (await ask(change)).said
  return { store, warnings, ask, says }
}

interface Change {
  readonly inputs?: Tensors
  readonly outputs?: readonly string[]
  readonly output?: Tensor
  readonly artifact?: string
  readonly digest?: string
  readonly visibility?: 'public' | 'private'
  readonly scope?: string
  readonly mode?: 'use' | 'refresh' | 'off' | null
  readonly cost?: number
  readonly lookups?: number
  readonly degraded?: boolean
  readonly manifest?: Parameters<typeof testModel>[2] extends infer M ? Partial<M> : never
}

describe('the result cache', () => {
  it('answers what was asked before, without a run', async () => {
    const { ask, says } = setUp()
    expect(await says()).toBe('miss 1')
    const { said, result } = await ask()
    expect(said).toBe('hit 1')
    expect(result.start).toBe('cached')
    expect(await says()).toBe('hit 1')
  })

  const other = new Map([['x', tensor('FP32', [1, 2], Float32Array.of(1, 2))]])
  it.each<[string, Change]>([
    ['another value', { inputs: new Map([['x', tensor('FP32', [2], Float32Array.of(1, 2.0000002))]]) }],
    ['the other zero', { inputs: new Map([['x', tensor('FP32', [2], Float32Array.of(1, -0))]]) }],
    ['another shape', { inputs: other }],
    ['another datatype', { inputs: new Map([['x', tensor('UINT32', [2], Uint32Array.of(0x3f800000, 0x40000000))]]) }],
    ['another name', { inputs: new Map([['z', tensor('FP32', [2], Float32Array.of(1, 2))]]) }],
    ['other outputs', { outputs: ['y'] }],
    ['another artifact', { artifact: 'b' }],
    ['other settings', { digest: 'e' }],
  ])('runs for %s', async (_, change) => {
    const { says } = setUp()
    expect(await says()).toBe('miss 1')
    expect(await says(change)).toBe('miss 2')
    expect(await says(change)).toBe('hit 2')
  })

  it("keeps a private model's results for each caller alone, and for nobody without a name", async () => {
    const { says, store } = setUp()
    const visibility = 'private'
    expect(await says({ visibility, scope: 'operator' })).toBe('miss 1')
    expect(await says({ visibility, scope: 'service:shop' })).toBe('miss 2')
    expect(await says({ visibility, scope: 'operator' })).toBe('hit 1')
    expect(await says({ visibility })).toBe('bypass 3')
    expect(await says({ scope: 'operator' })).toBe('miss 4')
    expect(await says({ scope: 'service:shop' })).toBe('hit 4')
    expect(store.entries.size).toBe(3)
  })

  it('obeys the request', async () => {
    const { says, store } = setUp()
    expect(await says({ mode: 'off' })).toBe('bypass 1')
    expect(await says({ mode: null })).toBe('bypass 2')
    expect(store.entries.size).toBe(0)
    expect(await says()).toBe('miss 3')
    expect(await says({ mode: 'refresh' })).toBe('bypass 4')
    expect(await says()).toBe('hit 4')
  })

  it('obeys the model', async () => {
    const { says, store } = setUp()
    expect(await says({ manifest: { cache: false } })).toBe('bypass 1')
    expect(await says({ cost: LIMITS.resultMinCost - 1 })).toBe('bypass 2')
    expect(store.reads).toBe(0)
    expect(await says({ cost: 0, manifest: { cache: { ttlSeconds: 77 } } })).toBe('miss 3')
    expect([...store.entries.values()].map(({ ttl }) => ttl)).toEqual([77])
    expect(await says({ artifact: 'b' })).toBe('miss 4')
    expect([...store.entries.values()].at(-1)?.ttl).toBe(LIMITS.resultTtlSeconds)
  })

  it('is off where the operator says so, or where there is none', async () => {
    expect(await setUp({ limits: { resultTtlSeconds: 0 } }).says({ manifest: { cache: { ttlSeconds: 9 } } })).toBe(
      'bypass 1',
    )
    expect(await setUp({ store: undefined }).says()).toBe('bypass 1')
  })

  it('never keeps what is degraded or too large', async () => {
    const { says, store } = setUp({ limits: { resultBytes: 1000 } })
    expect(await says({ degraded: true })).toBe('miss 1')
    expect(await says({ output: tensor('FP32', [250], new Float32Array(250)) })).toBe('miss 0')
    expect(await says({ output: tensor('BYTES', [1], ['x'.repeat(1000)]) })).toMatch(/^miss x/)
    expect(store.entries.size).toBe(0)
  })

  it('is asked for a few runs of a request only', async () => {
    const { ask } = setUp()
    expect((await ask()).lookups).toBe(1)
    expect((await ask({ lookups: LIMITS.resultLookups })).said).toBe('bypass 2')
  })

  it('takes a damaged entry for none, and mends it', async () => {
    const { says, store, warnings } = setUp()
    await says()
    const [key, kept] = [...store.entries][0] ?? []
    if (key === undefined || kept === undefined) throw new Error('nothing was kept')
    const whole = kept.bytes
    let run = 1
    for (const damage of [
      (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 1),
      (bytes: Uint8Array) => bytes.subarray(0, 10),
      () => new Uint8Array(0),
      () => new TextEncoder().encode('<html>not found</html>'.repeat(20)),
      ...[0, 65, 70, whole.length - 1].map((at) => (bytes: Uint8Array) => {
        const copy = bytes.slice()
        copy[at] = (copy[at] ?? 0) ^ 1
        return copy
      }),
    ]) {
      store.entries.set(key, { bytes: damage(whole).slice() as Uint8Array<ArrayBuffer>, ttl: 1 })
      expect(await says()).toBe(`miss ${++run}`)
      expect(await says()).toBe(`hit ${run}`)
    }
    expect(new Set(warnings)).toEqual(new Set(['result_damaged']))
  })

  it("takes another question's entry for none", async () => {
    const { says, store } = setUp()
    await says()
    await says({ artifact: 'b' })
    const [first, second] = [...store.entries]
    if (first === undefined || second === undefined) throw new Error('two should have been kept')
    store.entries.set(first[0], second[1])
    expect(await says()).toBe('miss 3')
  })

  it('does not fail with its store, nor wait for it', async () => {
    const failing: ResultStore = {
      get: () => Promise.reject(new Error('gone')),
      put: () => Promise.reject(new Error('full')),
    }
    const failed = setUp({ store: failing })
    expect(await failed.says()).toBe('miss 1')
    expect(failed.warnings).toEqual(['result_unreadable', 'result_not_kept'])
    const stuck: ResultStore = { get: () => new Promise(() => {}), put: async () => {} }
    expect(await setUp({ store: stuck, limits: { resultLookupMs: 5 } }).says()).toBe('miss 1')
  })

  it('works over the Cache API', async () => {
    const store = new CacheApiStore(await caches.open('results'))
    expect(await setUp({ store }).says()).toBe('miss 1')
    const { ask } = setUp({ store })
    expect((await ask()).said).toBe('hit 1')
    expect(await store.get('absent', 100)).toBeUndefined()
    await store.put('large', new Uint8Array(101), 60)
    expect(await store.get('large', 100)).toBeUndefined()
    expect((await store.get('large', 101))?.length).toBe(101)
  })
})

describe('an entry', () => {
  it('holds tensors of every type, exactly', async () => {
    const outputs: Tensors = new Map<string, Tensor>([
      ['b', tensor('BOOL', [3], Uint8Array.of(0, 1, 1))],
      ['f', tensor('FP32', [2, 2], Float32Array.of(Number.NaN, -0, Number.POSITIVE_INFINITY, 1e-40))],
      ['i', tensor('INT64', [1], BigInt64Array.of(-(2n ** 63n)))],
      ['h', tensor('FP16', [1], Uint16Array.of(0x7c01))],
      ['d', tensor('FP64', [0, 4], new Float64Array(0))],
      ['s', tensor('BYTES', [3], ['', '\ud800', 'größe\0😀'])],
      ['__proto__', tensor('INT8', [], Int8Array.of(-128))],
    ])
    const entry = entryOf('k', outputs, 10_000)
    if (entry === undefined) throw new Error('it should fit')
    await sealEntry(sha256, entry)
    const back = await readEntry(sha256, 'k', entry)
    expect([...(back ?? [])]).toEqual([...outputs])
    expect(await readEntry(sha256, 'other', entry)).toBeUndefined()
  })
})

describe('a key', () => {
  const question: CachedQuestion = {
    engine: 'e',
    artifact: 'a',
    manifest: 'm',
    scope: '',
    inputs: new Map<string, Tensor>([
      ['a', tensor('UINT8', [2], Uint8Array.of(1, 2))],
      ['s', tensor('BYTES', [2], ['x', 'y,"z'])],
    ]),
    outputs: undefined,
  }

  it('does not depend on the order of inputs, and does on everything else', async () => {
    const key = await keyOf(sha256, question)
    expect(key).toMatch(/^[0-9a-f]{64}$/)
    expect(await keyOf(sha256, { ...question, inputs: new Map([...question.inputs].reverse()) })).toBe(key)
    const others: Partial<CachedQuestion>[] = [
      { engine: 'f' },
      { scope: 'a' },
      { outputs: [] },
      {
        inputs: new Map<string, Tensor>([
          ...question.inputs,
          ['s', tensor('BYTES', [2], ['x', 'y,"', 'z'].slice(0, 2))],
        ]),
      },
      { inputs: new Map<string, Tensor>([...question.inputs, ['a', tensor('UINT8', [2], Uint8Array.of(2, 1))]]) },
    ]
    const keys = await Promise.all(others.map((change) => keyOf(sha256, { ...question, ...change })))
    expect(new Set([key, ...keys]).size).toBe(others.length + 1)
  })
})

describe('the header', () => {
  const INFER = { inputs: [{ name: 'x', shape: [2], datatype: 'FP32', data: [1, 2] }] }
  const seen: (CallContext['cache'] | undefined)[] = []
  const model = testModel('open', 'public', FLOATS, {
    compute: (inputs, context) => {
      seen.push(context.cache)
      if (context.ledger) context.ledger.cache = 'hit'
      return new Map([['y', [...inputs.values()][0] as Tensor]])
    },
  })

  it.each([
    [undefined, 'use'],
    ['no-cache', 'refresh'],
    ['Max-Age=0', 'refresh'],
    ['max-age=60', 'use'],
    ['max-age=5, NO-STORE', 'off'],
  ])('Cache-Control: %s is %s', async (header, mode) => {
    const { post } = testApp({ models: [model] })
    const response = await post('/v2/models/open/infer', INFER, header === undefined ? {} : { 'cache-control': header })
    expect(response.headers.get('verge-cache')).toBe('hit')
    expect(seen.at(-1)).toEqual({ mode, scope: '' })
  })

  it('names the caller, may be read by pages, and is on nothing that took no run', async () => {
    const { post, request } = testApp({ models: [model], corsOrigins: ['https://a.example'] })
    const response = await post('/v2/models/open/infer', INFER, { ...OPERATOR, origin: 'https://a.example' })
    expect(seen.at(-1)?.scope).toBe('operator')
    expect(response.headers.get('access-control-expose-headers')).toContain('verge-cache')
    expect((await request('/v2/models/open')).headers.has('verge-cache')).toBe(false)
    expect((await post('/v2/models/open/infer', { inputs: [] })).headers.has('verge-cache')).toBe(false)
  })
})

describe('the repository index', () => {
  it('lists the versions of the models that the caller may see', async () => {
    const models = [testModel('open', 'public', FLOATS), testModel('secret', 'private', FLOATS)]
    const { post, request } = testApp({ models })
    const entry = (name: string, version: string) => ({ name, version, state: 'READY', reason: '' })
    // Version 1 is not live.
    const open = [entry('open', '2')]
    expect(await (await post('/v2/repository/index', { ready: true })).json()).toEqual(open)
    expect(await (await request('/v2/repository/index', { method: 'POST' })).json()).toEqual(open)
    expect(await (await post('/v2/repository/index', {}, OPERATOR)).json()).toEqual([
      entry('open', '1'),
      ...open,
      entry('secret', '1'),
      entry('secret', '2'),
    ])
    expect((await post('/v2/repository/index', { ready: 'yes' })).status).toBe(400)
    expect((await post('/v2/repository/index', '[')).status).toBe(400)
  })
})
