import { describe, expect, it } from 'vitest'
import { type Tensor, type Tensors, tensor } from '../../src/core/tensors.ts'
import { activate } from '../../src/tasks/shared/scores.ts'
import { greyPng } from '../../synthetic/png.ts'
import { toBase64 } from '../fixtures/base64.ts'
import { OPERATOR, testApp, testModel } from '../fixtures/http.ts'
import { bareTokenizer, bertTokenizer } from '../fixtures/http-tokenizer.ts'

/** Scores that are the mean brightness and its complement. */
function brightness(inputs: Tensors): Tensors {
  const image = inputs.get('image')
  if (image?.datatype !== 'FP32') throw new Error('no image')
  const mean = image.data.reduce((sum, sample) => sum + sample, 0) / image.data.length
  return new Map([['scores', tensor('FP32', [1, 2], Float32Array.of(1 - mean, mean))]])
}

const image = { mode: 'L', size: [4, 4], fit: 'stretch', rescale: 1 / 255, layout: 'NCHW' } as const
const eye = testModel(
  'eye',
  'public',
  {
    task: 'image-classification',
    labels: ['dark', 'light'],
    activation: 'none',
    image: { ...image, size: [4, 4] },
    inputs: [{ name: 'image', datatype: 'FP32', shape: ['batch', 1, 4, 4] }],
    outputs: [{ name: 'scores', datatype: 'FP32', shape: ['batch', 2] }],
  },
  { compute: brightness },
)

/** Logits that count "good" and "bad" tokens of each row. */
function opinion(inputs: Tensors): Tensors {
  const ids = inputs.get('input_ids')
  if (ids?.datatype !== 'INT64') throw new Error('no ids')
  const [rows = 0, columns = 0] = ids.shape
  const logits = new Float32Array(2 * rows)
  for (let row = 0; row < rows; row++) {
    for (const id of ids.data.subarray(row * columns, (row + 1) * columns)) {
      if (id === 5n) logits[2 * row + 1] = (logits[2 * row + 1] ?? 0) + 1
      if (id === 6n) logits[2 * row] = (logits[2 * row] ?? 0) + 1
    }
  }
  return new Map([
    ['hidden', tensor('FP32', [rows, 3], new Float32Array(3 * rows))],
    ['logits', tensor('FP32', [rows, 2], logits)],
  ])
}

const textual = (name: string, inputs: string[], file: Uint8Array, more = {}) =>
  testModel(
    name,
    'public',
    {
      task: 'text-classification',
      labels: ['negative', 'positive'],
      text: { maxTokens: 8 },
      inputs: inputs.map((input) => ({ name: input, datatype: 'INT64' as const, shape: ['batch', 'length'] })),
      outputs: [
        { name: 'hidden', datatype: 'FP32', shape: ['batch', 3] },
        { name: 'logits', datatype: 'FP32', shape: ['batch', 2] },
      ],
      ...more,
    },
    { compute: opinion, files: { 'tokenizer.json': file } },
  )
const critic = textual('critic', ['input_ids', 'attention_mask', 'token_type_ids'], bertTokenizer())
const simple = textual('simple', ['input_ids'], bareTokenizer())
const damaged = textual('damaged', ['input_ids'], new Uint8Array(3))
const wrong = textual('wrong', ['pixels'], bertTokenizer())
const unlabelled = textual('unlabelled', ['input_ids'], bareTokenizer(), { labels: ['one', 'two', 'three', 'four'] })
const raw = testModel('raw', 'public', { inputs: [], outputs: [] })
const future = testModel('future', 'public', { task: 'telepathy', inputs: [], outputs: [] })
const { request, post, serving } = testApp({ models: [eye, critic, simple, damaged, wrong, unlabelled, raw, future] })

