import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/core/limits.ts'
import { type Datatype, type Signature, type Tensor, type Tensors, tensor } from '../../../src/core/tensors.ts'
import { readError } from '../../../src/protocols/oip/error.ts'
import { JSON_LENGTH_HEADER } from '../../../src/protocols/oip/headers.ts'
import { readInferAnswer } from '../../../src/protocols/oip/read-answer.ts'
import { readInferRequest, readJsonLength } from '../../../src/protocols/oip/read-request.ts'
import { writeInferAnswer } from '../../../src/protocols/oip/write-answer.ts'
import { inferPath, writeInferRequest } from '../../../src/protocols/oip/write-request.ts'
import { codeOf } from '../../fixtures/http.ts'
import { ALL_DATATYPES, randomTensor, SHAPES, seeded } from '../../fixtures/http-tensors.ts'

/** What one end writes, the other end reads: there are one writer and one reader of each message. */

const limits = { tensors: 64, rank: 16, elements: 1_000_000 }
const model = { name: 'm', version: '1' }
const encoder = new TextEncoder()

/** JSON keeps whole numbers that are written digit by digit, but has one zero: -0 is 0 after it. */
function sample(datatype: Datatype, shape: readonly number[], binary: boolean, random: () => number): Tensor {
  const value = randomTensor(datatype, shape, random, !binary)
  if (binary) return value
  if (value.datatype === 'FP32') return { ...value, data: value.data.map((x) => x + 0) }
  if (value.datatype === 'FP64') return { ...value, data: value.data.map((x) => x + 0) }
  if (value.datatype === 'FP16') return { ...value, data: value.data.map((x) => (x === 0x8000 ? 0 : x)) }
  return value
}

/** One tensor of each datatype, of different shapes, whose bytes begin at any place. */
function allDatatypes(binary: boolean, seed: number): Tensors {
  const random = seeded(seed)
  return new Map(
    ALL_DATATYPES.map((datatype, i) => {
      const shape = SHAPES[(i + seed) % SHAPES.length] ?? []
      return [`"${datatype}" \u{1f600}`, sample(datatype, shape, binary, random)] as const
    }),
  )
}

function signatureOf(tensors: Tensors): Signature {
  const specs = [...tensors].map(([name, { datatype, shape }]) => ({ name, datatype, shape }))
  return { inputs: specs, outputs: specs }
}

function lengthIn(headers: Readonly<Record<string, string>>): number | undefined {
  return readJsonLength(headers[JSON_LENGTH_HEADER], LIMITS.inferenceHeaderBytes)
}

describe.each([{ binary: false }, { binary: true }])(
  'messages with all datatypes, in binary: $binary',
  ({ binary }) => {
    const seeds = SHAPES.map((_, seed) => seed)

    it.each(seeds)('a request is read as it was written (%i)', (seed) => {
      const inputs = allDatatypes(binary, seed)
      const names = [...inputs.keys()].reverse()
      for (const outputs of [undefined, names]) {
        const { body, headers } = writeInferRequest(inputs, { binary, outputs })
        const read = readInferRequest(body, lengthIn(headers), signatureOf(inputs), LIMITS)
        expect(read.inputs).toEqual(inputs)
        expect(read.outputs).toEqual(outputs)
        expect(headers['content-type']).toBe(binary ? 'application/octet-stream' : 'application/json')
        // An answer to it is in binary where the request is.
        const answer = writeInferAnswer(read.envelope, model, inputs, LIMITS)
        expect(JSON_LENGTH_HEADER in answer.headers).toBe(binary)
      }
    })

    it.each(seeds)('an answer is read as it was written, whole or as far as it is wanted (%i)', (seed) => {
      const outputs = allDatatypes(binary, seed)
      const written = writeInferAnswer({ parameters: { binary_data_output: binary } }, model, outputs, LIMITS)
      const body = typeof written.body === 'string' ? encoder.encode(written.body).slice() : written.body
      const length = lengthIn(written.headers)
      expect(readInferAnswer(body, length, { limits })).toEqual(outputs)
      const wanted = [...outputs.keys()].filter((_, i) => i % 3 === 1).reverse()
      const some = readInferAnswer(body, length, { limits, wanted, specs: signatureOf(outputs).outputs })
      expect([...some]).toEqual(wanted.map((name) => [name, outputs.get(name)]))
    })
  },
)

