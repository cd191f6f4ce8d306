import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { createClient, type TextDelta, type VergeClient } from '../../src/client/index.ts'
import { CLIENT_SCRIPT } from '../../src/http/client/script.ts'
import { sine, wav } from '../../synthetic/wav.ts'
import { failure } from '../fixtures/client-failure.ts'
import { clientWorker } from '../fixtures/node/client-caller.ts'
import { publishEchoes, publishForClients } from '../fixtures/node/client-models.ts'
import { type DocsWorker, startDocsWorker } from '../fixtures/node/docs-worker.ts'

const KEY = 'a-key-for-clients-0123456789'
const SEVEN = new Uint8Array(readFileSync(join(ROOT, 'models/digits/samples/seven.png')))
const SOUND = wav({ samples: Float64Array.from([...new Float64Array(8000), ...sine(440, 0.6, 16_000, 0.9)]) })
const TEXTS = ['A quiet film that stays with you.', 'A waste of an evening.']
const QUESTION = 'What is 27 plus 58?'

let docs: DocsWorker
let client: VergeClient

beforeAll(async () => {
  docs = await startDocsWorker({ VERGE_API_KEY: KEY }, [await clientWorker('page')])
  client = createClient({ url: docs.worker.url })
  await publishForClients(docs)
  await publishEchoes(docs)
})
afterAll(() => docs?.dispose())

/** What plain `fetch` is answered. */
const posted = (path: string, body: unknown): Promise<unknown> => docs.post(path, JSON.stringify(body))

async function partsOf(deltas: AsyncIterable<TextDelta>): Promise<TextDelta[]> {
  const parts: TextDelta[] = []
  for await (const part of deltas) parts.push(part)
  return parts
}

