import { describe, expect, it } from 'vitest'
import { type FromWorker, PROTOCOL, type ToWorker } from '../../../src/browser/messages.ts'
import { browserLimits } from '../../../src/browser/runtime/limits.ts'
import type { Runtime } from '../../../src/browser/runtime/runtime.ts'
import { WEIGHTS_LIMITS } from '../../../src/browser/weights/limits.ts'
import { tabLocks } from '../../../src/browser/weights/locks.ts'
import { memoryFiles } from '../../../src/browser/weights/memory.ts'
import { BrowserWeights } from '../../../src/browser/weights/weights.ts'
import { type Listeners, WorkerHost } from '../../../src/browser/worker/host.ts'
import { VergeError } from '../../../src/core/errors.ts'
import { systemClock } from '../../../src/core/runtime.ts'
import { WeightsServer } from '../../fixtures/node/weights-server.ts'

const PLAN = {
  model: 'm',
  version: '1',
  digest: 'd'.repeat(64),
  manifest: {
    schema: 1,
    model: 'm',
    version: '1',
    licence: 'MIT',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [1] }],
  },
  artifacts: [],
  files: {},
}
const DIGEST = PLAN.digest
const START = { protocol: PROTOCOL, base: 'https://verge.test' }

type Call = Exclude<ToWorker, { readonly call: 'cancel' }>
type Message<Name extends Call['call']> = Extract<Call, { readonly call: Name }>['takes']

function hosted(runtime: Partial<Runtime>) {
  const said: FromWorker[] = []
  const transferred: ArrayBuffer[] = []
  let now = 0
  let listeners: Listeners | undefined
  let onStop: (model: string) => void = () => {}
  const server = new WeightsServer()
  const host = new WorkerHost({
    post: (message, transfer) => {
      said.push(message)
      transferred.push(...transfer)
    },
    start: async ({ base }, given) => {
      listeners = given
      const weights = new BrowserWeights({
        base,
        credentials: given.credentials,
        fetch: server.fetch,
        files: memoryFiles(),
        locks: tabLocks(),
        clock: systemClock,
        random: () => 0,
        limits: WEIGHTS_LIMITS,
        quotaBytes: 1000,
        onEvent: given.onEvent,
        onBytes: (_, bytes) => given.onNetworkBytes(bytes),
      })
      weights.stop = ({ model, version }) => onStop(`${model}@${version}`)
      return { runtime: runtime as Runtime, weights }
    },
    clock: { now: () => now },
    limits: browserLimits(),
  })
  let id = 0
  const call = async <Name extends Call['call']>(name: Name, takes: Message<Name>): Promise<FromWorker | undefined> => {
    const mine = ++id
    await host.receive({ id: mine, call: name, takes } as ToWorker)
    return said.find((message) => 'id' in message && message.id === mine)
  }
  return {
    host,
    said,
    call,
    transferred,
    tell: () => listeners,
    onStop: (listener: (model: string) => void) => {
      onStop = listener
    },
    pass: (ms: number) => {
      now += ms
    },
    known: async () => {
      await call('start', START)
      await call('know', { plan: PLAN, pinned: false })
    },
  }
}

