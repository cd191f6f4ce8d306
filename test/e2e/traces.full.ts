import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { freePort } from '../../src/cli/terminal/port.ts'
import { LISTENER, LISTENER_AUDIO, LISTENER_SIGNATURE, listenerModel } from '../fixtures/listener.ts'
import { type Collector, startCollector } from '../fixtures/node/collector.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { type OriginFolders, originFolders, PICTURE } from '../fixtures/node/origin-models.ts'
import { type OriginProcess, startOriginProcess } from '../fixtures/node/origin-process.ts'
import { publishAs } from '../fixtures/node/placed-worker.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'
import { pathsOf } from '../fixtures/traces.ts'

const OPERATOR = 'a-key-of-the-operator-0123456789'
const KEY = 'the key that Worker and origin share in this test'
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'

const ROOT_SPAN = 'POST /v2/models/:model/infer'
const askedFor = { authorization: `Bearer ${OPERATOR}`, traceparent: `00-${TRACE}-00f067aa0ba902b7-01` }

describe('traces of a Worker', () => {
  let collector: Collector
  let worker: LiveWorker

  beforeAll(async () => {
    collector = await startCollector()
    worker = await startLiveWorker({
      OTLP_ENDPOINT: collector.url,
      OTLP_HEADERS: 'authorization=Bearer%20of-the-collector',
      TRACE_SAMPLE_RATE: '0',
      VERGE_API_KEY: OPERATOR,
    })
    await publishAs(await writerFor(worker), await packFolder(join(ROOT, 'models/digits')), 'digits')
  })
  afterAll(async () => {
    await worker?.dispose()
    await collector?.close()
  })

  const infer = (headers: Record<string, string>) =>
    fetch(`${worker.url}/v2/models/digits/infer`, { method: 'POST', body: PICTURE, headers })

  it('show what a cold request has waited for', async () => {
    const answer = await infer(askedFor)
    expect(answer.status).toBe(200)
    await expect.poll(() => collector.spans.length).toBeGreaterThan(5)
    expect(collector.faults).toEqual([])
    expect(pathsOf(collector.spans).sort()).toEqual([
      ROOT_SPAN,
      `${ROOT_SPAN} > alias`,
      `${ROOT_SPAN} > alias > kv`,
      `${ROOT_SPAN} > authorize`,
      `${ROOT_SPAN} > load`,
      `${ROOT_SPAN} > load > kv`,
      `${ROOT_SPAN} > manifest`,
      `${ROOT_SPAN} > manifest > kv`,
      `${ROOT_SPAN} > run`,
      `${ROOT_SPAN} > run > queue`,
    ])
    expect(new Set(collector.spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]))
    expect(collector.headers[0]).toMatchObject({ authorization: 'Bearer of-the-collector' })
  })

  it('are of no stranger who asks for them, and hold nothing that callers wrote', async () => {
    const before = collector.headers.length
    for (let i = 0; i < 20; i++) {
      const answer = await infer({ traceparent: `00-${TRACE}-00f067aa0ba902b7-01` })
      expect([answer.status, answer.headers.has('traceresponse')]).toEqual([200, false])
    }
    const wrong = await infer({
      authorization: 'Bearer verge_sk_of-a-stranger',
      traceparent: `00-${TRACE}-00f067aa0ba902b7-01`,
    })
    expect(wrong.status).toBe(200)
    const asked = '5bf92f3577b34da6a3ce929d0e0e4736'
    await fetch(`${worker.url}/run/words-of-the-caller?q=words`, {
      method: 'POST',
      body: 'words',
      headers: {
        authorization: `Bearer ${OPERATOR}`,
        'user-agent': 'words',
        'x-request-id': 'words',
        traceparent: `00-${asked}-00f067aa0ba902b7-01`,
        tracestate: 'words=words',
      },
    })
    // What came before it would be in the same export.
    await expect.poll(() => collector.spans.filter(({ traceId }) => traceId === asked).length).toBeGreaterThan(1)
    expect(collector.headers).toHaveLength(before + 1)
    // What KV does not have is asked of R2.
    const unknown = pathsOf(collector.spans.filter(({ traceId }) => traceId === asked))
    expect(unknown).toEqual(expect.arrayContaining(['kv', 'r2'].map((layer) => `POST /run/:model > alias > ${layer}`)))
    const text = JSON.stringify(collector.spans)
    expect(text).not.toMatch(/words|verge_sk|of-a-stranger|of-the-collector/)
    expect(text).not.toContain(OPERATOR)
    expect(collector.faults).toEqual([])
  })

  it('show a text until its last token, however it is read', async () => {
    await publishAs(await writerFor(worker), await packFolder(join(ROOT, 'models/abacus')), 'abacus')
    const chat = (trace: string, body: object) =>
      fetch(`${worker.url}/v1/chat/completions`, {
        method: 'POST',
        body: JSON.stringify({ model: 'abacus', temperature: 0, ...body }),
        headers: { ...askedFor, 'content-type': 'application/json', traceparent: `00-${trace}-00f067aa0ba902b7-01` },
      })
    const messages = [{ role: 'user', content: 'What is 27 plus 58?' }]
    const [whole, streamed] = ['a'.repeat(32), 'b'.repeat(32)] as const
    const { usage } = (await (await chat(whole, { messages })).json()) as { usage: Record<string, number> }
    const events = await (await chat(streamed, { messages, stream: true })).text()
    expect(events).toContain('[DONE]')
    for (const trace of [whole, streamed]) {
      const spans = () => collector.spans.filter(({ traceId }) => traceId === trace)
      await expect.poll(() => pathsOf(spans())).toContain('POST /v1/chat/completions > run > queue')
      const run = spans().find(({ name }) => name === 'run')
      expect(run?.events.map(({ name }) => name)).toEqual(['first_token'])
      // One span, and not one for each token.
      expect(spans().filter(({ name }) => name === 'run')).toHaveLength(1)
      const request = spans().find(({ name }) => name === 'POST /v1/chat/completions')
      for (const span of [run, request]) {
        expect(span?.attributes).toMatchObject({
          'gen_ai.usage.input_tokens': usage.prompt_tokens,
          'gen_ai.usage.output_tokens': usage.completion_tokens,
        })
      }
    }
    expect(collector.faults).toEqual([])
  })

  it('show each message of a stream, linked to its opening', async () => {
    await publishModel(await writerFor(worker), 'listener', listenerModel(), LISTENER_SIGNATURE, {
      extra: { task: 'voice-activity-detection', audio: LISTENER_AUDIO },
    })
    const trace = 'c'.repeat(32)
    const headers = { ...askedFor, traceparent: `00-${trace}-00f067aa0ba902b7-01` }
    const socket = new WebSocket(`${worker.url.replace('http', 'ws')}/stream/listener`, { headers } as never)
    const closed = new Promise((resolve) => socket.addEventListener('close', ({ code }) => resolve(code)))
    socket.addEventListener('open', () => {
      socket.send(new Uint8Array(2 * LISTENER.length))
      socket.send('{"type": "end"}')
    })
    expect(await closed).toBe(1000)
    const linked = () => collector.spans.filter(({ links }) => links.some(({ traceId }) => traceId === trace))
    await expect.poll(() => linked().map(({ name }) => name)).toEqual(new Array(2).fill('message /stream/:model'))
    expect(pathsOf(collector.spans.filter(({ traceId }) => traceId === trace))).toContain('GET /stream/:model > alias')
    const [first] = linked()
    const spans = collector.spans.filter(({ traceId }) => traceId === first?.traceId)
    expect(pathsOf(spans)).toEqual(
      expect.arrayContaining(['authorize', 'alias', 'load', 'run'].map((part) => `message /stream/:model > ${part}`)),
    )
  })

  it('are counted, exported or not', async () => {
    const metrics = async () => {
      const answer = await fetch(`${worker.url}/metrics`, { headers: { authorization: `Bearer ${OPERATOR}` } })
      return answer.text()
    }
    await expect.poll(metrics).toMatch(/^verge_spans_total\{outcome="exported"\} [1-9]/m)
    expect(await metrics()).toMatch(/^verge_spans_total\{outcome="recorded"\} [1-9]/m)
  })

  it('delay no answer while the collector hangs', async () => {
    collector.hang()
    const before = collector.headers.length
    expect((await infer(askedFor)).status).toBe(200)
    await expect.poll(() => collector.headers.length).toBe(before + 1)
    // The export is under way, and nothing waits for it.
    expect((await Promise.all([infer(askedFor), infer(askedFor)])).map(({ status }) => status)).toEqual([200, 200])
  })
})

