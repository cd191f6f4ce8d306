import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceClient } from '@huggingface/inference'
import { pipeline, RawImage, type ZeroShotImageClassificationPipeline } from '@huggingface/transformers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { encodePng } from '../../src/media/image/png-encode.ts'
import { clipModel, siglipModel } from '../../synthetic/two-encoders.ts'
import { bertTokenizer, robertaTokenizer } from '../fixtures/mask-tokenizers.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'
import { type TransformersFolder, transformersFolder } from '../fixtures/node/transformers-folder.ts'

/** Shares up to 1, from the same weights in single precision in other orders of addition. */
const TOLERANCE = 1e-5
const SIDE = 32
const PICTURE = { side: SIDE, patch: 8 }
/** Of CLIP and of SigLIP. */
const POSITIONS = { clip: 77, siglip: 64 }

const read = (name: string): string => readFileSync(join(ROOT, 'models', name, 'tokenizer.json'), 'utf8')
const BERT = bertTokenizer(read('reviews'))
const BYTES = robertaTokenizer(read('abacus'))
const PROCESSOR = {
  do_resize: true,
  size: { height: SIDE, width: SIDE },
  resample: 3,
  do_rescale: true,
  rescale_factor: 1 / 255,
  do_normalize: true,
  image_mean: [0.48145466, 0.4578275, 0.40821073],
  image_std: [0.26862954, 0.26130258, 0.27577711],
}
const LABELS = ['a quiet film', 'two loud dogs', 'A STREET', 'snow', 'what is left of a very long and dull evening']

/** A picture of the model's own size, so that both sides see the same pixels. */
function picture(seed: number) {
  const data = Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % SIDE, Math.floor(i / 3 / SIDE)]
    return Math.round(127 + 120 * Math.sin((seed * x) / 5 + ((i % 3) * seed + y) / 7))
  })
  return { data, png: encodePng({ width: SIDE, height: SIDE, channels: 3, data }) }
}

interface Scored {
  readonly label: string
  readonly score: number
}

