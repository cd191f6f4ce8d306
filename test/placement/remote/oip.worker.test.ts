import { describe, expect, it } from 'vitest'
import { isVergeError, VergeError } from '../../../src/core/errors.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import { type Origin, OriginFault } from '../../../src/placement/origin.ts'
import { bearerAuth } from '../../../src/placement/remote/auth.ts'
import { exchange } from '../../../src/placement/remote/exchange.ts'
import { inferRemote } from '../../../src/placement/remote/oip.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { API_KEY, testApp, testModel } from '../../fixtures/http.ts'
import { ALL_DATATYPES, randomTensor, seeded } from '../../fixtures/http-tensors.ts'
import { originOf, requestOf } from '../../fixtures/remote.ts'

const deps = { clock: new ManualClock(), limits: LIMITS }
const call = { requestId: 'r', caller: 'operator', signal: new AbortController().signal }
const X = new Map<string, Tensor>([['x', tensor('FP32', [1], Float32Array.of(1))]])

const pair = testModel('pair', 'public', {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1] }],
  outputs: [
    { name: 'y', datatype: 'FP32', shape: ['batch', 2] },
    { name: 'z', datatype: 'BYTES', shape: [] },
    { name: 'map', datatype: null, shape: [] },
  ],
})

const HEAD = 'inference-header-content-length'

/** An origin that answers every inference with this. */
function answering(outputs: unknown, binary?: Uint8Array<ArrayBuffer>, headLength?: string): Origin {
  const json = JSON.stringify({ model_name: 'pair', model_version: '1', outputs })
  if (binary === undefined)
    return originOf(() => Promise.resolve(new Response(json, { headers: { 'content-type': 'application/json' } })))
  const head = new TextEncoder().encode(json)
  const headers = { 'content-type': 'application/octet-stream', [HEAD]: headLength ?? String(head.length) }
  return originOf(() => Promise.resolve(new Response(new Blob([head, binary]), { headers })))
}

async function outcome(origin: Origin, wanted?: readonly string[]) {
  try {
    return await inferRemote(
      origin,
      { model: 'pair', version: undefined, manifest: pair.manifest, inputs: X, outputs: wanted },
      call,
      deps,
    )
  } catch (error) {
    if (error instanceof OriginFault) return error.kind
    if (isVergeError(error)) return error.code
    throw error
  }
}

const y = { name: 'y', datatype: 'FP32', shape: [1, 2], data: [1, 2] }
const z = { name: 'z', datatype: 'BYTES', shape: [1], data: ['a'] }
const eight = new Uint8Array(8)

