import { describe, expect, it } from 'vitest'
import { type BrowserClientOptions, type BrowserNotice, browserClient } from '../../../src/browser/client/client.ts'
import type { DeviceRefusal } from '../../../src/browser/client/decide.ts'
import { BROWSER_LIMITS } from '../../../src/browser/client/limits.ts'
import type { LocalRequest, ToWorker } from '../../../src/browser/messages.ts'
import type { AnswerInfo, FetchLike } from '../../../src/client/index.ts'
import { type FakeAnswer, FakeWebWorker } from '../../fixtures/fake-web-worker.ts'

const BASE = 'https://verge.test'
const HERE = [{ label: 'here', score: 1 }]
const THERE = [{ label: 'there', score: 1 }]

/** A page with a Worker at the edge and a web worker, each of which takes as long as it is told to. */
class Scene {
  now = 1_000_000
  readonly notices: BrowserNotice[] = []
  readonly infos: AnswerInfo[] = []
  /** Requests to the server, as `GET /browser/reviews`, and what each was authorized with. */
  readonly requests: string[] = []
  readonly credentials: (string | null)[] = []
  /** What the server accepts; anything if undefined. */
  accepted: string | undefined
  readonly bodies: unknown[] = []
  readonly workers: FakeWebWorker[] = []
  device: DeviceRefusal | undefined
  edgeMs = 80
  browserMs = 20
  offline = false
  /** Status and code that the edge refuses with. */
  refusal: readonly [number, string] | undefined
  missingBytes = 1_000
  /** Versions that are live; the first is the one that the server gives. */
  live = ['1']
  /** What `ask` fails with in the web worker. */
  failure: Error | undefined
  /** A digest that does not fail. */
  unless: string | undefined
  /** What the server refuses plans with. */
  planRefusal: readonly [number, string] | undefined
  /** What `load` fails with, once. */
  loadFailure: Error | undefined
  /** `ask` is never answered. */
  hangs = false
  /** Loads wait for it. */
  loading: Promise<void> = Promise.resolve()
  readonly asked: LocalRequest[] = []
  readonly client

  constructor(options: Partial<BrowserClientOptions> = {}) {
    this.client = browserClient(
      {
        url: `${BASE}/`,
        fetch: this.#fetch,
        retries: 0,
        clock: { now: () => this.now, after: this.#after },
        onNotice: (notice) => void this.notices.push(notice),
        ...options,
      },
      {
        script: async (base) => `${base}/worker.js`,
        spawn: () => {
          const worker = new FakeWebWorker((message) => this.#answer(message))
          this.workers.push(worker)
          return worker
        },
        notStarted: () => 'It did not start.',
        device: () => this.device,
        bytesPerSecond: () => 1e6,
        randomId: () => 'id',
      },
    )
  }

  /** Asks, and says where it was answered, and why. */
  async ask(options: object = {}, input = 'a text'): Promise<string> {
    const before = this.infos.length
    const answer = await this.client.classify('reviews', input, {
      onAnswer: (info) => void this.infos.push(info),
      ...options,
    })
    const { place, reason } = this.infos[before] ?? {}
    expect(answer).toEqual(place === 'browser' ? HERE : THERE)
    return `${place} ${reason}`
  }

  readonly #timers = new Set<{ readonly due: number; readonly callback: () => void }>()
  readonly #after = (ms: number, callback: () => void): (() => void) => {
    const timer = { due: this.now + ms, callback }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Lets time pass, with all that waits for it. */
  elapse(ms: number): void {
    this.now += ms
    for (const timer of this.#timers) {
      if (timer.due > this.now) continue
      this.#timers.delete(timer)
      timer.callback()
    }
  }

  /** Waits until nothing goes on in the background. */
  async settle(): Promise<void> {
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
  }

  calls(): string[] {
    return this.workers.flatMap(({ received }) => received.map(({ call }) => call))
  }

  readonly #fetch: FetchLike = async (url, init) => {
    const { pathname, search } = new URL(url)
    this.requests.push(`${init.method ?? 'GET'} ${pathname}${search}`)
    const credential = new Headers(init.headers).get('authorization')
    this.credentials.push(credential)
    if (this.offline) throw new TypeError('Failed to fetch')
    if (this.accepted !== undefined && credential !== `Bearer ${this.accepted}`) return error(401, 'unauthorized')
    if (pathname === '/browser/reviews') {
      if (this.planRefusal !== undefined) return error(...this.planRefusal)
      if (this.live.length === 0) return error(403, 'not_downloadable')
      const version = new URLSearchParams(search).get('version') ?? this.live[0] ?? ''
      if (!this.live.includes(version)) return error(404, 'version_not_found')
      return Response.json({ model: 'reviews', version, digest: `digest-${version}` })
    }
    this.now += this.edgeMs
    this.bodies.push(init.body)
    if (this.refusal !== undefined) return error(...this.refusal)
    const headers = {
      'verge-model': `reviews@${this.live[0]}`,
      'verge-placement': 'edge;artifact="verge-q8";start=warm;reason=only-place',
    }
    return Response.json(THERE, { headers })
  }

  async #answer(message: ToWorker): Promise<FakeAnswer> {
    if (message.call === 'missing') return { missingBytes: this.missingBytes }
    if (message.call === 'load') {
      await this.loading
      const failure = this.loadFailure
      this.loadFailure = undefined
      return failure ?? null
    }
    if (message.call !== 'ask') return null
    this.asked.push(message.takes)
    if (this.hangs) return undefined
    this.now += this.browserMs
    if (this.failure !== undefined && message.takes.digest !== this.unless) return this.failure
    const version = message.takes.digest.replace('digest-', '')
    const placement = 'browser;engine=verge;artifact="verge-q8";start=warm'
    const headers = {
      'content-type': 'application/json',
      'verge-placement': placement,
      'verge-model': `reviews@${version}`,
    }
    return { status: 200, headers, body: JSON.stringify(HERE) }
  }
}

