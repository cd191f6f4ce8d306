import { once } from 'node:events'
import { createServer } from 'node:net'
import OpenAI from 'openai'
import { afterAll, describe, expect, it } from 'vitest'
import type { Manifest } from '../../../src/catalog/manifest.ts'
import { VergeError } from '../../../src/core/errors.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { systemClock } from '../../../src/core/runtime.ts'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import { type Origin, OriginFault, type OriginRequest } from '../../../src/placement/origin.ts'
import { bearerAuth, noAuth } from '../../../src/placement/remote/auth.ts'
import { exchange } from '../../../src/placement/remote/exchange.ts'
import { exchangeOip, inferRemote } from '../../../src/placement/remote/oip.ts'
import { probeOrigin } from '../../../src/placement/remote/probe.ts'
import { exchangeOpenAi } from '../../../src/placement/remote/send.ts'
import { JSON_LENGTH_HEADER } from '../../../src/protocols/oip/headers.ts'
import type { StandIn } from '../../fixtures/node/origin-stand-in.ts'
import { startTei, vectorOf } from '../../fixtures/node/tei-stand-in.ts'
import { startTriton, type TritonModel, type TritonOptions } from '../../fixtures/node/triton-stand-in.ts'
import { startVllm, type VllmOptions } from '../../fixtures/node/vllm-stand-in.ts'

const deps = { clock: systemClock, limits: LIMITS }
const open: StandIn[] = []
afterAll(() => Promise.all(open.map((server) => server.close())))

function keep<T extends StandIn>(server: T): T {
  open.push(server)
  return server
}

function originAt(url: string, kind: Origin['kind'], more: Partial<Origin> = {}): Origin {
  return {
    name: 'there',
    kind,
    url,
    weight: 1,
    timeouts: { headersMs: 5_000, idleMs: 5_000, totalMs: 20_000 },
    auth: noAuth(),
    fetch: (request) => fetch(request),
    ...more,
  }
}

function ask(path: string, value: unknown, more: Partial<OriginRequest> = {}): OriginRequest {
  return {
    method: 'POST',
    path,
    headers: new Headers({ 'content-type': 'application/json' }),
    body: new TextEncoder().encode(JSON.stringify(value)).slice(),
    requestId: 'r',
    caller: '',
    signal: new AbortController().signal,
    ...more,
  }
}

const call = { requestId: 'r', caller: '', signal: new AbortController().signal }

/** Each row of `x` summed, in FP32; the texts backwards. */
const rows: TritonModel = {
  inputs: [
    { name: 'x', datatype: 'FP32', shape: [-1, 3] },
    { name: 'ids', datatype: 'INT64', shape: [-1] },
    { name: 'texts', datatype: 'BYTES', shape: [-1] },
  ],
  outputs: [
    { name: 'sums', datatype: 'FP32', shape: [-1] },
    { name: 'next', datatype: 'INT64', shape: [-1] },
    { name: 'backwards', datatype: 'BYTES', shape: [-1] },
  ],
  compute(inputs) {
    const x = inputs.get('x')
    const ids = inputs.get('ids')
    const texts = inputs.get('texts')
    if (x === undefined || ids === undefined || texts === undefined) throw new Error('expected 3 inputs')
    const sums = Buffer.alloc(x.bytes.length / 3)
    for (let row = 0; row < sums.length / 4; row++) {
      const sum = [0, 1, 2].reduce((total, i) => total + x.bytes.readFloatLE((row * 3 + i) * 4), 0)
      if (Number.isNaN(sum)) throw new Error('not a number in /workspace/src/model.cc:12')
      sums.writeFloatLE(sum, row * 4)
    }
    const next = Buffer.alloc(ids.bytes.length)
    for (let at = 0; at < next.length; at += 8) next.writeBigInt64LE(ids.bytes.readBigInt64LE(at) + 1n, at)
    const backwards: Buffer[] = []
    for (let at = 0; at < texts.bytes.length; ) {
      const length = texts.bytes.readUInt32LE(at)
      const text = [...texts.bytes.toString('utf8', at + 4, at + 4 + length)].reverse().join('')
      backwards.push(texts.bytes.subarray(at, at + 4), Buffer.from(text))
      at += 4 + length
    }
    return new Map([
      ['sums', { datatype: 'FP32', shape: [sums.length / 4], bytes: sums }],
      ['next', { datatype: 'INT64', shape: [next.length / 8], bytes: next }],
      ['backwards', { datatype: 'BYTES', shape: texts.shape, bytes: Buffer.concat(backwards) }],
    ])
  },
}