describe('the client in Node', () => {
  it('is the file that the Worker serves', async () => {
    const response = await fetch(`${docs.worker.url}/client.js`, { headers: { origin: 'https://shop.example' } })
    expect(await response.text()).toBe(CLIENT_SCRIPT)
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
  })

  it('lists models', async () => {
    const response = await fetch(`${docs.worker.url}/v1/models`)
    const { data } = (await response.json()) as { data: unknown }
    expect(await client.models()).toEqual(data)
    expect((await client.models()).map(({ id }) => id)).not.toContain('secret')
    const operator = createClient({ url: `${docs.worker.url}/`, key: KEY })
    expect((await operator.models()).map(({ id }) => id)).toContain('secret')
  })

  it('runs texts', async () => {
    expect(await client.run('reviews', TEXTS[0] ?? '')).toEqual(await posted('/run/reviews', { inputs: TEXTS[0] }))
    const parameters = { top_k: 1 }
    const both = await client.classify('reviews', TEXTS, { parameters })
    expect(both).toEqual(await posted('/run/reviews', { inputs: TEXTS, parameters }))
    expect(both.map(([best]) => best?.label)).toEqual(['positive', 'negative'])
  })

  it('runs pictures, whatever their bytes are in', async () => {
    const expected = await docs.post('/run/digits?top_k=2', SEVEN, 'image/png')
    const parameters = { top_k: 2 }
    for (const picture of [
      new Blob([SEVEN], { type: 'image/png' }),
      new File([SEVEN], 'seven.png', { type: 'image/png' }),
      new Blob([SEVEN]),
      SEVEN,
      SEVEN.buffer,
      new Blob([SEVEN]).stream(),
    ]) {
      expect(await client.classify('digits', picture, { parameters })).toEqual(expected)
    }
    const typed = { parameters, contentType: 'image/png' }
    expect(await client.run('digits', SEVEN, typed)).toEqual(expected)
    expect(await client.detect('faces', SEVEN)).toEqual(await docs.post('/run/faces', SEVEN, 'image/png'))
  })

  it('finds speech', async () => {
    const parameters = { return_probabilities: true }
    const heard = await client.detectSpeech('speech', new Blob([SOUND], { type: 'audio/wav' }), { parameters })
    expect(heard).toEqual(await docs.post('/run/speech?return_probabilities=true', SOUND, 'audio/wav'))
    expect(heard.segments).toHaveLength(1)
    expect(heard.probabilities?.length).toBeGreaterThan(10)
  })

  it('embeds texts, bit by bit what the server has in base64', async () => {
    const { data } = (await posted('/v1/embeddings', { model: 'minilm', input: TEXTS })) as {
      data: { embedding: number[] }[]
    }
    const vectors = await client.embed('minilm', TEXTS)
    expect(vectors.map((vector) => [...vector])).toEqual(data.map(({ embedding }) => embedding.map(Math.fround)))
    const one = await client.embed('minilm', TEXTS[0] ?? '', { parameters: { dimensions: 8, prompt_name: 'query' } })
    expect([one.constructor.name, one.length]).toEqual(['Float32Array', 8])
    expect(await client.embed('minilm', [TEXTS[0] ?? ''])).toHaveLength(1)
  })

  it('ranks documents', async () => {
    const parameters = { top_n: 1, return_documents: true }
    const documents = ['the evening', 'the and', 'and and']
    const ranked = await client.rerank('cross', 'the', documents, { parameters })
    const { results } = (await posted('/rerank', { model: 'cross', query: 'the', documents, ...parameters })) as {
      results: unknown
    }
    expect(ranked).toEqual(results)
    expect(ranked[0]?.document?.text).toBe(documents[ranked[0]?.index ?? -1])
  })

  it('chats part by part, and whole', async () => {
    const parameters = { temperature: 0, max_tokens: 40 }
    const messages = [{ role: 'user' as const, content: QUESTION }]
    const plain = (await posted('/v1/chat/completions', { model: 'abacus', messages, ...parameters })) as {
      choices: { message: { content: string }; finish_reason: string }[]
      usage: object
    }
    const [choice] = plain.choices
    const whole = await client.chat('abacus', QUESTION, { parameters }).answer()
    const answer = { text: choice?.message.content, finishReason: choice?.finish_reason }
    expect(whole).toEqual({ ...answer, texts: [answer], usage: plain.usage })
    expect(whole.text).toContain('85')
    const parts = await partsOf(client.chat('abacus', messages, { parameters }))
    expect(parts.map(({ text }) => text).join('')).toBe(whole.text)
    expect(parts.filter(({ text }) => text !== '').length).toBeGreaterThan(3)
    expect(parts.flatMap(({ finishReason }) => finishReason ?? [])).toEqual([whole.finishReason])
    expect(parts.at(-1)?.usage).toEqual(whole.usage)
  })

  it('yields a text while it is generated: no part waits for the next ones', async () => {
    // The model's texts are short, so it writes several, one after the other.
    const call = () => client.complete('abacus', new Array(8).fill('27 plus 58 is'), { parameters: { temperature: 0 } })
    await call().answer()
    // Shares of the time until the end, because a busy machine makes all of it longer.
    const shares = async (): Promise<{ first: number; gap: number; parts: number; tokens: number }> => {
      const begun = performance.now()
      const at: number[] = []
      let tokens = 0
      for await (const { usage } of call()) {
        at.push(performance.now() - begun)
        tokens = usage?.completion_tokens ?? tokens
      }
      const end = at.at(-1) ?? 0
      const gaps = at.slice(1).map((time, i) => time - (at[i] ?? 0))
      return { first: (at[0] ?? 0) / end, gap: Math.max(...gaps) / end, parts: at.length, tokens }
    }
    const rounds = [await shares(), await shares(), await shares()]
    const median = (of: (round: (typeof rounds)[number]) => number) => rounds.map(of).sort((a, b) => a - b)[1] ?? 1
    expect(median(({ tokens }) => tokens)).toBeGreaterThan(30)
    // Some tokens are no character by themselves.
    expect(median(({ parts, tokens }) => parts / tokens)).toBeGreaterThan(0.5)
    expect(median(({ first }) => first)).toBeLessThan(0.5)
    expect(median(({ gap }) => gap)).toBeLessThan(0.5)
  })

  it('continues texts', async () => {
    const parameters = { temperature: 0, stop: '.' }
    const prompts = ['27 plus 58 is', '9 plus 4 is']
    const result = await client.complete('abacus', prompts, { parameters }).answer()
    const { choices } = (await posted('/v1/completions', { model: 'abacus', prompt: prompts, ...parameters })) as {
      choices: { text: string }[]
    }
    expect(result.texts.map(({ text }) => text)).toEqual(choices.map(({ text }) => text))
    expect(result.text.trim()).toBe('85')
    const texts = ['', '']
    for await (const { index, text } of client.complete('abacus', prompts, { parameters })) texts[index] += text
    expect(texts).toEqual(choices.map(({ text }) => text))
  })

  it('infers, with typed arrays both ways', async () => {
    const echoes = {
      fp32: { datatype: 'FP32', data: Float32Array.of(1.5, -2, Number.NaN, Number.POSITIVE_INFINITY) },
      int64: { datatype: 'INT64', data: BigInt64Array.of(2n ** 53n + 1n, -1n, 0n, 1n) },
      bool: { datatype: 'BOOL', data: Uint8Array.of(1, 0, 0, 1) },
      uint8: { datatype: 'UINT8', data: Uint8Array.of(255, 0, 7, 1) },
      fp16: { datatype: 'FP16', data: Uint16Array.of(0x3c00, 0xc000, 0x7c00, 0x0001) },
      bytes: { datatype: 'BYTES', data: ['', 'a', '\u{1f642}', '\ufeffé'] },
    } as const
    for (const [model, { data, datatype }] of Object.entries(echoes)) {
      const inferred = await client.infer(model, { input: { datatype, shape: [4], data } })
      expect(inferred).toEqual({ model, version: '1', outputs: { output: { datatype, shape: [4], data } } })
    }
    const halves = await client.infer('fp16', { input: { shape: [2], data: Float16Array.of(1, -2) } })
    expect(halves.outputs.output?.data).toEqual(Uint16Array.of(0x3c00, 0xc000))
    // A view of other memory, which begins at no multiple of its elements' width.
    const inside = new Float32Array(new Float32Array([9, 1, 2, 9]).buffer, 4, 2)
    const two = await client.infer(
      'fp32',
      { input: { shape: [2], data: inside } },
      { outputs: ['output'], version: '1' },
    )
    expect(two.outputs.output?.data).toEqual(Float32Array.of(1, 2))
    // Memory of its own, so that it can be handed to another thread.
    expect(two.outputs.output).toHaveProperty('data.buffer.byteLength', 8)
  })

  it('infers what plain JSON is answered', async () => {
    const metadata = (await (await fetch(`${docs.worker.url}/v2/models/digits`)).json()) as {
      inputs: { name: string; datatype: string; shape: number[] }[]
    }
    const [input = { name: '', datatype: '', shape: [] }] = metadata.inputs
    const shape = input.shape.map((size) => Math.abs(size))
    const count = shape.reduce((product, size) => product * size, 1)
    const data = Float32Array.from({ length: count }, (_, i) => Math.fround(Math.sin(i)))
    const plain = (await posted('/v2/models/digits/infer', {
      inputs: [{ name: input.name, datatype: input.datatype, shape, data: [...data] }],
    })) as { outputs: { name: string; data: number[] }[] }
    const { outputs } = await client.infer('digits', { [input.name]: { shape, data } })
    expect(Object.keys(outputs)).toEqual(plain.outputs.map(({ name }) => name))
    for (const { data, name } of plain.outputs) {
      expect(Array.from(outputs[name]?.data as Float32Array)).toEqual(data.map(Math.fround))
    }
  })

  it('says what the headers of an answer say', async () => {
    const seen: unknown[] = []
    const onAnswer = (info: unknown): void => void seen.push(info)
    await client.run('reviews', 'Fine.', { onAnswer, requestId: 'mine-1', cache: 'no-store', place: 'edge' })
    await partsOf(client.chat('abacus', QUESTION, { onAnswer, parameters: { max_tokens: 2 } }))
    expect(seen).toMatchObject([
      {
        status: 200,
        requestId: 'mine-1',
        model: expect.stringMatching(/^reviews@\d+$/),
        cache: 'bypass',
        placement: expect.stringMatching(/^edge;/),
        attempts: 1,
      },
      { status: 200, model: expect.stringMatching(/^abacus@\d+$/), attempts: 1 },
    ])
  })

  it('throws what the server says, from each of its protocols', async () => {
    const shown = async (work: Promise<unknown>) => {
      const { code, details, message, requestId, status } = await failure(work)
      return { code, status, details, message, hasId: /^[\w-]{8,}$/.test(requestId ?? '') }
    }
    const hasId = true
    const text = (part: string) => expect.stringContaining(part)
    expect(await shown(client.run('absent', 'x'))).toMatchObject({
      code: 'model_not_found',
      status: 404,
      hasId,
      message: text('"absent"'),
    })
    expect(await shown(client.run('reviews', 'x', { parameters: { top_k: -1 } }))).toMatchObject({
      code: 'invalid_request',
      status: 400,
      hasId,
    })
    expect(await shown(client.run('digits', Uint8Array.of(1, 2, 3)))).toMatchObject({
      code: 'invalid_image',
      status: 400,
    })
    expect(await shown(client.embed('digits', 'x'))).toMatchObject({ code: 'task_mismatch', hasId })
    const long = 'x '.repeat(2_000)
    expect(await shown(client.chat('abacus', long).answer())).toMatchObject({ code: 'context_length_exceeded', hasId })
    expect(await shown(partsOf(client.chat('abacus', long)))).toMatchObject({ code: 'context_length_exceeded', hasId })
    expect(await shown(client.infer('fp32', {}))).toMatchObject({ code: 'missing_input', status: 400, hasId })
    const wrong = { input: { shape: [2 ** 30], data: Float32Array.of(1) } }
    expect(await shown(client.infer('fp32', wrong))).toMatchObject({ code: 'input_too_large', status: 413, hasId })
    const key = 'not-the-key-of-the-operator'
    const stranger = createClient({ url: docs.worker.url, key })
    const refused = await failure(stranger.run('secret', 'x'))
    expect([refused.code, refused.status]).toEqual(['unauthorized', 401])
    expect(JSON.stringify(refused) + refused.message + refused.stack).not.toContain(key)
    expect(await shown(client.run('reviews', 'x', { version: '9' }))).toMatchObject({ code: 'version_not_found' })
  })

  it('frees the server when a chat is left, or ended by its signal', async () => {
    const parameters = { temperature: 2, max_tokens: 150 }
    // More than there are places: each has to be given back.
    for (let i = 0; i < 20; i++) {
      for await (const _ of client.chat('abacus', 'What is 8 plus 9?', { parameters })) break
      const controller = new AbortController()
      const { signal } = controller
      const ended = async (): Promise<void> => {
        for await (const _ of client.chat('abacus', 'What is 8 plus 9?', { parameters, signal })) controller.abort()
      }
      expect((await failure(ended())).code).toBe('cancelled')
    }
    const { text } = await client.chat('abacus', 'What is 8 plus 9?', { parameters: { temperature: 0 } }).answer()
    expect(text).toContain('17')
  })

  it('ends a call by its signal, before and on the way', async () => {
    const reason = new Error('enough')
    const error = await failure(client.run('reviews', 'x', { signal: AbortSignal.abort(reason) }))
    expect([error.code, error.cause]).toEqual(['cancelled', reason])
    const controller = new AbortController()
    const call = client.run('reviews', TEXTS, { signal: controller.signal })
    controller.abort()
    expect((await failure(call)).code).toBe('cancelled')
  })
})

