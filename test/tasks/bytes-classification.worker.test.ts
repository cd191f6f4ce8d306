import { describe, expect, it } from 'vitest'
import type { Manifest } from '../../src/catalog/manifest.ts'
import { type BytesSettings, bytesSettingsSchema } from '../../src/catalog/settings/bytes.ts'
import { type Tensors, tensor } from '../../src/core/tensors.ts'
import { byteFeatures, isText } from '../../src/media/bytes/features.ts'
import { testApp, testModel } from '../fixtures/http.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const P = 256

const cut = { begin: 4, middle: 0, end: 4, blockSize: 8, padding: P, strip: true }

describe('what a model sees of a file', () => {
  const seen = (text: string, settings: Partial<typeof cut> = {}): (string | number)[] =>
    [...byteFeatures(bytesOf(text), { ...cut, ...settings }).values].map((value) =>
      value === P ? P : String.fromCharCode(value),
    )

  it.each([
    ['both ends', 'abcdefghijkl', ['a', 'b', 'c', 'd', 'i', 'j', 'k', 'l']],
    ['the same bytes twice, where there are few', 'abc', ['a', 'b', 'c', P, P, 'a', 'b', 'c']],
    ['no white space outside', '\t \nabcdefgh\r\n\v\f', ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']],
    // The block is cut first: what is stripped is not replaced by what lies farther in.
    ['what is left of the first block', '      abcdefghij', ['a', 'b', P, P, 'g', 'h', 'i', 'j']],
    ['nothing of white space', '   ', [P, P, P, P, P, P, P, P]],
    ['white space inside', 'a b c d', ['a', ' ', 'b', ' ', ' ', 'c', ' ', 'd']],
  ])('is %s', (_, text, expected) => {
    expect(seen(text)).toEqual(expected)
  })

  it('may keep white space, take one end, and take the middle', () => {
    expect(seen(' ab ', { strip: false, end: 0 })).toEqual([' ', 'a', 'b', ' '])
    expect(seen('abcdefgh', { begin: 0, end: 2 })).toEqual(['g', 'h'])
    expect(seen('abcdefghijkl', { begin: 1, middle: 4, end: 1 })).toEqual(['a', 'e', 'f', 'g', 'h', 'l'])
    expect(seen('abc', { begin: 1, middle: 6, end: 1 })).toEqual(['a', P, 'a', 'b', 'c', P, P, 'c'])
  })

  it('tells text from other bytes, even where the end cuts a character', () => {
    expect(isText(bytesOf('grün'))).toBe(true)
    expect(isText(bytesOf('grü').subarray(0, 3))).toBe(true)
    expect(isText(Uint8Array.of(0x67, 0xfc, 0x6e))).toBe(false)
    expect(isText(Uint8Array.of(0xff, 0xd8))).toBe(false)
  })
})

describe('settings', () => {
  const problems = (settings: object): string[] =>
    bytesSettingsSchema.safeParse({ ...cut, ...settings }).error?.issues.map(({ path }) => path.join('.')) ?? []

  it.each([
    [{ begin: 0, end: 0 }, ['']],
    [{ begin: 9 }, ['blockSize']],
    [{ minBytes: 8 }, ['fallback']],
    [{ threshold: 0.5 }, ['fallback']],
    [{ begin: 1e9 }, ['begin', 'blockSize']],
    [{ threshold: 2, fallback: { text: 'txt', binary: 'unknown' } }, ['threshold']],
    [{ threshold: 0.5, fallback: { text: 'txt', binary: 'unknown' } }, []],
  ])('%j', (settings, expected) => {
    expect(problems(settings).sort()).toEqual(expected.sort())
  })
})

/** Scores by the first byte: `p` is Python, `r` random, `h` a template that looks like HTML. */
function guess(inputs: Tensors): Tensors {
  const [values] = [...inputs.values()]
  const first = String.fromCharCode(Number(values?.data[0]))
  const scores = { p: [0.9, 0.04, 0.03, 0.03], r: [0.1, 0.6, 0.2, 0.1], h: [0.1, 0.05, 0.25, 0.6] }[first]
  return new Map([['scores', tensor('FP32', [1, 4], Float32Array.from(scores ?? [0.4, 0.3, 0.2, 0.1]))]])
}

const settings: BytesSettings = {
  ...cut,
  minBytes: 2,
  threshold: 0.5,
  thresholds: { handlebars: 0.9 },
  overwrite: { randomtxt: 'txt' },
  fallback: { text: 'txt', binary: 'unknown' },
}
const magic = (name: string, bytes: BytesSettings | undefined, more: Partial<Manifest> = {}) =>
  testModel(
    name,
    'public',
    {
      task: 'bytes-classification',
      labels: ['python', 'randomtxt', 'html', 'handlebars'],
      activation: 'none',
      ...(bytes && { bytes }),
      inputs: [{ name: 'bytes', datatype: 'INT32', shape: ['N', 8] }],
      outputs: [{ name: 'scores', datatype: 'FP32', shape: ['N', 4] }],
      ...more,
    },
    { compute: guess },
  )
const { post, request, serving } = testApp({
  models: [
    magic('magic', settings),
    magic('listed', { ...settings, fallback: { text: 'txt', binary: 'unknown', textLabels: ['python'] } }),
    magic('plain', cut),
    magic('none', undefined),
    magic('narrow', settings, { inputs: [{ name: 'bytes', datatype: 'INT32', shape: ['N', 9] }] }),
    magic('octets', settings, { inputs: [{ name: 'bytes', datatype: 'UINT8', shape: ['N', 8] }] }),
    magic('long', settings, { inputs: [{ name: 'bytes', datatype: 'INT64', shape: ['N', -1] }] }),
  ],
})
type Answer = { label: string; score: number }[]
const ask = (name: string, bytes: Uint8Array | string, type = 'application/octet-stream'): Promise<Response> =>
  post(`/run/${name}`, bytes, { 'content-type': type })
const labels = async (response: Response): Promise<string[]> => {
  expect(response.status).toBe(200)
  return (await response.json<Answer>()).map(({ label }) => label)
}
const failure = async (response: Response) => ({
  ...(await response.json<{ error: Record<string, unknown> }>()).error,
  status: response.status,
})

describe('what a file is', () => {
  it('is the best label, by the name that the manifest gives it', async () => {
    expect(await labels(await ask('magic', 'print(7)'))).toEqual(['python', 'txt', 'html', 'handlebars'])
    expect(await labels(await ask('magic', 'random text'))).toEqual(['txt', 'html', 'python', 'handlebars'])
    expect(serving.runs.at(-1)?.inputs.get('bytes')?.data).toEqual(Int32Array.from(bytesOf('randtext')))
  })

  it('is a general one where the model is not sure', async () => {
    const [best, ...others] = await (await ask('magic', 'h{{}}')).json<Answer>()
    expect(best?.label).toBe('txt')
    expect(best?.score).toBeCloseTo(0.6, 6)
    expect(others.map(({ label }) => label)).toEqual(['handlebars', 'html', 'python'])
    expect((await labels(await ask('magic', Uint8Array.of(0x68, 0xff, 0xff))))[0]).toBe('unknown')
    expect((await labels(await ask('magic', Uint8Array.of(0xff, 0xff, 0xff))))[0]).toBe('unknown')
    expect((await labels(await ask('listed', 'h{{}}')))[0]).toBe('unknown')
    expect((await labels(await ask('plain', 'h{{}}')))[0]).toBe('handlebars')
  })

  it.each([
    ['high-confidence', 'txt'],
    ['medium-confidence', 'handlebars'],
    ['best-guess', 'handlebars'],
  ])('is trusted as asked: %s', async (prediction_mode, expected) => {
    const inputs = btoa('h{{}}')
    expect((await labels(await post('/run/magic', { inputs, parameters: { prediction_mode } })))[0]).toBe(expected)
  })

  it('is not asked of the model where there is too little of it', async () => {
    const before = serving.runs.length
    expect(await (await ask('magic', 'p')).json()).toEqual([{ label: 'txt', score: 1 }])
    expect(await (await ask('magic', '\n \t  \n p')).json()).toEqual([{ label: 'txt', score: 1 }])
    expect(await (await ask('magic', Uint8Array.of(0xff))).json()).toEqual([{ label: 'unknown', score: 1 }])
    expect(serving.runs).toHaveLength(before)
    expect((await labels(await ask('plain', 'p')))[0]).toBe('python')
  })

  it('is asked with base64, a form of any type, and bytes of no declared type', async () => {
    const expected = ['python', 'txt']
    const parameters = { top_k: 2 }
    expect(await labels(await post('/run/magic', { inputs: btoa('print(7)'), parameters }))).toEqual(expected)
    const url = `data:text/x-python;base64,${btoa('print(7)')}`
    expect(await labels(await post('/run/magic', { inputs: url, parameters }))).toEqual(expected)
    const form = new FormData()
    form.set('file', new Blob(['print(7)'], { type: 'application/json' }), 'x.json')
    form.set('parameters', JSON.stringify(parameters))
    expect(await labels(await request('/run/magic', { method: 'POST', body: form }))).toEqual(expected)
    expect((await labels(await ask('magic', 'print(7)', 'application/x-www-form-urlencoded')))[0]).toBe('python')
  })

  it('may go into other types, as far as its padding fits', async () => {
    expect((await labels(await ask('long', 'print')))[0]).toBe('python')
    expect((await labels(await ask('octets', 'print(7)')))[0]).toBe('python')
    expect(await failure(await ask('octets', 'pri'))).toMatchObject({ status: 500, code: 'manifest_invalid' })
  })

  it.each([
    ['magic', '', 'application/octet-stream', 400, 'empty_input'],
    ['magic', '{"inputs": ""}', 'application/json', 400, 'empty_input'],
    ['magic', '{"inputs": "%%%"}', 'application/json', 400, 'invalid_request'],
    ['magic', '{"inputs": "https://example.com/file"}', 'application/json', 400, 'invalid_request'],
    ['magic', '{"inputs": "data:text/plain,hello"}', 'application/json', 400, 'invalid_request'],
    ['magic', '{"inputs": "cA==", "parameters": {"temperature": 1}}', 'application/json', 400, 'invalid_request'],
    ['magic', '{"inputs": 7}', 'application/json', 400, 'invalid_request'],
    ['magic', 'x', 'image/png', 415, 'unsupported_media_type'],
    ['none', 'print(7)', 'application/octet-stream', 500, 'manifest_invalid'],
    ['narrow', 'print(7)', 'application/octet-stream', 500, 'manifest_invalid'],
  ])('is refused: %s %j %s', async (name, body, type, status, code) => {
    expect(await failure(await ask(name, body, type))).toMatchObject({ status, code })
  })
})