const manifest = {
  model: 'sums',
  version: '2026-01',
  inputs: [],
  outputs: [
    { name: 'sums', datatype: 'FP32', shape: ['batch'] },
    { name: 'next', datatype: 'INT64', shape: ['batch'] },
    { name: 'backwards', datatype: 'BYTES', shape: [-1] },
  ],
  schema: 1,
  artifacts: [],
} satisfies Manifest

const inputs = new Map<string, Tensor>([
  ['x', tensor('FP32', [2, 3], Float32Array.of(1, 2, 3, 0.25, -8, 0.5))],
  ['ids', tensor('INT64', [1], BigInt64Array.of(41n))],
  ['texts', tensor('BYTES', [2], ['abc', 'größe'])],
])

const triton = async (options: TritonOptions = {}) => keep(await startTriton({ 'rows/v2': rows }, options))

describe('Triton', () => {
  it.each([true, false])('runs a model on tensors, with the binary extension: %s', async (binary) => {
    const kept = { ...deps, binaryOrigins: new Map<string, boolean>() }
    const server = await triton({ binary })
    const origin = originAt(server.url, 'oip')
    const outputs = await inferRemote(
      origin,
      { model: 'rows/v2', version: undefined, manifest, inputs, outputs: undefined },
      call,
      kept,
    )
    expect([...outputs.keys()]).toEqual(['sums', 'next', 'backwards'])
    expect(outputs.get('sums')).toEqual(tensor('FP32', [2], Float32Array.of(6, -7.25)))
    expect(outputs.get('next')).toEqual(tensor('INT64', [1], BigInt64Array.of(42n)))
    expect(outputs.get('backwards')).toEqual(tensor('BYTES', [2], ['cba', 'eßörg']))

    const one = await inferRemote(
      origin,
      { model: 'rows/v2', version: '1', manifest, inputs, outputs: ['next'] },
      call,
      kept,
    )
    expect([...one.keys()]).toEqual(['next'])
    expect(server.asked.map(({ path }) => path)).toEqual([
      '/v2',
      '/v2/models/rows%2Fv2/infer',
      '/v2/models/rows%2Fv2/versions/1/infer',
    ])
    expect(JSON_LENGTH_HEADER in (server.asked[1]?.headers ?? {})).toBe(binary)
  })

  it('says of inputs that are wrong no more than that they are', async () => {
    const origin = originAt((await triton()).url, 'oip')
    const wrong = new Map(inputs).set('x', tensor('FP32', [1, 3], Float32Array.of(1, Number.NaN, 2)))
    const refused = inferRemote(
      origin,
      { model: 'rows/v2', version: undefined, manifest, inputs: wrong, outputs: undefined },
      call,
      deps,
    )
    await expect(refused).rejects.toSatisfy(
      (error) => error instanceof VergeError && error.code === 'run_rejected' && !error.message.includes('workspace'),
    )
  })

  it('that lacks the model, or has no room, is asked no more', async () => {
    let full = false
    const origin = originAt((await triton({ full: () => full })).url, 'oip')
    const run = (model: string) =>
      inferRemote(origin, { model, version: undefined, manifest, inputs, outputs: undefined }, call, deps)
    await expect(run('other')).rejects.toMatchObject({ kind: 'unable' })
    full = true
    await expect(run('rows/v2')).rejects.toMatchObject({ kind: 'overloaded' })
  })

  it('answers a request of the protocol under our names, in JSON and in binary', async () => {
    const origin = originAt((await triton()).url, 'oip')
    const names = { ours: 'sums', theirs: 'rows/v2', version: '2026-01' }
    const request = (binary: boolean) =>
      ask('/v2/models/sums/versions/2026-01/infer', {
        id: 'model_name',
        inputs: [
          { name: 'x', datatype: 'FP32', shape: [1, 3], data: [1, 2, 4] },
          { name: 'ids', datatype: 'INT64', shape: [1], data: [1] },
          { name: 'texts', datatype: 'BYTES', shape: [1], data: ['"model_name":"x"'] },
        ],
        outputs: [{ name: 'backwards' }, { name: 'sums', parameters: { binary_data: binary } }],
      })
    const plain = (await (await exchangeOip(origin, request(false), names, deps)).json()) as Record<string, unknown>
    expect(plain).toMatchObject({ id: 'model_name', model_name: 'sums', model_version: '2026-01' })
    expect(plain.outputs).toMatchObject([{ data: ['"x":"eman_ledom"'] }, { data: [7] }])

    const answer = await exchangeOip(origin, request(true), names, deps)
    const body = Buffer.from(await answer.arrayBuffer())
    const length = Number(answer.headers.get(JSON_LENGTH_HEADER))
    expect(JSON.parse(body.toString('utf8', 0, length))).toMatchObject({ model_name: 'sums', model_version: '2026-01' })
    expect(body.readFloatLE(length)).toBe(7)
    expect(body.length).toBe(length + 4)
  })
})

