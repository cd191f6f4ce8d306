import { describe, expect, it } from 'vitest'
import type { PlacementPreference } from '../../src/catalog/manifest.ts'
import { VergeError } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { sha256Factory } from '../../src/core/sha256.ts'
import { type Tensor, type Tensors, tensor } from '../../src/core/tensors.ts'
import type { ArtifactInfo, Engine, Session, Support } from '../../src/engine/engine.ts'
import { withForwardHeaders } from '../../src/http/inference.ts'
import type { CallContext } from '../../src/inference/call.ts'
import { HealthView } from '../../src/placement/health.ts'
import type { Origin } from '../../src/placement/origin.ts'
import { OriginPool } from '../../src/placement/origin-pool.ts'
import type { ForwardedRequest, PlacementHints, Route, RouteFacts } from '../../src/placement/placement.ts'
import { PlacementPlanner } from '../../src/placement/planner.ts'
import { decide } from '../../src/placement/policy.ts'
import { runRemotely, sendOn } from '../../src/placement/remote/send.ts'
import { OriginPlacement } from '../../src/placement/route.ts'
import { BoundedAdmission } from '../../src/serving/admission.ts'
import { openLedger } from '../../src/serving/ledger.ts'
import { LocalServing } from '../../src/serving/local.ts'
import { RunCache } from '../../src/serving/results/run-cache.ts'
import type { ResolvedModel } from '../../src/serving/serving.ts'
import { SessionCache } from '../../src/sessions/cache.ts'
import { testModel } from '../fixtures/http.ts'
import { originOf } from '../fixtures/remote.ts'

const BEST = 'a'.repeat(64)
const LESSER = 'b'.repeat(64)

/** An engine at the edge that doubles, and fails as it is told. */
class EdgeEngine implements Engine {
  readonly name = 'edge'
  readonly ran: string[] = []
  readonly loaded: string[] = []
  /** By artifact: what it cannot run at all. */
  readonly unsupported = new Map<string, Support>()
  readonly failing = new Map<string, VergeError>()
  readonly breaking = new Map<string, VergeError>()

  supports({ sha256 }: ArtifactInfo): Support {
    return this.unsupported.get(sha256) ?? { ok: true }
  }

  async load({ sha256 }: ArtifactInfo): Promise<Session> {
    this.loaded.push(sha256)
    const failure = this.failing.get(sha256)
    if (failure !== undefined) throw failure
    return {
      signature: { inputs: [], outputs: [] },
      bytes: 1,
      alive: true,
      run: async (inputs) => {
        this.ran.push(sha256)
        const broken = this.breaking.get(sha256)
        if (broken !== undefined) throw broken
        const x = inputs.get('x') as Extract<Tensor, { datatype: 'FP32' }>
        const twice = x.data.map((value) => 2 * value)
        return new Map([['y', tensor('FP32', x.shape, twice)]])
      },
      dispose() {},
    }
  }

  async health() {
    return { ok: true, engine: this.name, version: '1' }
  }
}

type Answer = (request: Request) => Response | Promise<Response>

/** Three and four, whatever is asked. */
const tensors: Answer = () => Response.json({ outputs: [{ name: 'y', datatype: 'FP32', shape: [2], data: [3, 4] }] })
const refused =
  (status: number, code: string): Answer =>
  () =>
    Response.json({ error: { code, message: 'Said there.' } }, { status })

interface Setting {
  /** Answers that other isolates have kept. */
  readonly kept?: Map<string, Uint8Array<ArrayBuffer>>
  readonly placement?: PlacementPreference
  readonly answers?: Readonly<Record<string, Answer>>
  readonly origins?: readonly Partial<Origin>[]
  readonly costLimit?: number
  readonly artifacts?: boolean
  readonly ask?: PlacementHints
}