const white = await greyPng(4, 4, new Uint8Array(16).fill(255))
const grey = await greyPng(2, 2, Uint8Array.of(51, 51, 51, 51))
const huge = white.slice()
new DataView(huge.buffer).setUint32(16, 10_000)
new DataView(huge.buffer).setUint32(20, 10_000)

describe('a body of undeclared type', () => {
  // What curl says of every body that it is given with -d or --data-binary.
  const form = { 'content-type': 'application/x-www-form-urlencoded' }

  it.each([
    ['a picture', '/run/eye', white, 'light'],
    ['a picture in JSON', '/run/eye', JSON.stringify({ inputs: toBase64(white) }), 'light'],
    ['a text', '/run/critic', 'a good good film.', 'positive'],
    ['a text in JSON', '/run/critic', ' \n{"inputs": "a good good film."}', 'positive'],
  ])('is taken for what it looks like: %s', async (_, path, body, label) => {
    const response = await post(path, body, form)
    expect(response.status).toBe(200)
    expect(await response.json<{ label: string }[]>()).toMatchObject([{ label }, {}])
  })

  it('gets the error of what it was taken for', async () => {
    expect(await (await post('/run/eye', 'hello', form)).json()).toMatchObject({ error: { code: 'invalid_image' } })
    expect(await (await post('/run/critic', '{"inputs', form)).json()).toMatchObject({
      error: { code: 'invalid_json' },
    })
  })
})