describe('WorkerHost', () => {
  it('runs requests as the route would, and says how the answer was made', async () => {
    const seen: unknown[] = []
    const info = { place: 'browser', engine: 'verge', artifact: 'a "b"', start: 'warm' } as const
    const { call, known, transferred } = hosted({
      runSent: async (plan, sent, options) => {
        seen.push([
          plan.manifest.model,
          new TextDecoder().decode(sent.bytes),
          sent.contentType,
          sent.query,
          options?.backend,
        ])
        const timings = { loadMs: 0, queueMs: 1.234, runMs: 5 }
        return { headers: { 'content-type': 'image/png' }, body: new Uint8Array([1, 2]), info: { ...info, timings } }
      },
    })
    await known()
    const request = {
      digest: DIGEST,
      route: 'run',
      contentType: 'text/plain',
      query: 'top_k=1&a=2&a=3',
      body: 'text',
    } as const
    expect(await call('ask', request)).toMatchObject({
      gives: {
        status: 200,
        headers: {
          'content-type': 'image/png',
          'verge-model': 'm@1',
          'verge-placement': 'browser;engine=verge;artifact="a ?b?";start=warm',
          'server-timing': 'queue;dur=1.23, run;dur=5',
        },
      },
    })
    expect(seen).toEqual([['m', 'text', 'text/plain', { top_k: ['1'], a: ['2', '3'] }, 'wasm']])
    expect(transferred.map(({ byteLength }) => byteLength)).toEqual([2])
  })

  it('refuses a plan that is not one, and models that were not announced', async () => {
    const { call, known } = hosted({})
    expect(await call('load', { digest: DIGEST })).toMatchObject({ failure: { code: 'internal' } })
    await call('start', START)
    for (const plan of [null, {}, { ...PLAN, artifacts: [{ sha256: '../../etc' }] }, { ...PLAN, digest: 'short' }]) {
      expect(await call('know', { plan, pinned: false })).toMatchObject({
        failure: { code: 'manifest_invalid', status: 500 },
      })
    }
    expect(await call('load', { digest: DIGEST })).toMatchObject({ failure: { code: 'internal' } })
    await known()
    expect(await call('know', { plan: PLAN, pinned: false })).toMatchObject({ gives: { digest: DIGEST } })
  })

  it('refuses a page of a release that it does not understand', async () => {
    const { call } = hosted({})
    expect(await call('start', { ...START, protocol: PROTOCOL + 1 })).toMatchObject({
      failure: { code: 'engine_unsupported', status: 501 },
    })
  })

  it('answers failures in the words of the server, and says nothing of defects', async () => {
    const failures = [
      new VergeError('run_too_large', 'Too large.', { details: { limit_elements: 5 } }),
      new VergeError('overloaded', 'Busy.', { retryAfter: 2 }),
      new RangeError('a stack, and a path'),
    ]
    const { call, known } = hosted({ load: async () => Promise.reject(failures.shift()) })
    await known()
    expect(await call('load', { digest: DIGEST })).toMatchObject({
      failure: { code: 'run_too_large', status: 413, message: 'Too large.', details: { limit_elements: 5 } },
    })
    expect(await call('load', { digest: DIGEST })).toMatchObject({ failure: { status: 429, retryAfter: 2 } })
    expect(await call('load', { digest: DIGEST })).toMatchObject({
      failure: { code: 'internal', message: expect.not.stringMatching(/stack/) },
    })
  })

  it('ends what is cancelled', async () => {
    const { call, host, known, said } = hosted({
      load: (_, options) =>
        new Promise((_resolve, reject) => {
          options?.signal?.addEventListener('abort', () => reject(new VergeError('cancelled', 'It was cancelled.')))
        }),
    })
    await known()
    const loading = call('load', { digest: DIGEST })
    await expect.poll(() => said.length).toBe(2)
    await host.receive({ id: 3, call: 'cancel' })
    expect(await loading).toMatchObject({ id: 3, failure: { code: 'cancelled' } })
  })

  it('ends the downloads of a version when the last call that needs it is cancelled, and not before', async () => {
    const stopped: string[] = []
    const loads: ((error: unknown) => void)[] = []
    const tools = hosted({
      load: (_, options) =>
        new Promise((_resolve, reject) => {
          loads.push(reject)
          options?.signal?.addEventListener('abort', () => reject(new VergeError('cancelled', 'The caller left.')))
        }),
    })
    tools.onStop((model) => stopped.push(model))
    await tools.known()
    const [first, second] = [tools.call('load', { digest: DIGEST }), tools.call('load', { digest: DIGEST })]
    await expect.poll(() => loads.length).toBe(2)
    await tools.host.receive({ id: 3, call: 'cancel' })
    await first
    expect(stopped).toEqual([])
    await tools.host.receive({ id: 4, call: 'cancel' })
    await second
    expect(stopped).toEqual(['m@1'])
    // A call that joined a load while it ended begins another.
    const third = tools.call('load', { digest: DIGEST })
    await expect.poll(() => loads.length).toBe(3)
    loads[2]?.(new VergeError('cancelled', 'No call waits for it.'))
    await expect.poll(() => loads.length).toBe(4)
    loads[3]?.(new VergeError('cancelled', 'No call waits for it.'))
    expect(await third).toMatchObject({ failure: { code: 'cancelled' } })
  })

  it('says how far a load is, as often as a page draws', async () => {
    const tools = hosted({
      load: async (_, options) => {
        for (let loadedBytes = 1; loadedBytes <= 100; loadedBytes++) {
          tools.pass(10)
          tools.tell()?.onNetworkBytes(2)
          options?.onProgress?.({ loadedBytes, totalBytes: 100 })
        }
      },
    })
    await tools.known()
    await tools.call('load', { digest: DIGEST })
    const progress = tools.said.filter((message) => 'event' in message)
    expect(progress).toHaveLength(21)
    expect(progress.at(-1)).toEqual({
      event: 'progress',
      digest: DIGEST,
      loadedBytes: 100,
      totalBytes: 100,
      networkBytes: 200,
    })
    tools.tell()?.onEvent({ type: 'damaged', model: 'm' })
    expect(tools.said.at(-1)).toEqual({ event: 'damaged', model: 'm' })
  })

  it('tells what is stored, and removes it', async () => {
    const { call, known } = hosted({ blobs: async () => [{ sha256: 'a'.repeat(64), bytes: 7, chunks: [] }] })
    await known()
    expect(await call('missing', { digest: DIGEST })).toMatchObject({ gives: { missingBytes: 7 } })
    expect(await call('clear', {})).toMatchObject({ gives: null })
    expect(await call('storage', null)).toMatchObject({
      gives: { kind: 'memory', usedBytes: 0, quotaBytes: 1000, models: [] },
    })
  })

  it('asks the page for each credential where they end, and says what there is none for', async () => {
    const { call, host, said, tell } = hosted({})
    await call('start', { ...START, asksForCredentials: true })
    const { credentials } = tell() ?? {}
    const first = credentials?.current()
    const second = credentials?.renewed('ended')
    const asked = said.filter((message) => 'event' in message)
    expect(asked).toEqual([
      { event: 'credential', wanted: 1 },
      { event: 'credential', wanted: 2, refused: 'ended' },
    ])
    // In another order than they were asked for.
    await host.receive({ id: 8, call: 'credential', takes: { wanted: 2, credential: 'newer' } })
    await host.receive({ id: 9, call: 'credential', takes: { wanted: 1, failure: 'The function gave none.' } })
    await expect(second).resolves.toBe('newer')
    await expect(first).rejects.toMatchObject({ code: 'unauthorized', message: 'The function gave none.' })
  })

  it('has a key that stays the same without asking', async () => {
    const { call, said, tell } = hosted({})
    await call('start', { ...START, key: 'fixed' })
    await expect(tell()?.credentials?.current()).resolves.toBe('fixed')
    await expect(tell()?.credentials?.renewed('fixed')).resolves.toBeUndefined()
    expect(said.filter((message) => 'event' in message)).toEqual([])
  })
})