/** A model has answered at the edge, and is loaded in the browser. */
async function loadedScene(): Promise<Scene> {
  const scene = new Scene()
  await scene.ask()
  await scene.settle()
  return scene
}

function error(status: number, code: string): Response {
  return Response.json({ error: { code, message: `Refused: ${code}.` } }, { status })
}

function failing(code: string): Error {
  return Object.assign(new Error(`Failed: ${code}.`), { code })
}

describe('a client with auto', () => {
  it('is answered by the edge first, downloads after that, and goes on here', async () => {
    const scene = new Scene()
    expect(await scene.ask()).toBe('edge weights-loading')
    expect(scene.requests[0]).toBe('POST /run/reviews')
    await scene.settle()
    expect(scene.calls()).toEqual(['start', 'know', 'missing', 'load'])
    // The first run after loading does not count.
    expect(await scene.ask()).toBe('browser not-measured')
    expect(await scene.ask()).toBe('browser not-measured')
    expect(await scene.ask()).toBe('browser faster-here')
    expect(scene.infos.map(({ artifact, engine, model, ms }) => [artifact, engine, model, ms])).toEqual([
      ['verge-q8', undefined, 'reviews@1', 80],
      ['verge-q8', 'verge', 'reviews@1', 20],
      ['verge-q8', 'verge', 'reviews@1', 20],
      ['verge-q8', 'verge', 'reviews@1', 20],
    ])
    expect(scene.requests).toEqual(['POST /run/reviews', 'GET /browser/reviews'])
    expect(scene.notices).toEqual([])
  })

  it.each(['save-data', 'slow-network', 'little-memory'] as const)('downloads nothing for: %s', async (device) => {
    const scene = new Scene()
    scene.device = device
    for (let i = 0; i < 3; i++) expect(await scene.ask()).toBe(`edge ${device}`)
    await scene.settle()
    expect(scene.workers).toEqual([])
    expect(new Set(scene.requests)).toEqual(new Set(['POST /run/reviews']))
  })

  it('downloads no large model until it is told to', async () => {
    const scene = new Scene()
    scene.missingBytes = BROWSER_LIMITS.backgroundBytes + 1
    await scene.ask()
    await scene.settle()
    expect(await scene.ask()).toBe('edge download-too-large')
    await scene.settle()
    expect(scene.calls()).not.toContain('load')
    await scene.client.prepare('reviews')
    expect(await scene.ask()).toBe('browser not-measured')
  })

  it('does not download a large model again that was lost with its web worker', async () => {
    const scene = new Scene()
    scene.missingBytes = BROWSER_LIMITS.backgroundBytes + 1
    await scene.client.prepare('reviews')
    scene.workers[0]?.onerror?.({})
    await scene.settle()
    expect(await scene.ask()).toBe('edge weights-loading')
    await scene.settle()
    expect(await scene.ask()).toBe('edge download-too-large')
    await scene.settle()
    expect(scene.calls().filter((call) => call === 'load')).toHaveLength(1)
  })

  it('asks again how much there is to download after a page has removed it', async () => {
    const scene = new Scene()
    scene.loadFailure = failing('weights_unavailable')
    await scene.ask()
    await scene.settle()
    scene.missingBytes = BROWSER_LIMITS.backgroundBytes + 1
    await scene.client.clear('reviews')
    scene.now += BROWSER_LIMITS.failureMs
    await scene.ask()
    await scene.settle()
    expect(await scene.ask()).toBe('edge download-too-large')
  })

  it('goes to the faster place, and looks again later', async () => {
    const scene = new Scene()
    scene.browserMs = 300
    await scene.ask()
    await scene.settle()
    await scene.ask()
    expect(await scene.ask()).toBe('browser not-measured')
    expect(await scene.ask()).toBe('edge faster-at-edge')
    scene.browserMs = 10
    scene.now += BROWSER_LIMITS.measureAgainMs
    expect(await scene.ask()).toBe('browser measured-again')
    scene.now += BROWSER_LIMITS.measureAgainMs
    await scene.ask()
    expect(await scene.ask()).toBe('browser faster-here')
  })

  it.each([
    'engine_aborted',
    'engine_full',
    'engine_unsupported',
    'model_too_large',
    'weights_unavailable',
    'weights_corrupt',
    'internal',
  ])('moves to the edge without a word to the caller: %s', async (code) => {
    const scene = await loadedScene()
    scene.failure = failing(code)
    expect(await scene.ask()).toBe('edge failed-here')
    expect(scene.notices).toEqual([{ type: 'moved', model: 'reviews', code, reason: `Failed: ${code}.` }])
    expect(scene.infos.at(-1)?.failure).toBe(code)
    scene.failure = undefined
    expect(await scene.ask()).toBe('edge failed-here')
    expect(scene.infos.at(-1)?.failure).toBe(code)
    scene.now += BROWSER_LIMITS.lastingFailureMs
    await scene.ask()
    await scene.settle()
    expect(await scene.ask()).toMatch(/^browser/)
  })

  it('stays at the edge where the server gives no weights, and says so', async () => {
    const scene = new Scene()
    scene.live = []
    await scene.ask()
    await scene.settle()
    expect(await scene.ask()).toBe('edge failed-here')
    expect(scene.infos.at(-1)?.failure).toBe('not_downloadable')
    expect(scene.calls()).not.toContain('load')
  })

  it('counts a first run that takes longer than anyone would wait for twice', async () => {
    const scene = new Scene()
    scene.browserMs = BROWSER_LIMITS.firstRunMs + 1
    await scene.ask()
    await scene.settle()
    expect(await scene.ask()).toBe('browser not-measured')
    expect(await scene.ask()).toBe('edge faster-at-edge')
  })

  it('moves one request that is too large for the device, and no other', async () => {
    const scene = await loadedScene()
    scene.failure = failing('run_too_large')
    expect(await scene.ask()).toBe('edge failed-here')
    scene.failure = undefined
    expect(await scene.ask()).toMatch(/^browser/)
  })

  it('asks the edge where an engine here refuses the inputs: a graphics processor has limits of its own', async () => {
    const scene = new Scene()
    await scene.client.prepare('reviews')
    scene.failure = failing('run_rejected')
    expect(await scene.ask()).toBe('edge failed-here')
    scene.refusal = [422, 'run_rejected']
    await expect(scene.ask()).rejects.toMatchObject({ code: 'run_rejected', status: 422 })
    scene.failure = undefined
    expect(await scene.ask()).toBe('browser not-measured')
  })

  it('tells the caller what is wrong with the request, and asks the edge nothing', async () => {
    const scene = await loadedScene()
    scene.failure = failing('invalid_request')
    const before = scene.requests.length
    await expect(scene.ask()).rejects.toMatchObject({ code: 'invalid_request', message: 'Failed: invalid_request.' })
    expect(scene.requests).toHaveLength(before)
    expect(scene.notices).toEqual([])
  })

  it('moves to the edge when the web worker ends in the middle of a run, and starts another later', async () => {
    const scene = await loadedScene()
    scene.failure = failing('internal')
    const asking = scene.ask()
    scene.workers[0]?.onerror?.({})
    expect(await asking).toBe('edge failed-here')
    scene.failure = undefined
    scene.now += BROWSER_LIMITS.failureMs
    await scene.ask()
    await scene.settle()
    expect(await scene.ask()).toMatch(/^browser/)
    expect(scene.workers).toHaveLength(2)
  })

  it.each<[string, (scene: Scene) => Scene]>([
    ['without a network', (scene) => Object.assign(scene, { offline: true })],
    ['where the edge is full', (scene) => Object.assign(scene, { refusal: [503, 'engine_full'] })],
    ['where the edge is overloaded', (scene) => Object.assign(scene, { refusal: [429, 'overloaded'] })],
  ])('is answered here %s', async (_, spoil) => {
    const scene = new Scene()
    scene.browserMs = 300
    await scene.ask()
    await scene.settle()
    await scene.ask()
    await scene.ask()
    expect(await scene.ask()).toBe('edge faster-at-edge')
    spoil(scene)
    expect(await scene.ask()).toBe('browser edge-unreachable')
  })

  it('sends what comes together to the edge, too, once it is known how long one run takes', async () => {
    const scene = new Scene()
    scene.browserMs = 90
    scene.edgeMs = 200
    await scene.ask()
    await scene.settle()
    const places = async (count: number) => {
      const asked = Array.from({ length: count }, () => scene.ask())
      return (await Promise.all(asked)).map((one) => one.split(' ')[0])
    }
    expect(await places(4)).toEqual(['browser', 'browser', 'browser', 'browser'])
    expect(await places(4)).toContain('edge')
  })

  it.each([
    [429, 'overloaded'],
    [503, 'store_unavailable'],
    [500, 'internal'],
  ] as const)('goes on with an old plan while the server cannot confirm it: %s %s', async (...refusal) => {
    const scene = new Scene()
    await scene.client.prepare('reviews')
    scene.planRefusal = refusal
    scene.refusal = refusal
    scene.now += BROWSER_LIMITS.planStaleMs
    expect(await scene.ask()).toBe('browser not-measured')
  })

  it('does not go on with an old plan that the server takes back', async () => {
    const scene = new Scene()
    await scene.client.prepare('reviews')
    scene.planRefusal = [403, 'not_downloadable']
    scene.now += BROWSER_LIMITS.planStaleMs
    expect(await scene.ask()).toBe('edge failed-here')
  })

  it('does not wait again for a device that has not answered in half of the time', async () => {
    const scene = new Scene({ timeoutMs: 10_000 })
    await scene.client.prepare('reviews')
    scene.hangs = true
    const asking = scene.ask()
    await scene.settle()
    scene.elapse(5_000)
    expect(await asking).toBe('edge failed-here')
    expect(scene.notices).toMatchObject([{ type: 'moved', code: 'deadline_exceeded' }])
    expect(await scene.ask()).toBe('edge failed-here')
    scene.hangs = false
    scene.now += BROWSER_LIMITS.failureMs
    expect(await scene.ask()).toBe('browser not-measured')
  })

  it('runs here after a page has prepared a model that had failed here', async () => {
    const scene = new Scene()
    scene.loadFailure = failing('engine_unsupported')
    await scene.ask()
    await scene.settle()
    expect(await scene.ask()).toBe('edge failed-here')
    await scene.client.prepare('reviews')
    expect(await scene.ask()).toBe('browser not-measured')
  })

  it('remembers nothing longer because the clock of the device was set back', async () => {
    const scene = new Scene()
    await scene.client.prepare('reviews')
    scene.failure = failing('engine_aborted')
    expect(await scene.ask()).toBe('edge failed-here')
    scene.failure = undefined
    scene.now -= 3_600_000
    expect(await scene.ask()).toBe('browser not-measured')
    scene.live = ['2']
    scene.now -= 3_600_000
    await scene.ask()
    await scene.settle()
    await scene.ask()
    expect(scene.infos.at(-1)?.model).toBe('reviews@2')
  })

  it('does not answer here what the edge refuses', async () => {
    const scene = new Scene()
    scene.browserMs = 300
    await scene.ask()
    await scene.settle()
    await scene.ask()
    await scene.ask()
    scene.refusal = [400, 'invalid_request']
    await expect(scene.ask()).rejects.toMatchObject({ code: 'invalid_request', status: 400 })
  })

  it('fails with what the edge said where neither answers', async () => {
    const scene = new Scene()
    scene.offline = true
    await expect(scene.ask()).rejects.toMatchObject({ code: 'network_error' })
    await scene.settle()
    scene.offline = false
    scene.now += BROWSER_LIMITS.failureMs
    await scene.ask()
    await scene.settle()
    await scene.ask()
    await scene.ask()
    scene.offline = true
    scene.failure = failing('engine_aborted')
    await expect(scene.ask()).rejects.toMatchObject({ code: 'network_error' })
  })

  it('answers with a version that was released, from the edge until it is here', async () => {
    const scene = await loadedScene()
    await scene.ask()
    await scene.ask()
    scene.live = ['2']
    let loaded = (): void => {}
    scene.loading = new Promise((resolve) => {
      loaded = resolve
    })
    scene.missingBytes = 1_000_000
    scene.now += BROWSER_LIMITS.planFreshMs
    expect(await scene.ask()).toBe('browser faster-here')
    await scene.settle()
    expect(await scene.ask()).toBe('edge weights-loading')
    expect(scene.infos.at(-1)?.model).toBe('reviews@2')
    await scene.settle()
    expect(await scene.ask()).toBe('edge weights-loading')
    loaded()
    await scene.settle()
    expect(await scene.ask()).toBe('browser faster-here')
    expect(scene.infos.at(-1)?.model).toBe('reviews@2')
    expect(scene.asked.map(({ digest }) => digest)).toEqual(['digest-1', 'digest-1', 'digest-1', 'digest-2'])
  })

  it('waits for weights that come sooner than an answer of the edge, and no longer than twice that time', async () => {
    const scene = await loadedScene()
    await scene.ask()
    await scene.ask()
    scene.loading = new Promise(() => {})
    scene.live = ['2']
    scene.now += BROWSER_LIMITS.planFreshMs
    await scene.ask()
    await scene.settle()
    await scene.ask()
    await scene.ask()
    await scene.settle()
    let place = ''
    const asking = scene.ask().then((one) => {
      place = one
    })
    await scene.settle()
    scene.elapse(159)
    await scene.settle()
    expect(place).toBe('')
    scene.elapse(1)
    await asking
    expect(place).toBe('edge failed-here')
    expect(scene.notices).toMatchObject([{ type: 'moved', code: 'deadline_exceeded' }])
  })

  it('keeps a version that is one of several live ones', async () => {
    const scene = await loadedScene()
    await scene.ask()
    await scene.ask()
    scene.live = ['2', '1']
    scene.now += BROWSER_LIMITS.planFreshMs
    await scene.ask()
    await scene.settle()
    expect(await scene.ask()).toBe('browser faster-here')
    expect(scene.infos.at(-1)?.model).toBe('reviews@1')
  })

  it('asks for the plan again when the edge answers with another version, but not each time', async () => {
    const scene = new Scene()
    scene.missingBytes = BROWSER_LIMITS.backgroundBytes + 1
    await scene.ask()
    await scene.settle()
    scene.live = ['2']
    const plans = () => scene.requests.filter((request) => request.startsWith('GET')).length
    const before = plans()
    await scene.ask()
    await scene.settle()
    expect(plans()).toBe(before)
    scene.now += BROWSER_LIMITS.planRestMs
    await scene.ask()
    await scene.settle()
    expect(plans()).toBeGreaterThan(before)
  })

  it('does not answer from an old plan before the server has confirmed it', async () => {
    const scene = new Scene()
    await scene.client.prepare('reviews')
    scene.live = ['2']
    scene.now += BROWSER_LIMITS.planStaleMs
    await scene.ask()
    await scene.settle()
    await scene.ask()
    await scene.ask()
    expect(new Set(scene.infos.map(({ model }) => model))).toEqual(new Set(['reviews@2']))
  })

  it('leaves to the caller what it sent, and sends a stream to the edge after it failed here', async () => {
    const scene = await loadedScene()
    const bytes = new Uint8Array([1, 2, 3])
    await scene.client.classify('reviews', bytes.buffer)
    expect([...bytes]).toEqual([1, 2, 3])
    scene.failure = failing('engine_aborted')
    const stream = new Blob([bytes]).stream() as ReadableStream<Uint8Array>
    expect(await scene.client.classify('reviews', stream)).toEqual(THERE)
    expect(scene.bodies.at(-1)).toEqual(bytes)
    const long = new Blob([new Uint8Array(BROWSER_LIMITS.requestBodyBytes + 1)]).stream() as ReadableStream<Uint8Array>
    await expect(scene.client.classify('reviews', long)).rejects.toMatchObject({ code: 'body_too_large' })
  })

  it('ends the reading of a stream with the call', async () => {
    const scene = new Scene({ timeoutMs: 10_000 })
    const ended: unknown[] = []
    const stalled = () =>
      new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new Uint8Array(3)),
        cancel: (reason) => void ended.push(reason),
      })
    const leaving = new AbortController()
    const left = scene.client.classify('reviews', stalled(), { signal: leaving.signal })
    await scene.settle()
    leaving.abort()
    await expect(left).rejects.toMatchObject({ code: 'cancelled' })
    const late = scene.client.classify('reviews', stalled())
    await scene.settle()
    scene.elapse(10_000)
    await expect(late).rejects.toMatchObject({ code: 'deadline_exceeded' })
    expect(ended).toHaveLength(2)
    const broken = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error('The disk.')) })
    await expect(scene.client.classify('reviews', broken)).rejects.toMatchObject({ code: 'network_error' })
    expect(scene.requests).toEqual([])
  })

  it('ends with the signal of the call, here as at the edge', async () => {
    const scene = await loadedScene()
    scene.loading = new Promise(() => {})
    scene.live = ['2']
    const leaving = new AbortController()
    const preparing = scene.client.prepare('reviews', { version: '2', signal: leaving.signal })
    await scene.settle()
    leaving.abort()
    await expect(preparing).rejects.toMatchObject({ code: 'cancelled' })
    expect(scene.calls().at(-1)).toBe('cancel')
    const before = scene.requests.length
    await expect(scene.ask({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' })
    expect(scene.requests).toHaveLength(before)
  })
})

describe('a client with a place', () => {
  it('runs everything here with browser, and fails with the failure', async () => {
    const scene = new Scene({ placement: 'browser' })
    expect(await scene.ask()).toBe('browser asked-for')
    scene.failure = failing('engine_full')
    await expect(scene.ask()).rejects.toMatchObject({ code: 'engine_full' })
    expect(scene.requests).toEqual(['GET /browser/reviews'])
  })

  it('downloads nothing with edge, and each call may ask for another place', async () => {
    const scene = new Scene({ placement: 'edge' })
    expect(await scene.ask()).toBe('edge asked-for')
    expect(scene.workers).toEqual([])
    expect(await scene.ask({ place: 'browser' })).toBe('browser asked-for')
    expect(await scene.ask({ place: 'edge' })).toBe('edge asked-for')
  })

  it('asks for a version by name, and keeps it apart from the live one', async () => {
    const scene = new Scene({ placement: 'browser' })
    scene.live = ['2', '1']
    await scene.ask({ version: '1' })
    await scene.ask()
    expect(scene.infos.map(({ model }) => model)).toEqual(['reviews@1', 'reviews@2'])
    expect(scene.requests).toEqual(['GET /browser/reviews?version=1', 'GET /browser/reviews'])
    const known = scene.workers[0]?.received.filter(({ call }) => call === 'know')
    expect(known?.map((message) => 'takes' in message && message.takes)).toMatchObject([
      { pinned: true },
      { pinned: false },
    ])
  })

  it('loads the version that was released during the download of an earlier one', async () => {
    const scene = new Scene({ placement: 'browser' })
    let goOn = (): void => {}
    scene.loading = new Promise((resolve) => {
      goOn = resolve
    })
    const asking = scene.ask()
    await scene.settle()
    scene.live = ['2']
    scene.loadFailure = failing('not_found')
    goOn()
    expect(await asking).toBe('browser asked-for')
    expect(scene.asked.map(({ digest }) => digest)).toEqual(['digest-2'])
  })

  it('answers by the version that was released while a run needs more of an earlier one', async () => {
    const scene = new Scene({ placement: 'browser' })
    await scene.ask()
    scene.live = ['2']
    scene.failure = failing('not_found')
    scene.unless = 'digest-2'
    const bytes = new Uint8Array([1, 2, 3])
    await scene.client.classify('reviews', bytes)
    expect(scene.asked.map(({ digest }) => digest)).toEqual(['digest-1', 'digest-1', 'digest-2'])
    expect(scene.asked.at(-1)?.body).toEqual(bytes)
  })

  it('says what is missing where no other version was released', async () => {
    const scene = new Scene({ placement: 'browser' })
    await scene.ask()
    scene.failure = failing('not_found')
    await expect(scene.ask()).rejects.toMatchObject({ code: 'not_found' })
  })

  it('needs the whole address of a web worker', () => {
    expect(() => new Scene({ workerUrl: '/assets/worker.js' })).toThrow(/"workerUrl" must be absolute/)
    expect(() => new Scene({ workerUrl: new URL('/worker.js', BASE) })).not.toThrow()
  })

  it('ends its web worker with the page', async () => {
    const scene = new Scene({ placement: 'browser' })
    await scene.ask()
    scene.client.dispose()
    await scene.settle()
    expect(scene.workers[0]?.terminated).toBe(true)
    await expect(scene.ask()).rejects.toMatchObject({ code: 'cancelled' })
  })

  it('tells how far a download is, and what happened to what is stored', async () => {
    const progress: object[] = []
    const scene = new Scene({ placement: 'browser', onProgress: (one) => void progress.push(one) })
    await scene.ask()
    const said = { digest: 'digest-1', loadedBytes: 5, totalBytes: 10, networkBytes: 5 }
    scene.workers[0]?.say({ event: 'progress', ...said })
    scene.workers[0]?.say({ event: 'progress', ...said, digest: 'of another page' })
    scene.workers[0]?.say({ event: 'not-kept', model: 'reviews', reason: 'No room.' })
    expect(progress).toEqual([{ model: 'reviews', version: '1', loadedBytes: 5, totalBytes: 10 }])
    expect(scene.notices).toEqual([{ type: 'not-kept', model: 'reviews', reason: 'No room.' }])
  })

  it('has one token for the page and its web worker, which asks for it', async () => {
    const tokens = ['first', 'second', 'third']
    const scene = new Scene({ placement: 'browser', token: async () => tokens.shift() ?? '' })
    scene.accepted = 'first'
    await scene.ask()
    const [worker] = scene.workers
    expect(worker?.received[0]).toMatchObject({ call: 'start', takes: { asksForCredentials: true } })
    expect(JSON.stringify(worker?.received[0])).not.toContain('first')
    worker?.say({ event: 'credential', wanted: 1 })
    worker?.say({ event: 'credential', wanted: 2, refused: 'first' })
    await scene.settle()
    const given = worker?.received.flatMap((message) => (message.call === 'credential' ? [message.takes] : []))
    expect(given).toEqual([
      { wanted: 1, credential: 'first' },
      { wanted: 2, credential: 'second' },
    ])
    expect(scene.notices).toEqual([])
  })

  it('asks for a plan again with a newer token', async () => {
    const tokens = ['ended', 'newer']
    const scene = new Scene({ placement: 'browser', token: async () => tokens.shift() ?? '' })
    scene.accepted = 'newer'
    await scene.ask()
    expect(scene.requests).toEqual(['GET /browser/reviews', 'GET /browser/reviews'])
    expect(scene.credentials).toEqual(['Bearer ended', 'Bearer newer'])
  })

  it('tells its web worker why there is no token', async () => {
    let calls = 0
    const token = async (): Promise<string> => (++calls === 1 ? 'first' : Promise.reject(new Error('no network')))
    const scene = new Scene({ placement: 'browser', token })
    await scene.ask()
    scene.workers[0]?.say({ event: 'credential', wanted: 1, refused: 'first' })
    await scene.settle()
    expect(scene.workers[0]?.received.at(-1)).toMatchObject({
      call: 'credential',
      takes: { wanted: 1, failure: expect.stringMatching(/function "token"/) },
    })
  })
})