describe('image classification', () => {
  it.each(['image/png', 'image/jpeg', 'application/octet-stream', 'image/png; charset=binary'])(
    'takes bytes as %s, told apart by themselves',
    async (type) => {
      const response = await post('/run/eye', white, { 'content-type': type })
      expect(response.status).toBe(200)
      expect(await response.json()).toEqual([
        { label: 'light', score: 1 },
        { label: 'dark', score: 0 },
      ])
      expect(response.headers.get('verge-placement')).toMatch(/^edge;/)
    },
  )

  it.each([
    ['base64', toBase64(grey)],
    ['a data: URL', `data:image/png;base64,${toBase64(grey)}`],
    [
      'base64 for URLs, in lines',
      toBase64(grey)
        .replaceAll('+', '-')
        .replaceAll('/', '_')
        .replace(/=+$/, '')
        .replace(/(.{40})/g, '$1\n'),
    ],
  ])('takes %s', async (_, inputs) => {
    const [best, other] = await (await post('/run/eye', { inputs })).json<{ label: string; score: number }[]>()
    expect(best?.label).toBe('dark')
    expect(best?.score).toBeCloseTo(0.8, 6)
    expect(other?.score).toBeCloseTo(0.2, 6)
  })

  it('takes a form', async () => {
    const form = new FormData()
    form.set('file', new File([white], 'white.png', { type: 'image/png' }))
    form.set('parameters', '{"top_k": 1}')
    const response = await request('/run/eye', { method: 'POST', body: form })
    expect(await response.json()).toEqual([{ label: 'light', score: 1 }])
  })

  it('takes top_k and function_to_apply', async () => {
    const body = { inputs: toBase64(white), parameters: { top_k: 1, function_to_apply: 'sigmoid' } }
    const answer = await (await post('/run/eye', body)).json<{ label: string; score: number }[]>()
    expect(answer).toHaveLength(1)
    expect(answer[0]?.score).toBeCloseTo(1 / (1 + Math.exp(-1)), 6)
  })

  it('takes parameters from the query beside a raw picture, beside JSON, and beside a form', async () => {
    const png = { 'content-type': 'image/png' }
    const one = [{ label: 'light', score: expect.closeTo(1 / (1 + Math.exp(-1)), 6) }]
    const query = '?top_k=1&function_to_apply=sigmoid'
    expect(await (await post(`/run/eye${query}`, white, png)).json()).toEqual(one)
    expect(await (await post(`/models/eye${query}`, white, png)).json()).toEqual(one)
    expect(await (await post(`/run/eye${query}`, { inputs: toBase64(white) })).json()).toEqual(one)
    const form = new FormData()
    form.set('file', new File([white], 'white.png', { type: 'image/png' }))
    form.set('parameters', '{"top_k": 1}')
    const beside = await request('/run/eye?function_to_apply=sigmoid', { method: 'POST', body: form })
    expect(await beside.json()).toEqual(one)
  })

  it.each([
    ['?top_n=1', /image-classification has no query parameter "top_n"\. Use top_k, function_to_apply, version/],
    ['?top_k=two', /"parameters.top_k|top_k/],
    ['?top_k=1&top_k=2', /top_k/],
    ['?__proto__=1', /no query parameter "__proto__"/],
  ])('refuses the query %s, with what there is', async (query, message) => {
    const response = await post(`/run/eye${query}`, white, { 'content-type': 'image/png' })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({
      error: { code: 'invalid_request', message: expect.stringMatching(message) },
    })
  })

  it('refuses a parameter that comes in the query and in the body', async () => {
    const body = { inputs: toBase64(white), parameters: { top_k: 1 } }
    const response = await post('/run/eye?top_k=2', body)
    expect(await response.json()).toMatchObject({ error: { code: 'invalid_request', field: 'top_k' } })
  })

  it('says what was sent and what is taken, where the type is not', async () => {
    const response = await post('/run/eye', white, { 'content-type': 'Image/TIFF; q=1' })
    expect(response.status).toBe(415)
    expect(await response.json()).toMatchObject({
      error: {
        code: 'unsupported_media_type',
        message: expect.stringMatching(/"image\/tiff".*application\/json, multipart\/form-data, image\/png/),
      },
    })
  })

  it('runs the version asked for, and refuses one that there is not', async () => {
    const png = { 'content-type': 'image/png', ...OPERATOR }
    expect((await post('/run/eye?version=1', white, png)).status).toBe(200)
    expect((await post('/run/eye?version=7', white, png)).status).toBe(404)
  })

  it.each([
    ['bytes that are no image', new TextEncoder().encode('hello there'), 'image/png', 400, 'invalid_image'],
    ['a PNG of 100 megapixels', huge, 'image/png', 413, 'input_too_large'],
    ['half a PNG', white.slice(0, white.length / 2), 'image/png', 400, 'invalid_image'],
    ['no bytes', new Uint8Array(0), 'image/png', 400, 'empty_input'],
    ['text', new TextEncoder().encode('hello'), 'text/plain', 415, 'unsupported_media_type'],
    ['a GIF', new TextEncoder().encode('GIF89a'), 'image/gif', 415, 'unsupported_media_type'],
  ])('refuses %s', async (_, bytes, type, status, code) => {
    const response = await post('/run/eye', bytes, { 'content-type': type })
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ error: { code } })
    expect((await post('/run/eye', white, { 'content-type': 'image/png' })).status).toBe(200)
  })

  it('refuses an image of more bytes than the limit, in any form', async () => {
    const small = testApp({ models: [eye], limits: { imageBytes: 60 } })
    const bytes = await small.post('/run/eye', white, { 'content-type': 'image/png' })
    expect(bytes.status).toBe(413)
    expect((await small.post('/run/eye', { inputs: toBase64(white) })).status).toBe(413)
  })

  it.each([
    ['a URL', { inputs: 'https://example.com/cat.png' }, 'invalid_request', /Verge does not fetch URLs/],
    ['what is not base64', { inputs: 'not base64!' }, 'invalid_request', /base64/],
    ['a data: URL without base64', { inputs: 'data:image/png,xyz' }, 'invalid_request', /base64/],
    ['an empty string', { inputs: '' }, 'empty_input', /no image/],
    ['a number', { inputs: 5 }, 'invalid_request', /"inputs"/],
    ['no inputs', {}, 'invalid_request', /"inputs"/],
    ['an unknown parameter', { inputs: '', parameters: { topk: 3 } }, 'invalid_request', /topk/],
    ['an unknown field', { inputs: '', model: 'x' }, 'invalid_request', /model/],
    ['a top_k of 0', { inputs: '', parameters: { top_k: 0 } }, 'invalid_request', /parameters\.top_k/],
    ['a list', { inputs: ['x'] }, 'invalid_request', /"inputs"/],
    ['broken JSON', '{"inputs": "', 'invalid_json', /JSON/],
    ['no body', '', 'empty_input', /no body/],
  ])('refuses in JSON: %s', async (_, body, code, message) => {
    const response = await post('/run/eye', body)
    expect(response.status).toBe(400)
    const { error } = await response.json<{ error: { code: string; message: string } }>()
    expect(error.code).toBe(code)
    expect(error.message).toMatch(message)
  })

  it.each([
    ['no file', (form: FormData) => form.set('parameters', '{}')],
    [
      'an unknown field',
      (form: FormData) => {
        form.set('inputs', 'x')
        form.set('image', 'x')
      },
    ],
    [
      'parameters that are no JSON',
      (form: FormData) => {
        form.set('file', new File([white], 'a.png', { type: 'image/png' }))
        form.set('parameters', '{')
      },
    ],
  ])('refuses a form with %s', async (_, fill) => {
    const form = new FormData()
    fill(form)
    expect((await request('/run/eye', { method: 'POST', body: form })).status).toBe(400)
  })

  it('refuses a form without a boundary', async () => {
    expect((await post('/run/eye', 'x', { 'content-type': 'multipart/form-data' })).status).toBe(400)
  })
})

