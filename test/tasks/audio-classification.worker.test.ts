import { describe, expect, it } from 'vitest'
import { type Tensors, tensor } from '../../src/core/tensors.ts'
import { sine, wav } from '../../synthetic/wav.ts'
import { toBase64 } from '../fixtures/base64.ts'
import { testApp, testModel } from '../fixtures/http.ts'
import { LISTENER_AUDIO, LISTENER_SIGNATURE, listened } from '../fixtures/listener.ts'

/** Scores: how loud, and the number of samples. */
function measure(inputs: Tensors): Tensors {
  const sound = inputs.get('sound')
  if (sound?.datatype !== 'FP32') throw new Error('no sound')
  const loud = sound.data.reduce((sum, sample) => sum + Math.abs(sample), 0) / sound.data.length
  return new Map([['logits', tensor('FP32', [1, 2], Float32Array.of(loud, sound.data.length))]])
}

const sound = (shape: (number | string)[]) => ({ name: 'sound', datatype: 'FP32' as const, shape })
const ear = (name: string, inputs: Parameters<typeof testModel>[2]['inputs'], audio: object = {}) =>
  testModel(
    name,
    'public',
    {
      task: 'audio-classification',
      labels: ['loud', 'long'],
      activation: 'none',
      audio: { sampleRate: 16_000, normalize: false, ...audio },
      inputs,
      outputs: [{ name: 'logits', datatype: 'FP32', shape: ['batch', 2] }],
    },
    { compute: measure },
  )

async function listen(inputs: Tensors): Promise<Tensors> {
  const [samples, memory, rate] = [inputs.get('samples'), inputs.get('memory'), inputs.get('rate')]
  if (samples?.datatype !== 'FP32' || memory?.datatype !== 'FP32' || rate?.datatype !== 'INT64') {
    throw new Error('wrong inputs')
  }
  if (rate.shape.length !== 0 || rate.data[0] !== 16_000n) throw new Error('wrong rate')
  const mean = samples.data.reduce((sum, sample) => sum + Math.abs(sample), 0) / samples.data.length
  const next = Float32Array.of((mean + (memory.data[0] ?? 0)) / 2)
  return new Map([
    ['speech', tensor('FP32', [1, 1], next)],
    ['memoryN', tensor('FP32', [1, 1], next)],
  ])
}
const voice = (name: string, fields: object = {}, compute = listen) =>
  testModel(
    name,
    'public',
    { task: 'voice-activity-detection', ...LISTENER_SIGNATURE, audio: LISTENER_AUDIO, ...fields },
    { compute },
  )

const { serving, post, request } = testApp({
  models: [
    ear('ear', [sound(['batch', 'samples'])]),
    ear('flat', [sound(['samples'])]),
    ear('deep', [sound(['batch', 1, 'samples'])]),
    ear('masked', [
      sound(['batch', 'samples']),
      { name: 'attention_mask', datatype: 'INT64', shape: ['batch', 'samples'] },
    ]),
    ear('second', [sound(['batch', 16_000])], { samples: 16_000, normalize: true }),
    ear('odd', [sound(['batch', 'samples']), { name: 'speaker', datatype: 'INT64', shape: ['batch'] }]),
    testModel('bare', 'public', { task: 'audio-classification', inputs: [sound(['n'])], outputs: [] }),
    voice('voice'),
    voice('windowless', { audio: { sampleRate: 16_000, normalize: false } }),
    voice('broken', {}, async () => new Map([['speech', tensor('FP32', [1, 1], Float32Array.of(0.5))]])),
  ],
  limits: { audioSeconds: 2, audioBytes: 100_000 },
})

const tone = wav({ samples: new Float64Array(1600).fill(0.5) })
const typed = (type: string) => ({ 'content-type': type })