function setUp({ placement, answers = { fra: tensors }, costLimit = 100, artifacts = true, ...more }: Setting = {}) {
  const described = testModel('m', 'public', {
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1] }],
    ...(placement && { placement }),
  })
  const [artifact] = described.manifest.artifacts
  if (artifact === undefined) throw new Error('no artifact')
  const cost = { base: 20, perElement: 1 }
  const both = [
    { ...artifact, sha256: BEST, cost },
    { ...artifact, id: 'edge-q8', sha256: LESSER, cost },
  ]
  const model: ResolvedModel = {
    alias: described.alias,
    manifest: { ...described.manifest, artifacts: artifacts ? both : [] },
    digest: 'd',
  }
  const engine = new EdgeEngine()
  const shared = { clock: systemClock, logger: silentLogger, limits: LIMITS, sha256: sha256Factory() }
  const kept = more.kept ?? new Map<string, Uint8Array<ArrayBuffer>>()
  const unused = {} as never
  const local = new LocalServing({
    ...shared,
    place: 'edge',
    catalog: unused,
    lists: unused,
    files: unused,
    blobs: { source: () => ({ bytes: 0, deliver: async () => {} }) },
    engine,
    sessions: new SessionCache({
      ...shared,
      budgetBytes: 10_000_000,
      loadStaleMs: 5_000,
      loadPollMs: 5,
      loadDeadlineMs: 5_000,
      holdLeaseMs: 5_000,
      roomWaitMs: 1_000,
    }),
    results: new RunCache({
      ...shared,
      engine: 'edge 1',
      store: {
        get: async (key) => kept.get(key),
        put: async (key, bytes) => {
          kept.set(key, bytes)
        },
      },
    }),
    costLimit,
    prefillTokens: LIMITS.prefillTokens,
    pinned: new Set(),
    random: () => 0,
  })
  const seen: { origin: string; request: Request; body: string }[] = []
  const origins = (more.origins ?? Object.keys(answers).map((name) => ({ name }))).map((origin) => {
    const name = origin.name ?? 'fra'
    return originOf(
      async (request) => {
        const body = await request.clone().text()
        seen.push({ origin: name, request, body })
        const answer = answers[name]
        if (answer === undefined) throw new TypeError('Network connection lost.')
        return answer(request)
      },
      { url: `https://${name}.example.com`, ...origin },
    )
  })
  const health = new HealthView({ read: async () => null, write: async () => {} }, shared)
  const originPool = new OriginPool(origins, { ...shared, health, random: () => 0 })
  let decisions = 0
  const policy: typeof decide = (facts) => {
    decisions++
    return decide(facts)
  }
  const planner = new PlacementPlanner({
    edge: local,
    originPool,
    health,
    clock: systemClock,
    failedLoadMs: 60_000,
    policy,
  })
  const placing = new OriginPlacement({
    ...shared,
    edge: local,
    planner,
    originPool,
    runRemotely: (origin, resolved, inputs, outputs, context) =>
      runRemotely(origin, resolved, inputs, outputs, context, shared),
    admission: new BoundedAdmission({ slots: 4, bodyBytes: 1_000, leaseMs: 1_000, clock: systemClock }),
    forward: (origin, resolved, request, context) => sendOn(origin, resolved, request, context, shared),
  })
  const context: CallContext = {
    requestId: 'r-1',
    signal: new AbortController().signal,
    runsBefore: 0,
    waitUntil: () => {},
    cache: { mode: 'use', scope: 'service:shop' },
    ledger: openLedger(),
    placement: more.ask ?? { hint: 'auto' },
  }
  const routed = (own: Partial<CallContext> = {}, facts: Partial<RouteFacts> = {}): Promise<Route> =>
    placing.route(model, { route: 'task', full: false, ...facts }, { ...context, ...own })
  const run = async (elements = 2, own: Partial<CallContext> = {}) => {
    const route = await routed(own, { route: 'oip', tensorsAlone: true })
    return route.run(model, inputsOf(elements), undefined, { ...context, ...own })
  }
  const forward = async (request: Partial<ForwardedRequest> = {}) => {
    const route = await routed({}, { route: request.route ?? 'task' })
    const answered = await route.send(
      {
        route: 'task',
        method: 'POST',
        path: '/run/m',
        headers: new Headers({ 'content-type': 'application/json' }),
        body: new TextEncoder().encode('{}').slice(),
        caller: 'service:shop',
        ...request,
      },
      context,
    )
    return withForwardHeaders(answered)
  }
  return { context, decisions: () => decisions, engine, forward, kept, model, placing, routed, run, seen }
}

function inputsOf(elements: number): Tensors {
  return new Map([['x', tensor('FP32', [elements], new Float32Array(elements).fill(1))]])
}

const valuesOf = ({ outputs }: { readonly outputs: Tensors }) => [...(outputs.get('y')?.data ?? [])]
const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'fine',
    (error: unknown) => (error instanceof VergeError ? error.code : error),
  )
const tooLarge: Support = { ok: false, code: 'model_too_large', reason: 'is too large' }

