import { describe, expect, it, vi } from 'vitest'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import { tensorToBinary } from '../../../src/protocols/oip/binary.ts'
import { JSON_LENGTH_HEADER } from '../../../src/protocols/oip/headers.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { OPERATOR, testApp, testModel } from '../../fixtures/http.ts'
import { ALL_DATATYPES, randomTensor, SHAPES, seeded } from '../../fixtures/http-tensors.ts'

const pair = testModel('pair', 'public', {
  inputs: [
    { name: 'a', datatype: 'FP32', shape: ['batch', 3] },
    { name: '__proto__', datatype: 'INT64', shape: ['batch'] },
  ],
  outputs: [
    { name: 'sum', datatype: 'FP32', shape: ['batch', 3] },
    { name: '__proto__', datatype: 'INT64', shape: ['batch'] },
  ],
})
const odd = testModel('odd', 'public', {
  inputs: [
    { name: 'x', datatype: 'FP32', shape: [-1] },
    { name: 'seq', datatype: null, shape: [] },
  ],
  outputs: [{ name: 'map', datatype: null, shape: [] }],
})
const oddOut = testModel('odd-out', 'public', {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1] }],
  outputs: [{ name: 'map', datatype: null, shape: [] }],
})
const answer = { inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [1] }], sha256: 'a'.repeat(64) }
const answered = testModel('answered', 'public', {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1] }],
  outputs: [],
})
const withAnswer = {
  ...answered,
  manifest: {
    ...answered.manifest,
    artifacts: answered.manifest.artifacts.flatMap((artifact) => [
      { ...artifact, id: 'verge-fp32', answer },
      { ...artifact, id: 'edge-fp32' },
    ]),
  },
}
/** A model of one input and output of each type, any shape. */
const anything = ALL_DATATYPES.map((datatype) =>
  testModel(`any-${datatype.toLowerCase()}`, 'public', {
    inputs: [{ name: 'x', datatype, shape: [] }],
    outputs: [{ name: 'y', datatype, shape: [] }],
  }),
)
const { request, post, serving } = testApp({ models: [pair, odd, oddOut, withAnswer, ...anything] })

const A = { name: 'a', shape: [1, 3], datatype: 'FP32', data: [1, 2, 3] }
const B = { name: '__proto__', shape: [1], datatype: 'INT64', data: [5] }

interface Answer {
  model_name: string
  model_version: string
  id?: string
  outputs: {
    name: string
    datatype: string
    shape: number[]
    data?: unknown[]
    parameters?: { binary_data_size: number }
  }[]
}

/** A body of a JSON header and bytes behind it. */
function binaryBody(header: unknown, ...blobs: Uint8Array[]): { body: Uint8Array; headers: Record<string, string> } {
  const json = new TextEncoder().encode(JSON.stringify(header))
  const body = new Uint8Array(blobs.reduce((sum, blob) => sum + blob.length, json.length))
  body.set(json)
  let at = json.length
  for (const blob of blobs) {
    body.set(blob, at)
    at += blob.length
  }
  return { body, headers: { [JSON_LENGTH_HEADER]: String(json.length), 'content-type': 'application/octet-stream' } }
}

describe('a model with an input that no request can hold', () => {
  const x = { name: 'x', shape: [1], datatype: 'FP32', data: [1] }
  const seq = { name: 'seq', shape: [1], datatype: 'FP32', data: [1] }

  it.each([
    ['left out', [x]],
    ['sent', [x, seq]],
  ])('says so of it, and never that it is missing, where it is %s', async (_, inputs) => {
    const response = await post('/v2/models/odd/infer', { inputs })
    expect(response.status).toBe(400)
    const body: { error?: unknown; message?: unknown } = await response.json()
    expect(body).toMatchObject({ code: 'unsupported_datatype' })
    expect(JSON.stringify(body)).toMatch(/\\"seq\\" does not have a tensor type/)
    expect(JSON.stringify(body)).not.toMatch(/missing/)
  })
})