describe('audio classification', () => {
  const answer = [
    { label: 'long', score: 1600 },
    { label: 'loud', score: 0.5 },
  ]

  it.each(['audio/wav', 'audio/x-wav', 'audio/wave', 'application/octet-stream', 'audio/wav; codecs=1'])(
    'takes bytes as %s',
    async (type) => {
      const response = await post('/run/ear', tone, typed(type))
      expect(response.status).toBe(200)
      expect(await response.json()).toEqual(answer)
    },
  )

  it.each([
    ['base64', toBase64(tone)],
    ['a data: URL', `data:audio/wav;base64,${toBase64(tone)}`],
  ])('takes %s in JSON', async (_, inputs) => {
    expect(await (await post('/run/ear', { inputs })).json()).toEqual(answer)
  })

  it('takes a form, and parameters', async () => {
    const form = new FormData()
    form.set('file', new File([tone], 'tone.wav', { type: 'audio/wav' }))
    form.set('parameters', '{"top_k": 1}')
    const response = await request('/run/ear', { method: 'POST', body: form })
    expect(await response.json()).toEqual(answer.slice(0, 1))
  })

  it.each([
    ['flat', [1600]],
    ['deep', [1, 1, 1600]],
    ['masked', [1, 1600]],
  ])('gives %s the rank that it takes', async (model, shape) => {
    expect((await post(`/run/${model}`, tone, typed('audio/wav'))).status).toBe(200)
    const inputs = serving.runs.at(-1)?.inputs
    expect(inputs?.get('sound')?.shape).toEqual(shape)
    if (model === 'masked') expect(inputs?.get('attention_mask')).toMatchObject({ shape: [1, 1600] })
  })

  it('resamples, pads and normalizes as the manifest says', async () => {
    const file = wav({ samples: sine(300, 0.25, 8000), sampleRate: 8000 })
    expect((await post('/run/second', file, typed('audio/wav'))).status).toBe(200)
    const samples = serving.runs.at(-1)?.inputs.get('sound')?.data as Float32Array
    expect(samples).toHaveLength(16_000)
    const heard = samples.subarray(0, 4000)
    expect(heard.reduce((sum, sample) => sum + sample ** 2, 0) / 4000).toBeCloseTo(1, 3)
    expect(samples.subarray(4000).every((sample) => sample === 0)).toBe(true)
  })

  it('takes the example of the document', async () => {
    const document = await (await request('/openapi.json?model=ear&model=voice')).json<{
      paths: Record<string, { post: { requestBody: { content: Record<string, { example?: unknown }> } } }>
    }>()
    for (const path of ['/run/ear', '/run/voice']) {
      const example = document.paths[path]?.post.requestBody.content['application/json']?.example
      expect((await post(path, example)).status, path).toBe(200)
    }
  })

  it.each<[string, string, BodyInit | object, Record<string, string>, number, string, RegExp]>([
    ['nothing', 'ear', new Uint8Array(0), typed('audio/wav'), 400, 'empty_input', /audio/],
    ['no WAV', 'ear', new TextEncoder().encode('ID3 something'), typed('audio/wav'), 400, 'invalid_audio', /WAV/],
    ['a WAV without samples', 'ear', wav({ samples: [] }), typed('audio/wav'), 400, 'empty_input', /samples/],
    [
      'a sound that is too long',
      'ear',
      wav({ samples: new Float64Array(2100), sampleRate: 1000 }),
      typed('audio/wav'),
      413,
      'input_too_large',
      /seconds/,
    ],
    [
      'a file that is too large',
      'ear',
      wav({ samples: new Float64Array(60_000) }),
      typed('audio/wav'),
      413,
      'input_too_large',
      /bytes/,
    ],
    ['too much base64', 'ear', { inputs: 'A'.repeat(150_000) }, {}, 413, 'input_too_large', /bytes/],
    ['an MP3', 'ear', tone, typed('audio/mpeg'), 415, 'unsupported_media_type', /audio\/wav/],
    ['a URL', 'ear', { inputs: 'https://example.com/a.wav' }, {}, 400, 'invalid_request', /URL/],
    ['no base64', 'ear', { inputs: '!' }, {}, 400, 'invalid_request', /base64/],
    ['a data: URL without base64', 'ear', { inputs: 'data:audio/wav,abc' }, {}, 400, 'invalid_request', /base64/],
    [
      'an unknown parameter',
      'ear',
      { inputs: toBase64(tone), parameters: { topk: 1 } },
      {},
      400,
      'invalid_request',
      /topk/,
    ],
    ['a model with an input too many', 'odd', tone, typed('audio/wav'), 500, 'manifest_invalid', /speaker/],
    ['a model that does not say how', 'bare', tone, typed('audio/wav'), 500, 'manifest_invalid', /audio settings/],
    [
      'a threshold of 2',
      'voice',
      { inputs: toBase64(tone), parameters: { threshold: 2 } },
      {},
      400,
      'invalid_request',
      /threshold/,
    ],
    [
      'a lower threshold above the upper',
      'voice',
      { inputs: toBase64(tone), parameters: { threshold: 0.2, neg_threshold: 0.3 } },
      {},
      400,
      'invalid_request',
      /neg_threshold/,
    ],
    ['a model without windows', 'windowless', tone, typed('audio/wav'), 500, 'manifest_invalid', /window/],
    ['a model that forgets its state', 'broken', tone, typed('audio/wav'), 500, 'manifest_invalid', /memoryN/],
  ])('refuses %s', async (_, model, body, headers, status, code, message) => {
    const response = await post(`/run/${model}`, body, headers)
    const { error } = await response.json<{ error: { code: string; message: string } }>()
    expect([response.status, error.code]).toEqual([status, code])
    expect(error.message).toMatch(message)
  })
})