describe('the client in another Worker, over a service binding', () => {
  const call = async (method: string, args: unknown[] = [], options: object = {}): Promise<unknown> => {
    const caller = await docs.worker.miniflare.getWorker('page')
    const body = JSON.stringify({ method, args, options })
    return (await caller.fetch('http://caller/', { method: 'POST', body })).json()
  }
  const base64 = Buffer.from(SEVEN).toString('base64')

  it('gets what Node gets', async () => {
    const parameters = { temperature: 0, top_k: 2 }
    const answers = (answer: unknown) => expect.objectContaining({ answer })
    expect(await call('models')).toEqual(answers(await client.models()))
    expect(await call('classify', ['reviews', TEXTS])).toEqual(answers(await client.classify('reviews', TEXTS)))
    const digits = await client.classify('digits', SEVEN, { parameters: { top_k: 2 } })
    for (const picture of [{ $bytes: base64 }, { $blob: base64 }, { $stream: base64 }]) {
      expect(await call('classify', ['digits', picture], { parameters: { top_k: 2 } })).toEqual(answers(digits))
    }
    const rerank = ['cross', 'the', ['the evening', 'and and']] as const
    expect(await call('rerank', [...rerank])).toEqual(answers(await client.rerank(...rerank)))
    const [vector = []] = await client.embed('minilm', TEXTS)
    const embedded = { array: 'Float32Array', values: [...vector] }
    expect(await call('embed', ['minilm', TEXTS[0]])).toEqual(answers(embedded))
    const whole = await client.chat('abacus', QUESTION, { parameters }).answer()
    expect(await call('answer', ['abacus', QUESTION], { parameters })).toEqual(answers(whole))
    expect(await call('infer', ['fp32', { input: { shape: [2], data: { $floats: [1.5, -2] } } }])).toMatchObject({
      answer: { outputs: { output: { shape: [2], data: { values: [1.5, -2] } } } },
    })
    const { answer } = (await call('parts', ['abacus', QUESTION], { parameters })) as { answer: TextDelta[] }
    expect(answer.map(({ text }) => text).join('')).toBe(whole.text)
    expect(answer.at(-1)?.usage).toEqual(whole.usage)
  })

  it('is told what is wrong, and frees the server when it leaves a chat', async () => {
    expect(await call('run', ['absent', 'x'])).toMatchObject({
      thrown: { name: 'VergeError', code: 'model_not_found', status: 404, isVergeError: true },
    })
    const parameters = { temperature: 2, max_tokens: 150 }
    for (let i = 0; i < 20; i++) {
      expect(await call('first', ['abacus', QUESTION], { parameters })).toMatchObject({ answer: { index: 0 } })
    }
    expect(await call('answer', ['abacus', QUESTION])).toMatchObject({ answer: { usage: expect.any(Object) } })
  })
})