describe('a large answer', () => {
  const small = testApp({ models: [pair, odd, ...anything], limits: { jsonOutputElements: 2 } })

  it('is refused in JSON, with a hint at binary, and given in binary', async () => {
    const inputs = [A, B]
    const refused = await small.post('/v2/models/pair/infer', { inputs })
    expect(refused.status).toBe(400)
    const body = await refused.json()
    expect(body).toMatchObject({ code: 'unsupported_output', limit_elements: 2 })
    expect(JSON.stringify(body)).toContain('binary_data_output')
    const given = await small.post('/v2/models/pair/infer', { inputs, parameters: { binary_data_output: true } })
    expect(given.status).toBe(200)
    expect(given.headers.get(JSON_LENGTH_HEADER)).toMatch(/^\d+$/)
  })
})

describe('metadata', () => {
  it("is the server's", async () => {
    expect(await (await request('/v2')).json()).toEqual({
      name: 'verge',
      version: '0.0.0-test',
      extensions: ['binary_tensor_data', 'generate', 'model_configuration', 'model_repository', 'statistics'],
    })
    expect(await (await request('/v2/health/live')).json()).toEqual({ live: true })
    expect(await (await request('/v2/health/ready')).json()).toEqual({ ready: true })
  })

  it("is the model's, with -1 where a dimension varies, and without what is no tensor", async () => {
    for (const path of ['/v2/models/pair', '/v2/models/pair/versions/1']) {
      expect(await (await request(path, { headers: OPERATOR })).json()).toEqual({
        name: 'pair',
        versions: ['1', '2'],
        platform: 'onnxruntime_onnx',
        inputs: [
          { name: 'a', datatype: 'FP32', shape: [-1, 3] },
          { name: '__proto__', datatype: 'INT64', shape: [-1] },
        ],
        outputs: [
          { name: 'sum', datatype: 'FP32', shape: [-1, 3] },
          { name: '__proto__', datatype: 'INT64', shape: [-1] },
        ],
      })
    }
    expect(await (await request('/v2/models/odd')).json()).toMatchObject({ inputs: [{ name: 'x' }], outputs: [] })
    expect(await (await request('/v2/models/answered')).json()).toMatchObject({
      answers: [{ artifact: 'verge-fp32', ...answer }],
    })
    expect(await (await request('/v2/models/pair/versions/2/ready')).json()).toEqual({ name: 'pair', ready: true })
  })

  it.each([
    ['/v2/models/none', 'model_not_found'],
    ['/v2/models/NONE', 'model_not_found'],
    ['/v2/models/..%2f..', 'model_not_found'],
    ['/v2/models/pair/versions/3', 'version_not_found'],
    ['/v2/models/pair/versions/_hidden', 'version_not_found'],
    ['/v2/models/pair/versions/3/ready', 'version_not_found'],
  ])('%s answers 404 %s', async (path, code) => {
    const response = await request(path)
    expect(response.status).toBe(404)
    const body = await response.json<{ error: unknown; code: string }>()
    expect(body.code).toBe(code)
    expect(typeof body.error).toBe('string')
  })
})