describe('the document', () => {
  it('has a WebSocket for models that hear streams', async () => {
    const { paths } = await (await request('/openapi.json?model=voice&model=broken&model=ear')).json<{
      paths: Record<string, { get?: { parameters: { name: string }[]; responses: Record<string, unknown> } }>
    }>()
    expect(Object.keys(paths).filter((path) => path.startsWith('/stream/'))).toEqual([
      '/stream/{model}',
      '/stream/voice',
      '/stream/broken',
    ])
    const get = paths['/stream/voice']?.get
    expect(Object.keys(get?.responses ?? {})).toEqual(['101', 'default'])
    expect(get?.parameters.map(({ name }) => name)).toContain('min_silence_duration_ms')
  })
})

describe('voice activity detection', () => {
  // Loud for 50 ms, quiet for 150 ms, loud to the end, which is in the middle of a window.
  const samples = Float64Array.from({ length: 16 * 300 + 7 }, (_, i) => (i < 800 || i >= 3200 ? 0.75 : 0))
  const file = wav({ samples })

  it('runs the model window by window, each with what the one before left', async () => {
    const before = serving.runs.length
    const response = await post('/run/voice', { inputs: toBase64(file), parameters: { return_probabilities: true } })
    const answer = await response.json<{ window: number; probabilities: number[]; segments: unknown[] }>()
    const exact = listened(samples)
    expect(answer.window).toBe(0.01)
    expect(answer.probabilities).toHaveLength(31)
    for (const [i, value] of answer.probabilities.entries()) expect(value).toBeCloseTo(exact[i] ?? Number.NaN, 5)
    expect(serving.runs.length - before).toBe(31)
    // From the manifest: threshold 0.3, so 0.15 ends it; 20 ms at the least, 60 ms of silence, padded by 10 ms.
    const quiet = exact.findIndex((value, i) => i > 4 && value < 0.15)
    expect(quiet).toBeGreaterThan(4)
    const again = exact.findIndex((value, i) => i > quiet && value >= 0.3)
    expect(answer.segments).toMatchObject([
      { start: 0, end: quiet * 0.01 + 0.01 },
      { start: (again * 160 - 160) / 16_000, end: samples.length / 16_000 },
    ])
  })

  it('takes the rules of the request before those of the manifest', async () => {
    const parameters = { threshold: 0.5, min_silence_duration_ms: 0, min_speech_duration_ms: 0, speech_pad_ms: 0 }
    const { segments } = await (await post('/run/voice', { inputs: toBase64(file), parameters })).json<{
      segments: { start: number; end: number; score: number }[]
    }>()
    const exact = listened(samples)
    const first = exact.findIndex((value) => value >= 0.5)
    expect(segments[0]?.start).toBeCloseTo(first * 0.01, 9)
    expect(segments[0]?.end).toBeCloseTo(exact.findIndex((value, i) => i > first && value < 0.35) * 0.01, 9)
  })

  it('finds nothing in silence', async () => {
    const silence = wav({ samples: new Float64Array(8000) })
    expect(await (await post('/run/voice', silence, typed('audio/wav'))).json()).toEqual({ segments: [] })
  })

  it('has no streams where the platform has no place for them', async () => {
    const response = await request('/stream/voice', { headers: { upgrade: 'websocket' } })
    expect(response.status).toBe(501)
    expect(await response.json()).toMatchObject({ error: { code: 'streams_unavailable' } })
  })

  it.each([
    ['ear', 400, 'task_mismatch'],
    ['windowless', 400, 'task_mismatch'],
    ['nobody', 404, 'model_not_found'],
  ])('refuses a stream to %s', async (model, status, code) => {
    const response = await request(`/stream/${model}`, { headers: { upgrade: 'websocket' } })
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ error: { code } })
  })
})