describe('messages', () => {
  it('carry whole numbers beyond 2^53 exactly in JSON, both ways', () => {
    const values = new Map<string, Tensor>([
      ['i', tensor('INT64', [3], BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 9007199254740993n))],
      ['u', tensor('UINT64', [2], BigUint64Array.of(2n ** 64n - 1n, 0n))],
    ])
    const request = writeInferRequest(values, { binary: false })
    expect(readInferRequest(request.body, undefined, signatureOf(values), LIMITS).inputs).toEqual(values)
    const answer = writeInferAnswer({}, model, values, LIMITS)
    expect(readInferAnswer(encoder.encode(String(answer.body)).slice(), undefined, { limits })).toEqual(values)
  })

  it('may be part JSON and part binary', () => {
    const outputs = new Map<string, Tensor>([
      ['a', tensor('FP32', [2], Float32Array.of(1, 2))],
      ['b', tensor('BYTES', [2], ['x', ''])],
      ['c', tensor('INT64', [], BigInt64Array.of(7n))],
    ])
    const asked = {
      id: '42',
      parameters: { binary_data_output: true },
      outputs: [{ name: 'a' }, { name: 'b', parameters: { binary_data: false } }, { name: 'c' }],
    }
    const { body, headers } = writeInferAnswer(asked, model, outputs, LIMITS)
    if (typeof body === 'string') throw new Error('all of it is JSON')
    const head = JSON.parse(new TextDecoder().decode(body.subarray(0, lengthIn(headers))))
    expect(head).toMatchObject({
      id: '42',
      model_name: 'm',
      model_version: '1',
      outputs: [{}, { data: ['x', ''] }, {}],
    })
    expect(readInferAnswer(body, lengthIn(headers), { limits })).toEqual(outputs)
  })

  it("keep a request's binary tensors where they can be read without a copy", () => {
    const inputs = new Map<string, Tensor>([['x', tensor('FP64', [1], Float64Array.of(0.5))]])
    const { body, headers } = writeInferRequest(inputs, { binary: true })
    const length = lengthIn(headers)
    expect((length ?? 1) % 8).toBe(0)
    const read = readInferRequest(body, length, signatureOf(inputs), LIMITS).inputs.get('x')
    expect(read?.datatype === 'FP64' && read.data.buffer).toBe(body.buffer)
  })

  it('give no memory to shapes beyond what the answer holds', () => {
    const answer = (shape: readonly number[], data: unknown) =>
      encoder.encode(JSON.stringify({ outputs: [{ name: 'y', datatype: 'FP64', shape, data }] })).slice()
    const read = (body: Uint8Array<ArrayBuffer>) => codeOf(() => readInferAnswer(body, undefined, { limits }))
    expect(read(answer([2 ** 40], [1]))).toBe('origin_failed')
    expect(read(answer([500_000], [[1]]))).toBe('origin_failed')
    expect(read(answer([-1], [1]))).toBe('origin_failed')
    expect(read(answer([2], [1]))).toBe('invalid_tensor')
    expect(codeOf(() => readInferAnswer(answer([1], [1]), 1_000, { limits }))).toBe('origin_failed')
  })

  it('name models and versions in the path as a path takes them', () => {
    expect(inferPath('a b/c')).toBe('/v2/models/a%20b%2Fc/infer')
    expect(inferPath('m', '1.0')).toBe('/v2/models/m/versions/1.0/infer')
  })

  it('read a failure, and whatever else a server answers', () => {
    expect(readError('{"error": "no", "code": "invalid_tensor"}')).toEqual({ error: 'no', code: 'invalid_tensor' })
    for (const other of ['', 'null', '<html>', '[]', '{"error": {"message": "no"}}', '7']) {
      expect(readError(other)).toEqual({ error: undefined, code: undefined })
    }
  })
})