describe('inference', () => {
  it('answers all outputs, echoes the id, and names the version that answered', async () => {
    const response = await post('/v2/models/pair/infer', { id: 'q"1', inputs: [A, B], parameters: { any: 'thing' } })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await response.json()).toEqual({
      model_name: 'pair',
      model_version: '2',
      id: 'q"1',
      outputs: [
        { name: 'sum', datatype: 'FP32', shape: [1, 3], data: [1, 2, 3] },
        { name: '__proto__', datatype: 'INT64', shape: [1], data: [5] },
      ],
    })
  })

  it('runs the version asked for', async () => {
    const response = await post('/v2/models/pair/versions/1/infer', { inputs: [A, B] }, OPERATOR)
    const body = await response.json<Answer>()
    expect(body.model_version).toBe('1')
    expect('id' in body).toBe(false)
  })

  it('takes back the whole numbers that it answers, to the last digit', async () => {
    for (const [datatype, digits] of [
      ['INT64', '9007199254740993,-9223372036854775808,9223372036854775807'],
      ['UINT64', '9007199254740993,18446744073709551615,0'],
    ] as const) {
      const body = `{"inputs":[{"name":"x","datatype":"${datatype}","shape":[3],"data":[${digits}]}]}`
      const answer = await (await post(`/v2/models/any-${datatype.toLowerCase()}/infer`, body)).text()
      expect(answer).toContain(`"data":[${digits}]`)
    }
  })

  it('answers NaN and infinities with null, or refuses to where that is asked for', async () => {
    const bytes = new Uint8Array(Float32Array.of(Number.NaN, 1, Number.NEGATIVE_INFINITY).buffer)
    const input = { name: 'x', shape: [3], datatype: 'FP32', parameters: { binary_data_size: 12 } }
    const ask = async (parameters: object): Promise<Response> => {
      const { body, headers } = binaryBody({ inputs: [input], parameters }, bytes)
      return post('/v2/models/any-fp32/infer', body, headers)
    }
    expect(await (await ask({})).json()).toMatchObject({ outputs: [{ data: [null, 1, null] }] })
    expect((await ask({ non_finite: 'null' })).status).toBe(200)
    const refused = await ask({ non_finite: 'refuse' })
    expect(refused.status).toBe(400)
    expect(await refused.json()).toMatchObject({
      code: 'unsupported_output',
      error: expect.stringMatching(/"y" contains NaN or infinities.*binary_data_output/),
      output: 'y',
    })
    const binary = await ask({ non_finite: 'refuse', binary_data_output: true })
    expect(binary.status).toBe(200)
    expect(new Uint8Array(await binary.arrayBuffer()).slice(-12)).toEqual(bytes)
    const halves = { name: 'x', shape: [1], datatype: 'FP16', parameters: { binary_data_size: 2 } }
    const half = binaryBody({ inputs: [halves], parameters: { non_finite: 'refuse' } }, Uint8Array.of(0, 0x7c))
    expect((await post('/v2/models/any-fp16/infer', half.body, half.headers)).status).toBe(400)
    const finite = { inputs: [A, B], parameters: { non_finite: 'refuse' } }
    expect((await post('/v2/models/pair/infer', finite)).status).toBe(200)
  })

  it("takes what Triton's clients send for no sequence and no priority", async () => {
    const parameters = { sequence_id: 0, sequence_start: false, sequence_end: false, priority: 0, timeout: 0 }
    expect((await post('/v2/models/pair/infer', { inputs: [A, B], parameters })).status).toBe(200)
  })

  it('gives a request up after its own timeout, in microseconds, and never later than its deadline', async () => {
    const waiting = testModel(
      'waiting',
      'public',
      {
        inputs: [{ name: 'x', datatype: 'FP32', shape: [-1] }],
        outputs: [{ name: 'y', datatype: 'FP32', shape: [-1] }],
      },
      {
        compute: (_, { signal }) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason), { once: true })
          }),
      },
    )
    const x = { name: 'x', shape: [1], datatype: 'FP32', data: [1] }
    for (const [timeout, ms, told] of [
      [250_000, 250, /250000 microseconds/],
      [9_000_000, 1000, /within 1000 ms/],
      [0, 1000, /within 1000 ms/],
    ] as const) {
      const clock = new ManualClock()
      const app = testApp({ models: [waiting], clock, deadlineMs: 1000 })
      const answer = app.post('/v2/models/waiting/infer', { inputs: [x], parameters: { timeout } })
      await vi.waitFor(() => expect(app.serving.runs).toHaveLength(1))
      let done = false
      void answer.then(() => {
        done = true
      })
      await clock.advance(ms - 1)
      expect(done).toBe(false)
      await clock.advance(1)
      const response = await answer
      expect(response.status).toBe(504)
      expect(await response.json()).toMatchObject({ code: 'deadline_exceeded', error: expect.stringMatching(told) })
    }
  })

  it('answers the outputs asked for, in that order', async () => {
    const outputs = [{ name: '__proto__' }, { name: 'sum' }]
    const body = await (await post('/v2/models/pair/infer', { inputs: [B, A], outputs })).json<Answer>()
    expect(body.outputs.map(({ name }) => name)).toEqual(['__proto__', 'sum'])
    expect(serving.runs.at(-1)?.outputs).toEqual(['__proto__', 'sum'])
    await post('/v2/models/pair/infer', { inputs: [A, B], outputs: [{ name: 'sum' }] })
    expect(serving.runs.at(-1)?.outputs).toEqual(['sum'])
    await post('/v2/models/pair/infer', { inputs: [A, B], outputs: [] })
    expect(serving.runs.at(-1)?.outputs).toBeUndefined()
  })

  it('takes an empty batch', async () => {
    const inputs = [
      { ...A, shape: [0, 3], data: [] },
      { ...B, shape: [0], data: [] },
    ]
    const body = await (await post('/v2/models/pair/infer', { inputs })).json<Answer>()
    expect(body.outputs[0]).toEqual({ name: 'sum', datatype: 'FP32', shape: [0, 3], data: [] })
  })

  it('carries every type and shape in bytes, both ways', async () => {
    const random = seeded(3)
    for (const datatype of ALL_DATATYPES) {
      for (const shape of SHAPES) {
        const sent = randomTensor(datatype, shape, random, false)
        const bytes = tensorToBinary(sent)
        const input = { name: 'x', shape, datatype, parameters: { binary_data_size: bytes.length } }
        const { body, headers } = binaryBody({ inputs: [input], parameters: { binary_data_output: true } }, bytes)
        const response = await post(`/v2/models/any-${datatype.toLowerCase()}/infer`, body, headers)
        expect(response.status).toBe(200)
        expect(response.headers.get('content-type')).toBe('application/octet-stream')
        const length = Number(response.headers.get(JSON_LENGTH_HEADER))
        const answer = new Uint8Array(await response.arrayBuffer())
        const json = JSON.parse(new TextDecoder().decode(answer.subarray(0, length))) as Answer
        expect(json.outputs).toEqual([{ name: 'y', datatype, shape, parameters: { binary_data_size: bytes.length } }])
        expect(answer.subarray(length)).toEqual(bytes)
      }
    }
  })

  it('reads binary data where they lie, whatever the length of the header', async () => {
    for (let padding = 0; padding < 9; padding++) {
      const data = BigInt64Array.of(1n, 2n ** 62n)
      const input = { name: 'x', shape: [2], datatype: 'INT64', parameters: { binary_data_size: 16 } }
      const { body, headers } = binaryBody({ id: 'i'.repeat(padding), inputs: [input] }, new Uint8Array(data.buffer))
      const response = await post('/v2/models/any-int64/infer', body, headers)
      expect(await response.text()).toContain('"data":[1,4611686018427387904]')
      const seen = serving.runs.at(-1)?.inputs.get('x')
      expect(seen).toEqual(tensor('INT64', [2], data))
      // A view of the whole body, not a copy of its own part.
      expect((seen as Tensor & { data: BigInt64Array }).data.buffer.byteLength).toBeGreaterThan(16)
    }
  })

  it('mixes JSON and bytes, input by input and output by output', async () => {
    const bytes = new Uint8Array(Float32Array.of(1, 2, 3).buffer)
    const { data: _, ...withoutData } = A
    const a = { ...withoutData, parameters: { binary_data_size: 12 } }
    const { body, headers } = binaryBody(
      {
        inputs: [a, B],
        parameters: { binary_data_output: true },
        outputs: [{ name: 'sum', parameters: { binary_data: false } }, { name: '__proto__' }],
      },
      bytes,
    )
    const response = await post('/v2/models/pair/infer', body, headers)
    const length = Number(response.headers.get(JSON_LENGTH_HEADER))
    const answer = new Uint8Array(await response.arrayBuffer())
    const json = JSON.parse(new TextDecoder().decode(answer.subarray(0, length))) as Answer
    expect(json.outputs[0]?.data).toEqual([1, 2, 3])
    expect(json.outputs[1]?.parameters).toEqual({ binary_data_size: 8 })
    expect([...answer.subarray(length)]).toEqual([5, 0, 0, 0, 0, 0, 0, 0])
    const one = await post('/v2/models/pair/infer', {
      inputs: [A, B],
      outputs: [{ name: 'sum', parameters: { binary_data: true } }],
    })
    expect(one.headers.get(JSON_LENGTH_HEADER)).not.toBeNull()
  })
})