const vllm = async (options: Partial<VllmOptions> = {}) => keep(await startVllm({ model: 'org/Echo-7B', ...options }))
const names = { ours: 'echo', theirs: 'org/Echo-7B' }
const chat = (content: string, more: object = {}) =>
  ask('/v1/chat/completions', { model: 'echo', messages: [{ role: 'user', content }], ...more })

describe('vLLM', () => {
  it('chats with the official client, streamed and not, under our name', async () => {
    const server = await vllm({ apiKey: 'key-of-nobody' })
    const origin = originAt(server.url, 'openai', { auth: bearerAuth('key-of-nobody') })
    const client = new OpenAI({
      apiKey: 'none',
      baseURL: 'http://verge.invalid/v1',
      maxRetries: 0,
      fetch: async (input, init) => {
        const { pathname } = new URL(String(input))
        const request = { ...ask(pathname, null), body: new TextEncoder().encode(String(init?.body)).slice() }
        return exchangeOpenAi(origin, request, names, deps)
      },
    })
    const messages = [{ role: 'user' as const, content: 'one two three' }]
    const whole = await client.chat.completions.create({ model: 'echo', messages })
    expect(whole.model).toBe('echo')
    expect(whole.choices[0]?.message.content).toBe('one two three')
    const parts: string[] = []
    const options = { stream: true as const, stream_options: { include_usage: true } }
    for await (const chunk of await client.chat.completions.create({ model: 'echo', messages, ...options })) {
      expect(chunk.model).toBe('echo')
      parts.push(chunk.choices[0]?.delta.content ?? `usage ${chunk.usage?.completion_tokens}`)
    }
    expect(parts).toEqual(['', 'one ', 'two ', 'three', 'usage 3'])
    const short = await client.completions.create({ model: 'echo', prompt: 'a b c', max_tokens: 2 })
    expect([short.choices[0]?.text, short.choices[0]?.finish_reason]).toEqual(['a b ', 'length'])
  })

  it('passes its own error within a stream on, and lets the caller know what it got wrong', async () => {
    const origin = originAt((await vllm({ failAfter: 1 })).url, 'openai')
    const stream = await (await exchangeOpenAi(origin, chat('one two', { stream: true }), names, deps)).text()
    expect(stream).toContain('"content":"one "')
    expect(stream.match(/"error"/g)).toHaveLength(1)
    const wrong = await exchangeOpenAi(origin, ask('/v1/chat/completions', { model: 'echo' }), names, deps)
    expect(wrong.status).toBe(400)
    expect(await wrong.json()).toMatchObject({ error: { type: 'BadRequestError' } })
  })

  it('that lacks the model, or does not take the key, is at fault itself', async () => {
    const origin = originAt((await vllm({ apiKey: 'a' })).url, 'openai')
    await expect(exchangeOpenAi(origin, chat('x'), names, deps)).rejects.toMatchObject({ kind: 'unauthorized' })
    const other = originAt((await vllm()).url, 'openai')
    const wrong = exchangeOpenAi(other, chat('x'), { ours: 'echo', theirs: 'no-such' }, deps)
    await expect(wrong).rejects.toMatchObject({ kind: 'unable' })
  })

  it('forwards the first event before the second is made, and hears that the caller has left', async () => {
    const server = await vllm({ words: Array.from({ length: 1_000 }, () => 'word '), pauseMs: 50 })
    const answer = await exchangeOpenAi(originAt(server.url, 'openai'), chat('x', { stream: true }), names, deps)
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
    expect(new TextDecoder().decode((await reader.read()).value)).toContain('"role":"assistant"')
    expect(new TextDecoder().decode((await reader.read()).value).match(/data:/g)).toHaveLength(1)
    await reader.cancel()
    await server.abandoned
  })

  it('killed within a stream leaves the caller with an error', async () => {
    const server = await vllm({ words: Array.from({ length: 1_000 }, () => 'word '), pauseMs: 20 })
    const answer = await exchangeOpenAi(originAt(server.url, 'openai'), chat('x', { stream: true }), names, deps)
    const [watched, whole] = (answer.body as ReadableStream<Uint8Array>).tee()
    const text = new Response(whole).text()
    await watched.getReader().read()
    void server.close()
    expect(await text).toMatch(
      /data: \{"error":\{"message":"[^"]+","type":"server_error","param":null,"code":"origin_failed"\}\}\n\n$/,
    )
  })
})

describe('text-embeddings-inference', () => {
  it('embeds and ranks under our name', async () => {
    const origin = originAt(keep(await startTei({ model: 'thenlper/gte-base' })).url, 'openai')
    const tei = { ours: 'gte', theirs: 'thenlper/gte-base' }
    const embedded = await exchangeOpenAi(origin, ask('/v1/embeddings', { model: 'gte', input: ['a', 'b'] }), tei, deps)
    const { data, model } = (await embedded.json()) as { data: { embedding: number[] }[]; model: string }
    expect(model).toBe('gte')
    expect(data.map(({ embedding }) => embedding)).toEqual([vectorOf('a'), vectorOf('b')])
    const ranked = await exchangeOpenAi(
      origin,
      ask('/rerank', { model: 'gte', query: 'deep sea', texts: ['the sky', 'the deep sea', 'sea'] }),
      tei,
      deps,
    )
    expect(((await ranked.json()) as { index: number }[]).map(({ index }) => index)).toEqual([1, 2, 0])
  })

  it('tells who is at fault by its statuses', async () => {
    let state = ''
    const options = { model: 'm', maxBatch: 2, overloaded: () => state === 'full', broken: () => state === 'broken' }
    const origin = originAt(keep(await startTei(options)).url, 'openai')
    const result = async (path: string, body: unknown) => {
      try {
        return (await exchange(origin, ask(path, body), deps)).status
      } catch (error) {
        return error instanceof OriginFault ? error.kind : error
      }
    }
    expect(await result('/embed', { inputs: 'a' })).toBe(200)
    expect(await result('/embed', { inputs: [] })).toBe(400)
    expect(await result('/embed', { inputs: [''] })).toBe(422)
    expect(await result('/v1/embeddings', { input: ['a', 'b', 'c'] })).toBe(413)
    expect(await result('/rerank', { query: 'a', documents: ['b'] })).toBe(422)
    expect(await result('/v1/chat/completions', {})).toBe('garbage')
    state = 'full'
    expect(await result('/v1/embeddings', { input: 'a' })).toBe('overloaded')
    state = 'broken'
    expect(await result('/embed', { inputs: 'a' })).toBe('error-status')
  })
})

describe('probeOrigin', () => {
  const probe = (origin: Origin) => probeOrigin(origin, new AbortController().signal, deps)

  it('finds servers well, and says what is wrong in its own words', async () => {
    let well = true
    const tritonServer = await triton({ ready: () => well })
    const tei = keep(await startTei({ model: 'm', broken: () => !well }))
    const all = [originAt(tritonServer.url, 'oip'), originAt(tei.url, 'openai'), originAt((await vllm()).url, 'openai')]
    expect((await Promise.all(all.map(probe))).map(({ ok }) => ok)).toEqual([true, true, true])
    well = false
    const results = await Promise.all(all.map(probe))
    expect(results.map(({ ok }) => ok)).toEqual([false, false, true])
    for (const { detail = '' } of results.slice(0, 2)) expect(detail).toMatch(/^[a-z ]+ \(status \d+\)$/)
  })

  it('asks a server without /health for its models, with its key', async () => {
    const server = keep(await startVllm({ model: 'm', apiKey: 'k' }))
    const bare = originAt(server.url, 'openai', {
      auth: bearerAuth('k'),
      fetch: (request) =>
        request.url.endsWith('/health') ? Promise.resolve(new Response('', { status: 404 })) : fetch(request),
    })
    expect(await probe(bare)).toMatchObject({ ok: true })
    expect(await probe({ ...bare, auth: noAuth() })).toMatchObject({ ok: false })
  })

  it('finds what is not there, or does not answer, not well', async () => {
    const server = createServer((socket) => socket.destroy())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    expect(await probe(originAt(`http://127.0.0.1:${port}`, 'verge'))).toMatchObject({ ok: false })
    server.close()
    await once(server, 'close')
    const gone = await probe(originAt(`http://127.0.0.1:${port}`, 'verge'))
    expect(gone).toMatchObject({ ok: false, detail: 'cannot be reached' })
    const request = exchange(originAt(`http://127.0.0.1:${port}`, 'verge'), ask('/run/x', {}), deps)
    await expect(request).rejects.toMatchObject({ kind: 'refused' })
  })
})