/** Examples as published, white space included. */
describe('the published examples', () => {
  const mymodel: Signature = {
    inputs: [
      { name: 'input0', datatype: 'UINT32', shape: [2, 2] },
      { name: 'input1', datatype: 'BOOL', shape: [3] },
    ],
    outputs: [{ name: 'output0', datatype: 'FP32', shape: ['n', 2] }],
  }
  const input0 = tensor('UINT32', [2, 2], Uint32Array.of(1, 2, 3, 4))
  const output0 = tensor('FP32', [3, 2], Float32Array.of(1, 1.1, 2, 2.1, 3, 3.1))

  /** KServe, "Open Inference Protocol (V2)", Inference Request Examples. */
  const kserveRequest = (input1: string) => `{
  "id" : "42",
  "inputs" : [
    {
      "name" : "input0",
      "shape" : [ 2, 2 ],
      "datatype" : "UINT32",
      "data" : [ 1, 2, 3, 4 ]
    },
    {
      "name" : "input1",
      "shape" : [ 3 ],
      "datatype" : "BOOL",
      "data" : ${input1}
    }
  ],
  "outputs" : [
    {
      "name" : "output0"
    }
  ]
}`
  const kserveAnswer = `{
  "id" : "42",
  "outputs" : [
    {
      "name" : "output0",
      "shape" : [ 3, 2 ],
      "datatype" : "FP32",
      "data" : [ 1.0, 1.1, 2.0, 2.1, 3.0, 3.1 ]
    }
  ]
}`

  it("KServe's request, and its answer", () => {
    const read = (text: string) => readInferRequest(encoder.encode(text).slice(), undefined, mymodel, LIMITS)
    const { envelope, inputs, outputs } = read(kserveRequest('[ true, false, true ]'))
    expect(envelope.id).toBe('42')
    expect(inputs).toEqual(
      new Map([
        ['input0', input0],
        ['input1', tensor('BOOL', [3], Uint8Array.of(1, 0, 1))],
      ]),
    )
    expect(outputs).toEqual(['output0'])
    // As published, the example has one element for a shape of three.
    expect(codeOf(() => read(kserveRequest('[ true ]')))).toBe('invalid_tensor')
    const answer = readInferAnswer(encoder.encode(kserveAnswer).slice(), undefined, {
      limits,
      specs: mymodel.outputs,
      wanted: ['output0'],
    })
    expect(answer).toEqual(new Map([['output0', output0]]))
    const written = writeInferAnswer(envelope, model, answer, LIMITS)
    const { outputs: ours, id } = JSON.parse(String(written.body)) as { id: string; outputs: { data: number[] }[] }
    expect(id).toBe('42')
    expect(ours).toMatchObject([{ name: 'output0', shape: [3, 2], datatype: 'FP32' }])
    expect(Float32Array.from(ours[0]?.data ?? [])).toEqual(output0.data)
  })

  /** Triton, "Binary Tensor Data Extension", Examples. */
  const tritonRequest = `{
  "model_name" : "mymodel",
  "inputs" : [
    {
      "name" : "input0",
      "shape" : [ 2, 2 ],
      "datatype" : "UINT32",
      "parameters" : {
        "binary_data_size" : 16
      }
    },
    {
      "name" : "input1",
      "shape" : [ 3 ],
      "datatype" : "BOOL",
      "parameters" : {
        "binary_data_size" : 3
      }
    }
  ],
  "outputs" : [
    {
      "name" : "output0",
      "parameters" : {
        "binary_data" : true
      }
    }
  ]
}`
  const tritonAnswer = `{
  "outputs" : [
    {
      "name" : "output0",
      "shape" : [ 3, 2 ],
      "datatype"  : "FP32",
      "parameters" : {
        "binary_data_size" : 24
      }
    }
  ]
}`

  it("Triton's request with binary tensors, and its answer", () => {
    const head = encoder.encode(tritonRequest)
    const bytes = [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, /* BOOL */ 1, 0, 1]
    const { envelope, inputs } = readInferRequest(Uint8Array.from([...head, ...bytes]), head.length, mymodel, LIMITS)
    expect(inputs.get('input0')).toEqual(input0)
    expect(inputs.get('input1')).toEqual(tensor('BOOL', [3], Uint8Array.of(1, 0, 1)))

    const answerHead = encoder.encode(tritonAnswer)
    const floats = new DataView(new ArrayBuffer(24))
    for (const [i, value] of [1, 1.1, 2, 2.1, 3, 3.1].entries()) floats.setFloat32(4 * i, value, true)
    const body = Uint8Array.from([...answerHead, ...new Uint8Array(floats.buffer)])
    const answer = readInferAnswer(body, answerHead.length, { limits, specs: mymodel.outputs, wanted: ['output0'] })
    expect(answer).toEqual(new Map([['output0', output0]]))

    const written = writeInferAnswer(envelope, model, answer, LIMITS)
    if (typeof written.body === 'string') throw new Error('all of it is JSON')
    expect([...written.body.subarray(Number(written.headers[JSON_LENGTH_HEADER]))]).toEqual([...body.subarray(-24)])
  })
})