describe('what is loaded before a request has been read', () => {
  it('is what the edge is going to run', async () => {
    const { context, engine, model, routed, run } = setUp()
    engine.unsupported.set(BEST, tooLarge)
    const route = await routed({ placement: { hint: 'edge' } })
    route.prefetch(model, context)
    await expect.poll(() => engine.loaded).toEqual([LESSER])
    await run(2, { placement: { hint: 'edge' } })
    expect(engine.loaded).toEqual([LESSER])
  })

  it.each([
    ['a request that an origin is to answer', {}],
    ['tensors that an origin is to be given', { route: 'oip', tensorsAlone: true }],
  ] as const)('is nothing for %s', async (_, facts) => {
    const { context, engine, model, routed } = setUp({ ask: { hint: 'origin' } })
    const route = await routed({}, facts)
    route.prefetch(model, context)
    await new Promise((resolve) => setTimeout(resolve))
    expect(engine.loaded).toEqual([])
  })

  it('is nothing where the model has no artifact that runs', async () => {
    const { context, engine, model, routed } = setUp({ artifacts: false })
    const route = await routed()
    route.prefetch(model, context)
    await new Promise((resolve) => setTimeout(resolve))
    expect(engine.loaded).toEqual([])
  })
})

describe('a run', () => {
  it('is made at the edge where that can, and no origin is asked', async () => {
    const { run, seen } = setUp()
    const result = await run()
    expect(valuesOf(result)).toEqual([2, 2])
    expect(result).toMatchObject({ reason: 'fits-edge', artifact: { sha256: BEST } })
    expect(result.degraded).toBeUndefined()
    expect(seen).toEqual([])
  })

  it('is made at an origin where the model is too large here', async () => {
    const { engine, run, seen } = setUp()
    engine.unsupported.set(BEST, tooLarge).set(LESSER, tooLarge)
    const result = await run()
    expect(valuesOf(result)).toEqual([3, 4])
    expect(result).toMatchObject({ place: 'origin', origin: 'fra', reason: 'too-large-for-edge', artifact: undefined })
    expect(new URL(seen[0]?.request.url ?? '').pathname).toBe('/v2/models/m/versions/2/infer')
    expect(engine.ran).toEqual([])
  })

  it('is made at an origin where it costs too much here, and refused where there is none', async () => {
    const { run, seen } = setUp()
    expect(await run(81)).toMatchObject({ place: 'origin', reason: 'cost-too-high' })
    expect(seen.length).toBe(1)
    expect(await codeOf(setUp({ answers: {} }).run(81))).toBe('cost_too_high')
    expect(await codeOf(setUp({ placement: 'edge' }).run(81))).toBe('cost_too_high')
  })

  it('is made at an origin where its weights cannot be had, and so are those after it', async () => {
    const { engine, run } = setUp()
    engine.failing.set(BEST, new VergeError('weights_unavailable', 'Away.'))
    expect(await run()).toMatchObject({ place: 'origin', reason: 'edge-failed' })
    engine.failing.clear()
    expect(await run()).toMatchObject({ place: 'origin', reason: 'edge-failed' })
  })

  it('is made at an origin where a number needs more than 32 bits, or else by the next artifact', async () => {
    const tooLarge = new VergeError('integer_too_large', 'It gives a whole number beyond 32 bits.')
    const { engine, run } = setUp()
    engine.breaking.set(BEST, tooLarge)
    expect(await run()).toMatchObject({ place: 'origin', reason: 'edge-failed' })
    engine.breaking.clear()
    expect(await run()).toMatchObject({ place: 'edge', artifact: { sha256: BEST } })
    const alone = setUp({ answers: {} })
    alone.engine.breaking.set(BEST, tooLarge)
    expect(await alone.run()).toMatchObject({ place: 'edge', artifact: { sha256: LESSER } })
  })

  it('is made at the edge, as a lesser one, where the origin that it is meant for is down', async () => {
    const { run, seen } = setUp({ placement: 'origin', origins: [{ name: 'gone' }] })
    const result = await run()
    expect(valuesOf(result)).toEqual([2, 2])
    expect(result).toMatchObject({ degraded: true, reason: 'origin-down' })
    expect(seen.length).toBe(2)
  })

  it('pays nothing for an artifact that could not be loaded, and is made by the lesser one', async () => {
    const { context, engine, run } = setUp({ answers: {} })
    engine.failing.set(BEST, new VergeError('model_too_large', 'No room.'))
    expect(await run(60)).toMatchObject({ degraded: true, artifact: { sha256: LESSER } })
    expect(context.ledger?.cost).toBe(80)
  })

  it('that was made by a lesser artifact is never given for one by the best', async () => {
    const { engine, kept, run } = setUp()
    engine.unsupported.set(BEST, tooLarge)
    const lesser = await run(2, { placement: { hint: 'edge' } })
    expect(lesser.artifact?.sha256).toBe(LESSER)
    await expect.poll(() => kept.size).toBe(1)
    // Another isolate, whose engine takes the best one, on the same kept answers.
    const other = setUp({ kept })
    const best = await other.run()
    expect([best.start, best.artifact?.sha256, other.engine.ran]).toEqual(['cold', BEST, [BEST]])
    expect(engine.ran).toEqual([LESSER])
  })

  it('that ended its engine is made nowhere else: not at another origin, and not at the edge', async () => {
    const { engine, run, seen } = setUp({
      placement: 'origin',
      answers: { fra: refused(500, 'engine_aborted'), ams: tensors },
    })
    expect(await codeOf(run())).toBe('origin_failed')
    expect(seen.length).toBe(1)
    expect(engine.ran).toEqual([])
  })

  it('that ends the engine here is not sent to an origin', async () => {
    const { engine, run, seen } = setUp()
    engine.breaking.set(BEST, new VergeError('engine_aborted', 'Ended.'))
    expect(await codeOf(run())).toBe('engine_aborted')
    expect(seen).toEqual([])
  })

  it('whose inputs are wrong is refused by the first that sees it', async () => {
    const { engine, run, seen } = setUp({
      placement: 'origin',
      answers: { fra: refused(400, 'run_rejected'), ams: tensors },
    })
    expect(await codeOf(run())).toBe('run_rejected')
    expect([seen.length, engine.ran.length]).toEqual([1, 0])
  })

  it.each([
    ['of another shape', { shape: [3], data: [3, 4] }],
    ['of another type', { datatype: 'INT64', data: [3, 4] }],
    ['of a rank that is not the model’s', { shape: [1, 2], data: [3, 4] }],
    ['of more elements than there are bytes', { shape: [2 ** 31, 2 ** 31], data: [3] }],
    ['under another name', { name: 'z' }],
  ])('is not answered with tensors %s', async (_, wrong) => {
    const output = { name: 'y', datatype: 'FP32', shape: [2], data: [3, 4], ...wrong }
    const { run } = setUp({ placement: 'origin', answers: { fra: () => Response.json({ outputs: [output] }) } })
    expect(await run()).toMatchObject({ degraded: true, reason: 'origin-down' })
  })

  it('goes where it is asked to go, or nowhere', async () => {
    const { run } = setUp()
    expect(await run(2, { placement: { hint: 'origin' } })).toMatchObject({ place: 'origin', reason: 'asked-for' })
    expect(await run(2, { placement: { hint: 'edge' } })).toMatchObject({ reason: 'asked-for' })
    const without = setUp()
    without.engine.unsupported.set(BEST, tooLarge).set(LESSER, tooLarge)
    expect(await codeOf(without.run(2, { placement: { hint: 'edge' } }))).toBe('placement_impossible')
    const pinned = setUp({ placement: 'edge' })
    expect(await codeOf(pinned.run(2, { placement: { hint: 'origin' } }))).toBe('placement_impossible')
    expect(pinned.seen).toEqual([])
  })

  it('asks no origin any more once one has been found down for this request', async () => {
    const { context, decisions, model, routed, seen } = setUp({ placement: 'origin' })
    const route = await routed()
    expect([route.forward, route.fallback]).toEqual([true, true])
    route.giveUpOrigins()
    const result = await route.run(model, inputsOf(2), undefined, context)
    expect([result.degraded, result.reason, seen.length, decisions()]).toEqual([true, 'origin-down', 0, 2])
  })

  it('goes by the decision that the request was routed by, however many runs it takes', async () => {
    const { context, decisions, model, routed, seen } = setUp()
    const route = await routed()
    for (let runs = 0; runs < 3; runs++) {
      const { reason } = await route.run(model, inputsOf(2), undefined, context)
      expect(reason).toBe('fits-edge')
    }
    expect([decisions(), seen.length]).toEqual([1, 0])
  })

  it('decides anew only where the body asks for more than the edge may do', async () => {
    const { context, decisions, model, routed } = setUp()
    const route = await routed()
    expect(await route.run(model, inputsOf(81), undefined, context)).toMatchObject({ reason: 'cost-too-high' })
    expect(decisions()).toBe(2)
  })

  it('does not try again for the same request what could not be loaded for it', async () => {
    const { context, engine, model, routed } = setUp()
    engine.failing.set(BEST, new VergeError('weights_unavailable', 'Away.'))
    const route = await routed()
    expect(await route.run(model, inputsOf(2), undefined, context)).toMatchObject({ place: 'origin' })
    engine.failing.clear()
    expect(await route.run(model, inputsOf(2), undefined, context)).toMatchObject({ place: 'origin' })
    expect(engine.ran).toEqual([])
  })

  it('is not begun for a caller who has left', async () => {
    const { run, seen } = setUp({ placement: 'origin' })
    const left = AbortSignal.abort(new VergeError('cancelled', 'Left.'))
    expect(await codeOf(run(2, { signal: left }))).toBe('cancelled')
    expect(seen).toEqual([])
  })
})