describe('texts that are longer than the model was made for', () => {
  const ids = (columns: number) => ({
    inputs: [{ name: 'input_ids', shape: [1, columns], datatype: 'INT64', data: new Array(columns).fill(1) }],
  })

  it.each([
    ['an encoder', { text: { maxTokens: 8 } }],
    ['a language model', { generation: { contextLength: 8, stopTokens: [] } }],
  ])('are refused: %s', async (_, settings) => {
    const model = testModel('reader', 'public', {
      inputs: [{ name: 'input_ids', datatype: 'INT64', shape: ['batch', 'tokens'] }],
      outputs: [{ name: 'y', datatype: 'INT64', shape: ['batch', 'tokens'] }],
      ...settings,
    })
    const { post } = testApp({ models: [model] })
    expect((await post('/v2/models/reader/infer', ids(8))).status).toBe(200)
    const refused = await post('/v2/models/reader/infer', ids(9))
    expect(refused.status).toBe(413)
    expect(await refused.json()).toMatchObject({ code: 'input_too_large', input: 'input_ids', limit_tokens: 8 })
  })
})

describe('JSON of many small lists', () => {
  it('is refused before it is parsed, because each takes many times its length', async () => {
    const response = await post('/v2/models/pair/infer', `{"inputs":[${'[],'.repeat(600_000)}[]]}`)
    expect(response.status).toBe(413)
    expect(await response.json()).toMatchObject({ code: 'input_too_large', limit_containers: 524_288 })
  })
})