describe('inferRemote', () => {
  it('takes an answer as the manifest has it, in the order asked for, and passes over what was not asked for', async () => {
    const more = { name: 'other', datatype: 'FP32', shape: [2], parameters: { binary_data_size: 8 } }
    const binaryY = { name: 'y', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } }
    const bytes = new Uint8Array([...eight, ...new Uint8Array(Float32Array.of(3, 4).buffer)])
    const tensors = await outcome(answering([more, z, binaryY], bytes), ['z', 'y'])
    expect(tensors).toEqual(
      new Map([
        ['z', tensor('BYTES', [1], ['a'])],
        ['y', tensor('FP32', [1, 2], Float32Array.of(3, 4))],
      ]),
    )
    const all = await outcome(answering([z, y]))
    expect(all instanceof Map && [...all.keys()]).toEqual(['y', 'z'])
  })

  it.each<[string, Origin]>([
    ['no outputs', answering(undefined)],
    ['an output missing', answering([y])],
    ['an output twice', answering([y, y, z])],
    ['another datatype', answering([{ ...y, datatype: 'FP64' }, z])],
    ['another rank', answering([{ ...y, shape: [2] }, z])],
    ['another fixed dimension', answering([{ ...y, shape: [2, 1] }, z])],
    ['fewer elements than the shape says', answering([{ ...y, shape: [2, 2] }, z])],
    ['a shape that is none', answering([{ ...y, shape: [-1, 2] }, z])],
    ['a shape beyond all memory', answering([{ ...y, shape: [1e15, 2] }, z])],
    ['no data', answering([{ ...y, data: undefined }, z])],
    ['elements of another type', answering([{ ...y, data: ['1', 2] }, z])],
    [
      'fewer bytes than it says',
      answering([{ ...y, data: undefined, parameters: { binary_data_size: 8 } }, z], new Uint8Array(7)),
    ],
    [
      'more bytes than it says',
      answering([{ ...y, data: undefined, parameters: { binary_data_size: 8 } }, z], new Uint8Array(9)),
    ],
    [
      "a size that is not the shape's",
      answering([{ ...y, data: undefined, parameters: { binary_data_size: 12 } }, z], new Uint8Array(12)),
    ],
    ['a size that is none', answering([{ ...y, parameters: { binary_data_size: -8 } }, z], eight)],
    ['a header longer than all', answering([y, z], eight, '100000')],
    ['a header without length', answering([y, z], eight, 'x')],
    ['a list of something else', answering([1, 2])],
    [
      'a web page',
      originOf(() => Promise.resolve(new Response('<html>', { headers: { 'content-type': 'text/html' } }))),
    ],
    ['nothing', originOf(() => Promise.resolve(new Response(null, { status: 204 })))],
  ])('finds garbage in an answer with %s', async (_, origin) => {
    expect(await outcome(origin)).toBe('garbage')
  })

  it('gives up an answer that is larger than tensors may be', async () => {
    let sent = 0
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 1
        controller.enqueue(new Uint8Array(1024 * 1024))
      },
    })
    expect(await outcome(originOf(() => Promise.resolve(new Response(endless))))).toBe('garbage')
    expect(sent).toBeLessThan(25)
  })

  it('says what a Verge origin finds wrong with the inputs, and nothing of what another code says', async () => {
    const refusing = (code: string) =>
      originOf(() => Promise.resolve(Response.json({ error: 'Index 7 is out of bounds.', code }, { status: 400 })))
    const error = await inferRemote(
      refusing('run_rejected'),
      { model: 'pair', version: undefined, manifest: pair.manifest, inputs: X, outputs: undefined },
      call,
      deps,
    ).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'run_rejected', message: 'Index 7 is out of bounds.' })
    const other = await inferRemote(
      refusing('unknown_input'),
      { model: 'pair', version: undefined, manifest: pair.manifest, inputs: X, outputs: undefined },
      call,
      deps,
    ).catch((reason: unknown) => reason)
    expect(other instanceof VergeError && other.code).toBe('run_rejected')
    expect(String(other)).not.toContain('Index')
  })

  it.each(ALL_DATATYPES)('carries %s to a Verge origin and back, bit for bit', async (datatype) => {
    const model = testModel(`any-${datatype.toLowerCase()}`, 'private', {
      inputs: [
        { name: 'a', datatype, shape: [] },
        { name: 'x', datatype, shape: [] },
      ],
      outputs: [
        { name: 'b', datatype, shape: [] },
        { name: 'y', datatype, shape: [] },
      ],
    })
    const { app } = testApp({ models: [model] })
    const origin = originOf(async (request) => app.fetch(request), { auth: bearerAuth(API_KEY) })
    const random = seeded(7)
    // an odd number of bytes first, so that what follows is not aligned by chance
    const inputs = new Map([
      ['a', randomTensor(datatype, [3], random, false)],
      ['x', randomTensor(datatype, [2, 5], random, false)],
    ])
    const outputs = await inferRemote(
      origin,
      { model: model.alias.model, version: '2', manifest: model.manifest, inputs, outputs: undefined },
      call,
      deps,
    )
    expect(outputs.get('b')).toEqual(inputs.get('a'))
    expect(outputs.get('y')).toEqual(inputs.get('x'))
  })
})

describe('exchange with a Verge origin', () => {
  it('takes the errors of its own routes for what they are', async () => {
    const { app } = testApp({ models: [pair] })
    const origin = originOf(async (request) => app.fetch(request))
    const kindOf = async (path: string, body: string) => {
      const request = requestOf({ path, body: new TextEncoder().encode(body).slice() })
      return exchange(origin, request, deps).then(
        ({ status }) => status,
        (error: unknown) => (error instanceof OriginFault ? error.kind : error),
      )
    }
    expect(await kindOf('/v2/models/pair/infer', '{')).toBe(400)
    expect(await kindOf('/v2/models/none/infer', '{}')).toBe('unable')
    expect(await kindOf('/v1/embeddings', '{"model":"none","input":"a"}')).toBe('unable')
    expect(await kindOf('/nowhere', '{}')).toBe('garbage')
  })
})