describe('text classification', () => {
  it('answers one text with one list, best first', async () => {
    for (const [body, headers] of [
      [{ inputs: 'a good good film.' }, {}],
      ['a good good film.', { 'content-type': 'text/plain; charset=utf-8' }],
    ] as const) {
      const answer = await (await post('/run/critic', body, headers)).json<{ label: string; score: number }[]>()
      expect(answer.map(({ label }) => label)).toEqual(['positive', 'negative'])
      expect(answer[0]?.score).toBeCloseTo(Math.exp(2) / (Math.exp(2) + 1), 6)
    }
  })

  it('answers a list of texts with a list of lists, padded and masked', async () => {
    const answer = await (await post('/run/critic', { inputs: ['bad film', 'a good good film'] })).json<
      { label: string }[][]
    >()
    expect(answer.map((list) => list[0]?.label)).toEqual(['negative', 'positive'])
    const inputs = serving.runs.at(-1)?.inputs
    const bigints = (name: string) => inputs?.get(name)?.data
    expect(inputs?.get('input_ids')?.shape).toEqual([2, 6])
    expect(bigints('input_ids')).toEqual(BigInt64Array.from([2, 6, 7, 3, 0, 0, 2, 4, 5, 5, 7, 3].map(BigInt)))
    expect(bigints('attention_mask')).toEqual(BigInt64Array.from([1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1].map(BigInt)))
    expect(bigints('token_type_ids')).toEqual(new BigInt64Array(12))
    expect(await (await post('/run/critic', { inputs: ['bad'] })).json()).toHaveLength(1)
  })

  it('cuts a long text to what the model takes', async () => {
    expect((await post('/run/critic', { inputs: 'good '.repeat(30_000) })).status).toBe(200)
    expect(serving.runs.at(-1)?.inputs.get('input_ids')?.shape).toEqual([1, 8])
  })

  it('does not pad where there is no mask, but runs texts of other lengths apart', async () => {
    const before = serving.runs.length
    const answer = await (await post('/run/simple', { inputs: ['good', 'bad film', 'bad'] })).json<
      { label: string }[][]
    >()
    expect(answer.map((list) => list[0]?.label)).toEqual(['positive', 'negative', 'negative'])
    const shapes = serving.runs.slice(before).map(({ inputs }) => inputs.get('input_ids')?.shape)
    expect(shapes).toEqual([
      [2, 1],
      [1, 2],
    ])
  })

  it.each([
    ['an empty text', { inputs: '' }, 400, 'empty_input'],
    ['spaces', { inputs: ' \n\t' }, 400, 'empty_input'],
    ['an empty one among others', { inputs: ['good', ''] }, 400, 'empty_input'],
    ['no texts', { inputs: [] }, 400, 'invalid_request'],
    ['an enormous text', { inputs: 'x'.repeat(200_001) }, 413, 'input_too_large'],
    ['too many texts', { inputs: new Array(33).fill('good') }, 413, 'input_too_large'],
    ['a number', { inputs: 5 }, 400, 'invalid_request'],
    ['an unknown parameter', { inputs: 'good', parameters: { temperature: 1 } }, 400, 'invalid_request'],
  ])('refuses %s', async (_, body, status, code) => {
    const response = await post('/run/critic', body)
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ error: { code } })
    expect((await post('/run/critic', { inputs: 'good' })).status).toBe(200)
  })

  it('refuses bytes that are no text', async () => {
    const plain = { 'content-type': 'text/plain' }
    expect((await post('/run/critic', Uint8Array.of(0xff, 0xfe), plain)).status).toBe(400)
    expect((await post('/run/critic', new Uint8Array(0), plain)).status).toBe(400)
    expect((await post('/run/critic', white, { 'content-type': 'image/png' })).status).toBe(415)
  })

  it('refuses a text of which the tokenizer leaves nothing', async () => {
    const response = await post('/run/simple', { inputs: '\u0001\u0002' })
    expect(await response.json()).toMatchObject({ error: { code: 'empty_input' } })
  })
})