describe('JSON of many members', () => {
  const member = (i: number): string => `"${i.toString(36)}" \n: 1`
  const members = (count: number): string => `{${Array.from({ length: count }, (_, i) => member(i)).join(',')}}`

  it('is refused before it is parsed, because names that are all different take many times their length', async () => {
    const response = await post('/v2/models/pair/infer', members(262_145))
    expect(response.status).toBe(413)
    expect(await response.json()).toMatchObject({ code: 'input_too_large', limit_members: 262_144 })
  })

  it('is told from colons in texts', async () => {
    const response = await post('/v2/models/pair/infer', { id: `${'12:30 '.repeat(300_000)}` })
    expect(await response.json()).toMatchObject({ code: 'invalid_request' })
  })
})

describe('what is refused', () => {
  const cases: [string, unknown, string, RegExp][] = [
    ['no JSON', '{"inputs": [', 'invalid_json', /JSON/],
    ['JSON that is not UTF-8', Uint8Array.of(0x22, 0xff, 0x22), 'invalid_json', /UTF-8/],
    ['nothing', '', 'empty_input', /no body/],
    ['an array', [], 'invalid_request', /an empty list was sent, but an object is needed/],
    ['null', null, 'invalid_request', /null was sent, but an object is needed/],
    ['no inputs', {}, 'invalid_request', /"inputs"/],
    ['an id that is a number', { id: 1, inputs: [A, B] }, 'invalid_request', /"id"/],
    [
      'a type that does not exist',
      { inputs: [{ ...A, datatype: 'FP8' }, B] },
      'invalid_request',
      /inputs\[0\]\.datatype/,
    ],
    ['a negative dimension', { inputs: [{ ...A, shape: [-1, 3] }, B] }, 'invalid_request', /inputs\[0\]\.shape\[0\]/],
    ['a fractional dimension', { inputs: [{ ...A, shape: [1.5, 3] }, B] }, 'invalid_request', /shape/],
    ['an unknown input', { inputs: [A, B, { ...A, name: 'c' }] }, 'unknown_input', /no input "c".*"a", "__proto__"/],
    ['a missing input', { inputs: [A] }, 'missing_input', /"__proto__" is missing/],
    ['an input twice', { inputs: [A, A, B] }, 'invalid_request', /twice/],
    ['another type', { inputs: [{ ...A, datatype: 'FP64' }, B] }, 'invalid_tensor', /must be FP32/],
    ['another rank', { inputs: [{ ...A, shape: [3] }, B] }, 'invalid_tensor', /\[batch, 3\]/],
    ['another fixed dimension', { inputs: [{ ...A, shape: [1, 4] }, B] }, 'invalid_tensor', /\[batch, 3\]/],
    ['a shape that is not the data', { inputs: [{ ...A, shape: [2, 3] }, B] }, 'invalid_tensor', /needs 6 elements.*3/],
    ['an unknown output', { inputs: [A, B], outputs: [{ name: 'z' }] }, 'unknown_output', /no output "z"/],
    ['an output twice', { inputs: [A, B], outputs: [{ name: 'sum' }, { name: 'sum' }] }, 'invalid_request', /twice/],
    ['NaN', '{"inputs":[{"name":"a","shape":[1,3],"datatype":"FP32","data":[NaN,1,2]}]}', 'invalid_json', /JSON/],
    ['half an integer', { inputs: [A, { ...B, data: [1.5] }] }, 'invalid_tensor', /whole number/],
    [
      'an integer beyond 2^53 that is not written digit by digit',
      '{"inputs":[{"name":"a","shape":[1,3],"datatype":"FP32","data":[1,2,3]},{"name":"__proto__","shape":[1],"datatype":"INT64","data":[9007199254740994.0]}]}',
      'invalid_tensor',
      /digit by digit/,
    ],
    [
      'an integer beyond 64 bits',
      '{"inputs":[{"name":"a","shape":[1,3],"datatype":"FP32","data":[1,2,3]},{"name":"__proto__","shape":[1],"datatype":"INT64","data":[9223372036854775808]}]}',
      'invalid_tensor',
      /-9223372036854775808 to 9223372036854775807/,
    ],
    [
      'a sequence',
      { inputs: [A, B], parameters: { sequence_id: 7, sequence_start: true } },
      'invalid_request',
      /"sequence_id" is not supported/,
    ],
    ['a priority', { inputs: [A, B], parameters: { priority: 2 } }, 'invalid_request', /not supported/],
    ['a timeout below 0', { inputs: [A, B], parameters: { timeout: -1 } }, 'invalid_request', /"parameters\.timeout"/],
    [
      'another word for NaN',
      { inputs: [A, B], parameters: { non_finite: 'zero' } },
      'invalid_request',
      /"parameters\.non_finite"/,
    ],
    [
      'a class count',
      { inputs: [A, B], outputs: [{ name: 'sum', parameters: { classification: 2 } }] },
      'invalid_request',
      /classification/,
    ],
    [
      'shared memory',
      { inputs: [{ ...A, parameters: { shared_memory_region: 'r' } }, B] },
      'invalid_request',
      /shared_memory_region/,
    ],
    [
      'bytes without the header',
      { inputs: [{ name: 'a', shape: [1, 3], datatype: 'FP32', parameters: { binary_data_size: 12 } }, B] },
      'invalid_request',
      /inference-header-content-length/,
    ],
  ]
  it.each(cases)('%s', async (_, body, code, message) => {
    const runs = serving.runs.length
    const response = await post('/v2/models/pair/infer', body)
    expect(response.status).toBe(400)
    const answer = await response.json<{ error: string; code: string; request_id: string }>()
    expect(answer.code).toBe(code)
    expect(answer.error).toMatch(message)
    expect(answer.request_id).toMatch(/^id-/)
    expect(serving.runs.length).toBe(runs)
    expect((await post('/v2/models/pair/infer', { inputs: [A, B] })).status).toBe(200)
  })

  it.each([
    ['a product', [4_000_000, 3], 'a'],
    ['a product beyond 2^53', [9007199254740991, 3], 'a'],
    ['one dimension', [2 ** 40], '__proto__'],
  ])('too many elements by %s, before there is memory for them', async (_, shape, name) => {
    const inputs = [A, B].map((input) => (input.name === name ? { ...input, shape } : input))
    const response = await post('/v2/models/pair/infer', { inputs })
    expect(response.status).toBe(413)
    expect(await response.json()).toMatchObject({ code: 'input_too_large' })
  })

  it('too many elements in all inputs together', async () => {
    const small = testApp({ models: [pair], limits: { inputElements: 4 } })
    const inputs = [A, { ...B, shape: [2], data: [1, 2] }]
    expect((await small.post('/v2/models/pair/infer', { inputs })).status).toBe(413)
    expect((await small.post('/v2/models/pair/infer', { inputs: [A, B] })).status).toBe(200)
  })

  it('too many dimensions, inputs and outputs', async () => {
    const deep = { name: 'x', shape: new Array(17).fill(1), datatype: 'FP32', data: [1] }
    expect((await post('/v2/models/any-fp32/infer', { inputs: [deep] })).status).toBe(400)
    const many = new Array(65).fill(A)
    expect((await post('/v2/models/pair/infer', { inputs: many })).status).toBe(400)
    const outputs = new Array(65).fill({ name: 'sum' })
    expect((await post('/v2/models/pair/infer', { inputs: [A, B], outputs })).status).toBe(400)
  })

  it('what a model has that is no tensor', async () => {
    const x = { name: 'x', shape: [1], datatype: 'FP32', data: [1] }
    const seq = { name: 'seq', shape: [], datatype: 'FP32', data: [1] }
    // Whether it is sent or not: the model cannot run without it.
    for (const inputs of [[x, seq], [x], []]) {
      const input = await post('/v2/models/odd/infer', { inputs })
      const { code, error } = await input.json<{ code: string; error: string }>()
      expect([code, error]).toEqual([
        'unsupported_datatype',
        expect.stringContaining('Input "seq" does not have a tensor type'),
      ])
    }
    const output = await post('/v2/models/odd-out/infer', { inputs: [x], outputs: [{ name: 'map' }] })
    expect(await output.json()).toMatchObject({ code: 'unsupported_output' })
  })

  const input = { name: 'x', shape: [2], datatype: 'FP32', parameters: { binary_data_size: 8 } }
  const eight = new Uint8Array(8)
  const whole = binaryBody({ inputs: [input] }, eight)
  const withLength = (value: string) => ({ ...whole.headers, [JSON_LENGTH_HEADER]: value })
  const bad: [string, Uint8Array, Record<string, string>, number, RegExp][] = [
    ['a body cut off', whole.body.slice(0, -1), whole.headers, 400, /only 7 are left/],
    ['a header cut off', whole.body.slice(0, 10), whole.headers, 400, /says \d+ bytes, but the body has 10/],
    ['bytes left over', new Uint8Array([...whole.body, 0]), whole.headers, 400, /1 bytes .* remain/],
    ['a length that is too small', whole.body, withLength('5'), 400, /JSON/],
    ['a length that is too great by one', whole.body, withLength(String(whole.body.length - 7)), 400, /JSON/],
    ['a length of 0', whole.body, withLength('0'), 400, /at least 1/],
    ['a negative length', whole.body, withLength('-1'), 400, /at least 1/],
    ['a length that is a word', whole.body, withLength('x'), 400, /at least 1/],
    ['a length of 2 MiB', whole.body, withLength(String(2 << 20)), 413, /JSON header/],
    [
      'a size that is not the shape',
      binaryBody({ inputs: [{ ...input, shape: [3] }] }, eight).body,
      binaryBody({ inputs: [{ ...input, shape: [3] }] }, eight).headers,
      400,
      /takes 12 bytes/,
    ],
    [
      'data and bytes',
      binaryBody({ inputs: [{ ...input, data: [1, 2] }] }, eight).body,
      binaryBody({ inputs: [{ ...input, data: [1, 2] }] }, eight).headers,
      400,
      /both/,
    ],
  ]
  it.each(bad)('binary: %s', async (_, body, headers, status, message) => {
    const response = await post('/v2/models/any-fp32/infer', body, headers)
    expect(response.status).toBe(status)
    expect((await response.json<{ error: string }>()).error).toMatch(message)
    expect((await post('/v2/models/any-fp32/infer', whole.body, whole.headers)).status).toBe(200)
  })
})
