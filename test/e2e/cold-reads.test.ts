/** How many reads of KV and R2, one after the other, stand between a request and its answer in an isolate that has read nothing. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundle } from '../../bench/lib/bundle.ts'
import { type Read, roundsOf } from '../../bench/lib/slow-reads.ts'
import { encoderModel } from '../../bench/models/encoder.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { startWorkerd, type WorkerdProcess } from '../../src/cli/local/workerd.ts'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack, packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { wav } from '../../synthetic/wav.ts'
import { filesModel, keywordsModel, loudnessModel } from '../fixtures/docs-models.ts'
import { writerFor } from '../fixtures/node/publish.ts'
import { linearRegression } from '../fixtures/tabular-models.ts'
import { judgeModel, readerModel, taggerModel, wordPieceTokenizer } from '../fixtures/text-models.ts'

const bytesOf = (path: string): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(join(ROOT, path)))
const WORDS = wordPieceTokenizer()
const PIECES = bytesOf('test/fixtures/models/encoder/tokenizer.json')
const TEXT = { tokenizer: 'tokenizer.json', preprocess: { text: { maxTokens: 32 } } }
const encoder = { layers: 1, hidden: 32, heads: 4, ffn: 64, vocabulary: 6_946, positions: 64 }
const judge = judgeModel(3, { travel: [0, 0, 4], music: [3, 0, 0] })
const judged = ['contradiction', 'neutral', 'entailment']
const window = {
  length: 512,
  context: 64,
  input: 'input',
  output: 'output',
  rate: 'sr',
  state: [{ input: 'state', output: 'stateN', shape: [2, 1, 128] }],
}

/** A tokenizer that reads the same, in other bytes: those of a hot model would be in KV. */
function otherThan(tokenizer: Uint8Array): Uint8Array {
  const config = JSON.parse(new TextDecoder().decode(tokenizer))
  return new TextEncoder().encode(
    JSON.stringify({ ...config, model: { ...config.model, max_input_chars_per_word: 99 } }),
  )
}

/** Models of every kind of file, beside the three that come with Verge. */
const MODELS: readonly (readonly [Readonly<Record<string, unknown>>, Uint8Array, Uint8Array?])[] = [
  [
    { name: 'names', task: 'token-classification', labels: ['O', 'B-PER'], ...TEXT },
    taggerModel(2, { ada: [0, 4] }),
    WORDS,
  ],
  [
    { name: 'cool', task: 'token-classification', labels: ['O', 'B-PER'], hot: false, ...TEXT },
    taggerModel(2, { ada: [0, 3] }),
    otherThan(WORDS),
  ],
  [{ name: 'reader', task: 'question-answering', ...TEXT }, readerModel({ ada: [4, 1] }), WORDS],
  [{ name: 'judge', task: 'zero-shot-classification', labels: judged, ...TEXT }, judge, WORDS],
  [{ name: 'vectors', task: 'feature-extraction', ...TEXT }, encoderModel(encoder, 'fp32'), PIECES],
  [{ name: 'likeness', task: 'sentence-similarity', ...TEXT }, encoderModel(encoder, 'fp32'), PIECES],
  [
    {
      name: 'linear',
      task: 'tabular-regression',
      preprocess: { tabular: { columns: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] } },
    },
    linearRegression,
  ],
  [
    {
      name: 'keywords',
      task: 'audio-classification',
      labels: ['yes', 'no', 'up', 'down'],
      preprocess: { audio: { sampleRate: 16_000, samples: 16_000 } },
    },
    keywordsModel(),
  ],
  [
    { name: 'speech', task: 'voice-activity-detection', preprocess: { audio: { sampleRate: 16_000, window } } },
    loudnessModel(),
  ],
  [
    {
      name: 'files',
      task: 'bytes-classification',
      labels: ['a', 'b', 'c', 'd'],
      preprocess: { bytes: { begin: 1024, middle: 0, end: 1024, blockSize: 4096, padding: 256, strip: true } },
    },
    filesModel(),
  ],
]

const SOUND = wav({ samples: Float64Array.from({ length: 16_000 }, (_, i) => Math.sin(i / 10)) })
const ask = (content: string) => [{ role: 'user', content }]

interface Case {
  readonly path: string
  readonly body: unknown
  readonly type?: string
  readonly what: string
}