describe('what is announced', () => {
  it('is refused where no origin could take it', async () => {
    const { context, model, routed } = setUp({ placement: 'edge' })
    const here = await routed()
    expect(() => here.checkCost(model, [inputsOf(81)], context)).toThrow('101 units')
    const both = setUp()
    const asked = await both.routed({ placement: { hint: 'edge' } })
    expect(() => asked.checkCost(both.model, [inputsOf(81)], both.context)).toThrow('101 units')
    const either = await both.routed()
    either.checkCost(both.model, [inputsOf(81)], both.context)
    either.giveUpOrigins()
    expect(() => either.checkCost(both.model, [inputsOf(81)], both.context)).toThrow('101 units')
  })
})

describe('a text', () => {
  it('is not written by tensors: where only origins could write it, and none is asked, that is said', async () => {
    const { context, engine, model, routed, seen } = setUp({ artifacts: false })
    const options = { stopTokens: new Set<number>(), maxNewTokens: 1, choose: () => 0, signal: context.signal }
    const route = await routed()
    expect(await codeOf(route.generate(model, [1], options, context))).toBe('origin_unavailable')
    expect([seen, engine.ran]).toEqual([[], []])
  })
})

describe('a request that is forwarded', () => {
  const asked = ({ seen }: ReturnType<typeof setUp>, at = 0) => {
    const request = seen[at]?.request
    if (request === undefined) throw new Error('nothing was sent')
    return { url: new URL(request.url), headers: request.headers, body: seen[at]?.body }
  }

  it('brings what it needs and nothing that says who its caller is', async () => {
    const given = setUp({ placement: 'origin' })
    const headers = new Headers({
      'content-type': 'application/json',
      authorization: 'Bearer of-the-caller',
      cookie: 'a=b',
      host: 'elsewhere.example.com',
      'verge-caller': 'operator',
      'verge-place': 'origin',
      'cf-connecting-ip': '192.0.2.1',
      'x-forwarded-for': '192.0.2.1',
      'x-request-id': 'other',
      'transfer-encoding': 'chunked',
    })
    await given.forward({ headers })
    const sent = asked(given)
    expect(sent.url.origin).toBe('https://fra.example.com')
    expect([...sent.headers.keys()].sort()).toEqual(['accept-encoding', 'content-type', 'x-request-id'])
    expect(sent.headers.get('x-request-id')).toBe('r-1')
  })

  it.each([
    ['/run/m', '/run/m?version=2'],
    ['/run/m?version=1&version=9&a=b', '/run/m?version=2&a=b'],
    ['/v2/models/m/infer', '/v2/models/m/versions/2/infer'],
    ['/v2/models/%6d/infer', '/v2/models/m/versions/2/infer'],
    ['/v2/models/m/versions/1/infer', '/v2/models/m/versions/2/infer'],
    ['/v2/models/%6D/versions/%31/infer?x=y', '/v2/models/m/versions/2/infer?x=y'],
    ['/v1/chat/completions', '/v1/chat/completions?version=2'],
  ])('asks for the version that was chosen here: %s', async (path, expected) => {
    const given = setUp({ placement: 'origin' })
    await given.forward({ path, route: path.startsWith('/v2') ? 'oip' : 'task' })
    const { pathname, search } = asked(given).url
    expect(pathname + search).toBe(expected)
  })

  it('says where it was answered, in our words alone', async () => {
    const told = 'edge;origin="evil";artifact="origin-fp32";start=warm;reason=fits-edge;x=1\t;artifact="a\\"b"'
    const given = setUp({
      placement: 'origin',
      answers: {
        fra: () =>
          Response.json(
            {},
            { headers: { 'verge-placement': told, 'set-cookie': 'a=b', 'access-control-allow-origin': 'x' } },
          ),
      },
    })
    const answer = await given.forward()
    expect(answer.headers.get('verge-placement')).toBe(
      'origin;origin="fra";artifact="origin-fp32";start=warm;reason=model-prefers-origin',
    )
    expect([...answer.headers.keys()].sort()).toEqual(['content-type', 'verge-placement'])
  })

  it('is answered by another origin where a page comes instead of an answer', async () => {
    const page = () => new Response('<html>Sign in</html>', { headers: { 'content-type': 'text/html; charset=utf-8' } })
    const given = setUp({ placement: 'origin', answers: { fra: page, ams: () => Response.json({ from: 'ams' }) } })
    const answer = await given.forward()
    expect(await answer.json()).toEqual({ from: 'ams' })
    expect(answer.headers.get('verge-placement')).toContain('attempts=2')
    const alone = setUp({ placement: 'origin', answers: { fra: page } })
    expect(await codeOf(alone.forward())).toBe('origin_failed')
  })

  it('does not follow where an origin sends it', async () => {
    const away = () => new Response(null, { status: 307, headers: { location: 'https://elsewhere.example.com/' } })
    const given = setUp({ placement: 'origin', answers: { fra: away } })
    expect(await codeOf(given.forward())).toBe('origin_failed')
    expect(given.seen.map(({ request }) => [new URL(request.url).host, request.redirect])).toEqual([
      ['fra.example.com', 'manual'],
    ])
  })

  it('is sent once where its body is a stream that was read', async () => {
    const given = setUp({ placement: 'origin', answers: { fra: refused(500, 'internal'), ams: tensors } })
    const body = new Response('{}').body
    expect(await codeOf(given.forward({ body }))).toBe('origin_unavailable')
    expect(given.seen.length).toBe(1)
  })

  it('speaks against no other origin where one that is ending has taken its stream', async () => {
    const given = setUp({ placement: 'origin', answers: { fra: refused(503, 'origin_unavailable'), ams: tensors } })
    const body = new Response('{}').body
    const failure: unknown = await given.forward({ body }).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'origin_unavailable', details: { origins: ['fra'], reason: 'refused' } })
  })

  it.each([
    ['by the same name', 'm'],
    ['by another', 'their/m'],
  ])('names one model, however often its body does: %s', async (_, theirs) => {
    const origins = [{ name: 'fra', kind: 'openai' as const, models: new Map([['m', theirs]]) }]
    const given = setUp({ placement: 'origin', origins })
    const text = '{"model":"their/secret","messages":[{"model":"x"}],"\\u006dodel":"m"}'
    await given.forward({ route: 'openai', path: '/v1/chat/completions', body: new TextEncoder().encode(text).slice() })
    const { body = '' } = asked(given)
    expect(body).not.toContain('secret')
    expect(JSON.parse(body)).toEqual({ model: theirs, messages: [{ model: 'x' }] })
  })

  it('brings a query to origins of our own alone, and to others a body of the type that it is', async () => {
    const origins = [{ name: 'fra', kind: 'openai' as const, models: new Map([['m', 'm']]) }]
    const given = setUp({ placement: 'origin', origins })
    const body = new TextEncoder().encode('{"model":"m"}').slice()
    // what "curl -d" says of everything
    const headers = new Headers({ 'content-type': 'application/x-www-form-urlencoded' })
    await given.forward({ route: 'openai', path: '/v1/completions?version=2&api_key=x&debug=1', body, headers })
    expect(asked(given).url.search).toBe('')
    expect(asked(given).headers.get('content-type')).toBe('application/json')
  })
})

describe('an explanation', () => {
  it('names places and no address', async () => {
    const { context, model, placing } = setUp({ placement: 'origin', ask: { hint: 'auto' } })
    const told = await placing.explain(model, { route: 'task', full: false }, context)
    expect(told).toMatchObject({ place: 'origin', reason: 'model-prefers-origin' })
    expect(JSON.stringify(told)).not.toContain('example.com')
  })
})