describe('models that are not what they say', () => {
  it.each([
    ['raw', 400, 'task_mismatch'],
    ['future', 400, 'task_mismatch'],
    ['damaged', 500, 'manifest_invalid'],
    ['wrong', 500, 'manifest_invalid'],
    ['unlabelled', 500, 'manifest_invalid'],
    ['none', 404, 'model_not_found'],
  ])('%s', async (name, status, code) => {
    const response = await post(`/run/${name}`, { inputs: 'good' })
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ error: { code } })
  })
})

describe('activations', () => {
  it('are those of the textbook, and do not overflow', () => {
    const softmax = activate(Float64Array.of(1000, 1001, -1000), 'softmax')
    expect(softmax[1]).toBeCloseTo(1 / (1 + Math.exp(-1)), 12)
    expect(softmax.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12)
    expect([...activate(Float64Array.of(-800, 0, 800), 'sigmoid')]).toEqual([0, 0.5, 1])
    expect([...activate(Float64Array.of(3, -1), 'none')]).toEqual([3, -1])
  })

  it('are those of the manifest for a half-precision model', async () => {
    const half: Tensor = tensor('FP16', [1, 2], Uint16Array.of(0x3c00, 0xc000))
    const { post: send } = testApp({
      models: [
        testModel(
          'half',
          'public',
          {
            task: 'image-classification',
            activation: 'sigmoid',
            image: { ...image, size: [4, 4] },
            inputs: [{ name: 'image', datatype: 'FP16', shape: [1, 1, 4, 4] }],
            outputs: [{ name: 'scores', datatype: 'FP16', shape: [1, 2] }],
          },
          {
            compute: (inputs) => {
              expect(inputs.get('image')).toEqual(tensor('FP16', [1, 1, 4, 4], new Uint16Array(16).fill(0x3c00)))
              return new Map([['scores', half]])
            },
          },
        ),
      ],
    })
    const answer = await (await send('/run/half', white, { 'content-type': 'image/png' })).json<{ label: string }[]>()
    expect(answer.map(({ label }) => label)).toEqual(['LABEL_0', 'LABEL_1'])
  })
})