const CASES: readonly Case[] = [
  {
    path: '/v2/models/digits/infer',
    what: 'tensors',
    body: { inputs: [{ name: 'image', shape: [1, 1, 28, 28], datatype: 'FP32', data: new Array(784).fill(0) }] },
  },
  {
    path: '/run/digits',
    what: 'a picture',
    body: bytesOf('models/digits/samples/two.png'),
    type: 'image/png',
  },
  { path: '/run/reviews', what: 'a text', body: { inputs: 'A wonderful film.' } },
  { path: '/models/reviews', what: 'a text', body: { inputs: 'A wonderful film.' } },
  { path: '/run/names', what: 'entities', body: { inputs: 'ada' } },
  {
    path: '/run/reader',
    what: 'a question',
    body: { inputs: { question: 'Who wrote?', context: 'Ada Lovelace wrote.' } },
  },
  {
    path: '/run/judge',
    what: 'labels of the caller',
    body: { inputs: 'travel', parameters: { candidate_labels: ['travel', 'music'] } },
  },
  { path: '/run/vectors', what: 'a vector', body: { inputs: 'A text.' } },
  {
    path: '/run/likeness',
    what: 'texts compared',
    body: { inputs: { source_sentence: 'A text.', sentences: ['Another.'] } },
  },
  { path: '/run/linear', what: 'a table', body: { inputs: [{ a: 1, b: 2, c: 3 }] } },
  { path: '/run/keywords', what: 'sound', body: SOUND, type: 'audio/wav' },
  { path: '/run/speech', what: 'speech', body: SOUND, type: 'audio/wav' },
  {
    path: '/run/files',
    what: 'a file',
    body: new Uint8Array(100).fill(65),
    type: 'application/octet-stream',
  },
  { path: '/run/abacus', what: 'a text continued', body: { inputs: '1 plus 2' } },
  { path: '/v1/embeddings', what: 'vectors', body: { model: 'vectors', input: 'A text.' } },
  {
    path: '/rerank',
    what: 'documents',
    body: { model: 'vectors', query: 'A text.', documents: ['Another.', 'A third.'] },
  },
  {
    path: '/v1/completions',
    what: 'a text continued',
    body: { model: 'abacus', prompt: '1 plus 2', max_tokens: 2 },
  },
  {
    path: '/v1/chat/completions',
    what: 'a chat',
    body: { model: 'abacus', messages: ask('1 plus 2'), max_tokens: 2 },
  },
  {
    path: '/v1/chat/completions',
    what: 'a chat streamed',
    body: { model: 'abacus', messages: ask('1 plus 2'), max_tokens: 2, stream: true },
  },
  {
    path: '/bench/stream/speech',
    what: 'a message of a stream',
    body: new Uint8Array(1024).fill(1),
    type: 'application/octet-stream',
  },
  { path: '/bench/rpc/reviews', what: 'a call of another Worker', body: 'A wonderful film.' },
]