describe('a trace from the edge to an origin', () => {
  let collector: Collector
  let folders: OriginFolders
  let origin: OriginProcess
  let worker: LiveWorker

  beforeAll(async () => {
    collector = await startCollector()
    folders = await originFolders()
    origin = await startOriginProcess({
      from: folders.models,
      cache: join(folders.scratch, 'cache'),
      keys: [KEY],
      args: ['--models', 'digits'],
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_SERVICE_NAME: 'fra' },
    })
    const origins = [{ name: 'fra', url: origin.url, auth: { type: 'hmac', key: 'ORIGIN_KEY' } }]
    worker = await startLiveWorker({
      ORIGINS: JSON.stringify(origins),
      ORIGIN_KEY: KEY,
      OTLP_ENDPOINT: collector.url,
      TRACE_SAMPLE_RATE: '0',
      VERGE_API_KEY: OPERATOR,
    })
    await publishAs(await writerFor(worker), await packFolder(join(ROOT, 'models/digits')), 'digits')
  })
  afterAll(async () => {
    await worker?.dispose()
    await origin?.stop()
    await folders?.remove()
    await collector?.close()
  })

  const infer = (headers: Record<string, string>) =>
    fetch(`${worker.url}/v2/models/digits/infer`, {
      method: 'POST',
      body: PICTURE,
      headers: { ...headers, 'verge-place': 'origin' },
    })

  it('is one tree, with the wait and the run of the origin in it', async () => {
    const answer = await infer(askedFor)
    expect([answer.status, answer.headers.get('verge-placement')]).toEqual([200, expect.stringContaining('origin')])
    const spans = () => collector.spans.filter(({ traceId }) => traceId === TRACE)
    const servers = () => spans().filter(({ kind }) => kind === 2)
    await expect
      .poll(() =>
        servers()
          .map(({ resource }) => resource['service.name'])
          .sort(),
      )
      .toEqual(['fra', 'verge'])
    const at = `${ROOT_SPAN} > origin > POST /v2/models/:model/versions/:version/infer`
    expect(pathsOf(spans())).toEqual(
      expect.arrayContaining([ROOT_SPAN, `${ROOT_SPAN} > origin`, at, `${at} > run`, `${at} > run > queue`]),
    )
    expect(collector.faults).toEqual([])
    const run = spans().find(({ name }) => name === 'run')
    expect(BigInt(run?.endTimeUnixNano ?? 0) > BigInt(run?.startTimeUnixNano ?? 0)).toBe(true)
  })

  it('is shown by "verge traces"', async () => {
    const port = await freePort()
    const options = ['traces', '--port', String(port), '--count', '1']
    const shown = promisify(execFile)(process.execPath, [join(ROOT, 'scripts/verge.ts'), ...options])
    const send = () =>
      fetch(`http://127.0.0.1:${port}/v1/traces`, {
        method: 'POST',
        body: JSON.stringify(collector.exports[0]),
        headers: { 'content-type': 'application/json' },
      }).then(
        ({ status }) => status,
        () => undefined,
      )
    await expect.poll(send).toBe(200)
    const { stdout } = await shown
    expect(stdout).toContain(`trace ${TRACE}`)
    expect(stdout).toMatch(/authorize +\d+\.\d ms {2}caller=operator/)
  })
})