/** Models of two encoders, pushed from folders as the hub has them, beside transformers.js on the same files. */
describe('pictures and texts in a running Worker', () => {
  let worker: LiveWorker
  let folder: TransformersFolder
  const notes = new Map<string, readonly string[]>()
  const references = new Map<string, ZeroShotImageClassificationPipeline>()

  beforeAll(async () => {
    folder = await transformersFolder()
    await folder.add('clip', clipModel(PICTURE, { vocabulary: BYTES.size, positions: POSITIONS.clip }), {
      'config.json': { architectures: ['CLIPModel'], model_type: 'clip', text_config: { max_position_embeddings: 77 } },
      'preprocessor_config.json': { ...PROCESSOR, image_processor_type: 'CLIPImageProcessor', do_center_crop: false },
      'tokenizer.json': BYTES.file,
      'tokenizer_config.json': { tokenizer_class: 'CLIPTokenizer', model_max_length: 77, pad_token: '<pad>' },
    })
    await folder.add('siglip', siglipModel(PICTURE, { vocabulary: BERT.size, positions: POSITIONS.siglip }), {
      'config.json': {
        architectures: ['SiglipModel'],
        model_type: 'siglip',
        text_config: { max_position_embeddings: 64 },
      },
      'preprocessor_config.json': { ...PROCESSOR, image_processor_type: 'SiglipImageProcessor' },
      'tokenizer.json': BERT.file,
      'tokenizer_config.json': {
        tokenizer_class: 'SiglipTokenizer',
        model_max_length: 64,
        pad_token: '[PAD]',
        do_lower_case: true,
      },
    })
    worker = await startLiveWorker()
    const writer = await writerFor(worker)
    for (const name of ['clip', 'siglip']) {
      const packed = await folder.packed(name)
      notes.set(name, packed.notes)
      await publish(writer, packed)
      references.set(name, await pipeline('zero-shot-image-classification', name, { dtype: 'fp32' }))
    }
    await publish(writer, await folder.packed('clip', { task: 'image-text-similarity', name: 'similar' }))
  })
  afterAll(async () => {
    await worker?.dispose()
    await folder?.remove()
  })

  async function ask(path: string, body: unknown): Promise<{ status: number; answer: unknown }> {
    const response = await fetch(worker.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return { status: response.status, answer: await response.json() }
  }

  const base64 = async (seed: number) => Buffer.from(await picture(seed).png).toString('base64')
  const reference = async (model: string, seed: number, labels: readonly string[], template: string) => {
    const image = new RawImage(picture(seed).data, SIDE, SIDE, 3)
    const found = await references.get(model)?.(image, [...labels], { hypothesis_template: template })
    return found as Scored[]
  }

  function expectSame(own: readonly Scored[], expected: readonly Scored[]): void {
    expect(own.map(({ label }) => label)).toEqual(expected.map(({ label }) => label))
    for (const [i, { label, score }] of expected.entries()) {
      expect(Math.abs((own[i]?.score ?? 0) - score), label).toBeLessThan(TOLERANCE)
    }
  }

  it('are described by the files of the hub', () => {
    expect(notes.get('clip')).toEqual(
      expect.arrayContaining([
        'task zero-shot-image-classification, by its architecture CLIPModel',
        'scores by softmax',
        'texts are truncated to 77 tokens, the limit of the model',
      ]),
    )
    expect(notes.get('siglip')).toEqual(
      expect.arrayContaining(['scores by sigmoid', 'texts are padded to 64 tokens with [PAD]']),
    )
    expect(notes.get('siglip')?.some((note) => note.includes('lower case'))).toBe(false)
  })

  it.each([
    ['clip', 1],
    ['clip', 2],
    ['siglip', 1],
    ['siglip', 3],
  ])('%s sorts picture %i by labels as transformers.js does', async (model, seed) => {
    const template = 'This is a photo of {}.'
    const expected = await reference(model, seed, LABELS, template)
    const parameters = { candidate_labels: LABELS }
    const { answer, status } = await ask(`/run/${model}`, { inputs: await base64(seed), parameters })
    expect(status, JSON.stringify(answer)).toBe(200)
    expectSame(answer as Scored[], expected)
    // So different that a mistake in any part would show.
    expect((expected[0]?.score ?? 0) - (expected.at(-1)?.score ?? 0)).toBeGreaterThan(0.01)
  })

  it('takes a sentence of the request, and a raw picture with its labels in the query or a form', async () => {
    const template = 'a drawing of {}'
    const labels = LABELS.slice(0, 3)
    const expected = await reference('clip', 4, labels, template)
    const query = new URLSearchParams([
      ...labels.map((label): [string, string] => ['candidate_labels', label]),
      ['hypothesis_template', template],
    ])
    const body = await picture(4).png
    const headers = { 'content-type': 'image/png' }
    const raw = await fetch(`${worker.url}/run/clip?${query}`, { method: 'POST', body, headers })
    expectSame((await raw.json()) as Scored[], expected)
    const form = new FormData()
    form.set('file', new Blob([body], { type: 'image/png' }))
    form.set('parameters', JSON.stringify({ candidate_labels: labels, hypothesis_template: template }))
    const sent = await fetch(`${worker.url}/run/clip`, { method: 'POST', body: form })
    expectSame((await sent.json()) as Scored[], expected)
  })

  it('@huggingface/inference sorts pictures', async () => {
    const client = new InferenceClient('any-key')
    const inputs = { image: new Blob([await picture(5).png], { type: 'image/png' }) }
    const endpointUrl = `${worker.url}/models/siglip`
    const found = await client.zeroShotImageClassification({
      endpointUrl,
      inputs,
      parameters: { candidate_labels: LABELS },
    })
    expectSame(found, await reference('siglip', 5, LABELS, 'This is a photo of {}.'))
    await expect(
      client.zeroShotImageClassification({ endpointUrl, inputs, parameters: { candidate_labels: [] } }),
    ).rejects.toThrow(/candidate_labels/)
  })

  it('answers each picture with each text, as cosines and as logits', async () => {
    const images = await Promise.all([1, 2, 3].map(base64))
    const texts = ['a quiet film', 'two loud dogs']
    const cosines = (await ask('/run/similar', { inputs: { images, texts } })).answer as number[][]
    const { answer } = await ask('/run/similar', { inputs: { images, texts }, parameters: { score: 'logits' } })
    expect(cosines.map((row) => row.length)).toEqual([2, 2, 2])
    for (const [i, row] of (answer as number[][]).entries()) {
      // CLIP's logits are its cosines by its scale, 20 in this model.
      for (const [j, logit] of row.entries()) expect(logit).toBeCloseTo((cosines[i]?.[j] ?? 0) * 20, 4)
      const [first = 0, second = 0] = row
      const share = 1 / (1 + Math.exp(second - first))
      const expected = await reference('clip', i + 1, texts, '{}')
      expect(Math.abs((expected.find(({ label }) => label === texts[0])?.score ?? 0) - share)).toBeLessThan(TOLERANCE)
    }
    // The same model by its other task's path, and one picture with texts beside it.
    const other = await ask('/models/clip', { inputs: { images: images[0], texts } })
    expect(other.answer).toEqual([cosines[0]])
    const query = new URLSearchParams(texts.map((text): [string, string] => ['texts', text]))
    const headers = { 'content-type': 'image/png' }
    const raw = await fetch(`${worker.url}/run/similar?${query}`, {
      method: 'POST',
      body: await picture(1).png,
      headers,
    })
    expect(await raw.json()).toEqual([cosines[0]])
  })

  it('answers a thousand labels in several runs as it answers some of them, or says that they are too many', async () => {
    const labels = Array.from({ length: 300 }, (_, i) => `label number ${i} of all`)
    const { answer } = await ask('/run/siglip', {
      inputs: await base64(1),
      parameters: { candidate_labels: labels.slice(0, 100) },
    })
    expectSame(answer as Scored[], await reference('siglip', 1, labels.slice(0, 100), 'This is a photo of {}.'))
    const refused = await ask('/run/siglip', { inputs: await base64(1), parameters: { candidate_labels: labels } })
    expect(refused).toMatchObject({ status: 413, answer: { error: { code: 'input_too_large', limit_tokens: 16384 } } })
  })
})