describe('a request to an isolate that has read nothing', () => {
  let worker: WorkerdProcess

  beforeAll(async () => {
    worker = await startWorkerd(await bundle('slow'))
    const writer = await writerFor(worker)
    for (const name of ['digits', 'reviews', 'abacus'])
      await publish(writer, await packFolder(join(ROOT, 'models', name)))
    for (const [fields, model, tokenizer] of MODELS) {
      const description = descriptionSchema.parse({
        version: '1',
        visibility: 'public',
        licence: 'Apache-2.0',
        artifacts: [{ file: 'model.onnx', dtype: 'fp32' }],
        ...fields,
      })
      const files = new Map([['model.onnx', model]])
      if (tokenizer !== undefined) files.set('tokenizer.json', tokenizer)
      await publish(writer, await pack(description, '.', files))
    }
  })
  afterAll(() => worker?.miniflare.dispose())

  async function readsOf(
    { path, body, type = 'application/json' }: Case,
    headers: Readonly<Record<string, string>> = {},
  ) {
    const answer = await fetch(worker.url + path, {
      method: 'POST',
      headers: { 'content-type': type, ...headers },
      body: body instanceof Uint8Array ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body),
    })
    expect(answer.status, `${path}: ${await answer.text()}`).toBe(200)
    return JSON.parse(answer.headers.get('bench-reads') ?? '[]') as Read[]
  }

  it.each(CASES)('reads no more in turn than it has to: $path, $what', async (asked) => {
    expect(roundsOf(await readsOf(asked))).toBe(3)
  })

  it.each(CASES)('reads each of these of R2 after KV had no copy: $path, $what', async (asked) => {
    const reads = await readsOf(asked, { 'bench-kv': 'empty' })
    expect(roundsOf(reads)).toBe(6)
  })

  /** Keys of what has been read by now, by the request under way. */
  async function readNow(): Promise<string[]> {
    const reads = (await (await fetch(`${worker.url}/bench/reads`)).json()) as Read[]
    return reads.flatMap(({ keys }) => keys)
  }
  const blobsOf = (keys: readonly string[]): number => keys.filter((key) => key.startsWith('blob/')).length

  it('reads weights and tokenizer of R2 after KV had no copy, where the model is not hot', async () => {
    const reads = await readsOf({ path: '/run/cool', what: 'entities', body: { inputs: 'ada' } })
    expect(roundsOf(reads)).toBe(4)
    const last = reads.slice(-2).map(({ keys: [key = ''], store }) => [store, key.split('/')[0]])
    expect(last).toEqual([
      ['r2', 'blob'],
      ['r2', 'blob'],
    ])
  })

  it('has asked for weights and tokenizer before any of its body has come', async () => {
    const begun = request(`${worker.url}/run/reviews`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    })
    begun.flushHeaders()
    await expect.poll(async () => blobsOf(await readNow())).toBe(2)
    begun.end(JSON.stringify({ inputs: 'A wonderful film.' }))
    const [answer] = (await once(begun, 'response')) as [IncomingMessage]
    answer.resume()
    const { headers, statusCode } = answer
    expect([statusCode, headers['verge-placement']]).toEqual([200, expect.stringContaining('start=cold')])
    expect(blobsOf(await readNow())).toBe(2)
  })

  it.each([
    ['its type', { 'content-type': 'video/mp4' }, 415],
    ['its encoding', { 'content-type': 'application/json', 'content-encoding': 'gzip' }, 415],
    ['its length', { 'content-type': 'application/json', 'content-length': 17 * 1024 * 1024 }, 413],
  ] as const)('loads nothing for a body that is refused by %s', async (_, headers, expected) => {
    const begun = request(`${worker.url}/run/reviews`, { method: 'POST', headers })
    begun.flushHeaders()
    const [{ statusCode }] = (await once(begun, 'response')) as [IncomingMessage]
    begun.on('error', () => {}).destroy()
    expect([statusCode, blobsOf(await readNow())]).toEqual([expected, 0])
  })

  it.each([
    ['/v1/embeddings', { model: 'vectors' }],
    ['/v1/embeddings', { model: 'digits', input: 'A text.' }],
    ['/rerank', { model: 'vectors', query: 'A text.' }],
    ['/v1/chat/completions', { model: 'abacus', messages: 'none' }],
    ['/v1/completions', { model: 'abacus', prompt: 'a', max_tokens: -1 }],
  ] as const)('loads nothing for a request to %s that is refused by what it asks for: %j', async (path, body) => {
    const headers = { 'content-type': 'application/json' }
    const { status } = await fetch(worker.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    expect([status, blobsOf(await readNow())]).toEqual([400, 0])
  })

  it('answers as ever where a body turns out to be invalid, having loaded once', async () => {
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(`${worker.url}/run/reviews`, { method: 'POST', headers, body: '{"inputs": ' })
    expect([answer.status, await answer.json()]).toEqual([
      400,
      { error: expect.objectContaining({ code: 'invalid_json' }) },
    ])
    expect(blobsOf(await readNow())).toBe(2)
  })

  it('says what is missing where weights cannot be read, though they were asked for before', async () => {
    const bucket = await worker.miniflare.getR2Bucket('BUCKET')
    const kv = await worker.miniflare.getKVNamespace('KV')
    const [key = ''] = (await readsOf({ path: '/run/linear', what: '', body: { inputs: [{ a: 1, b: 2, c: 3 }] } }))
      .flatMap(({ keys }) => keys)
      .filter((each) => each.startsWith('blob/'))
    await bucket.delete(key)
    await kv.delete(key)
    const headers = { 'content-type': 'application/json', 'bench-kv': 'empty' }
    const body = JSON.stringify({ inputs: [{ a: 1, b: 2, c: 3 }] })
    const answer = await fetch(`${worker.url}/run/linear`, { method: 'POST', headers, body })
    expect([answer.status, await answer.json()]).toEqual([
      503,
      { error: expect.objectContaining({ code: 'weights_unavailable' }) },
    ])
  })
})
