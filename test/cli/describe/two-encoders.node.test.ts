import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Signature } from '../../../src/core/tensors.ts'
import { type Sources, startSources, TOKENIZER } from '../../fixtures/node/describe.ts'

const text = (name: string) => ({ name, datatype: 'INT64' as const, shape: ['texts', 'length'] })
const PIXELS = { name: 'pixel_values', datatype: 'FP32' as const, shape: ['images', 3, 224, 224] }
const OUTPUTS: Signature['outputs'] = [{ name: 'logits_per_image', datatype: 'FP32', shape: ['images', 'texts'] }]
const CLIP: Signature = { inputs: [text('input_ids'), PIXELS, text('attention_mask')], outputs: OUTPUTS }
const SIGLIP: Signature = { inputs: [text('input_ids'), PIXELS], outputs: OUTPUTS }

const PROCESSOR = {
  ...{ image_processor_type: 'CLIPImageProcessor', do_resize: true, do_rescale: true, rescale_factor: 1 / 255 },
  ...{ do_normalize: true, image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5], resample: 3 },
  size: { height: 224, width: 224 },
}
const filesOf = (type: 'clip' | 'siglip', tokenizer: object) => ({
  'config.json': {
    architectures: [type === 'clip' ? 'CLIPModel' : 'SiglipModel'],
    model_type: type,
    text_config: { max_position_embeddings: type === 'clip' ? 77 : 64 },
  },
  'preprocessor_config.json': {
    ...PROCESSOR,
    image_processor_type: type === 'clip' ? 'CLIPImageProcessor' : 'SiglipImageProcessor',
  },
  'tokenizer.json': TOKENIZER,
  'tokenizer_config.json': tokenizer,
})

describe('models of pictures and texts', () => {
  let sources: Sources
  beforeAll(async () => {
    sources = await startSources()
  })
  afterAll(() => sources?.remove())

  it('are described from both encoders of CLIP', async () => {
    const { description } = await sources.describe(filesOf('clip', { model_max_length: 77 }), CLIP)
    expect(description).toMatchObject({
      task: 'zero-shot-image-classification',
      activation: 'softmax',
      tokenizer: 'tokenizer.json',
      preprocess: { text: { maxTokens: 77 }, image: { mode: 'RGB', size: [224, 224], resample: 'bicubic' } },
    })
    expect(description.preprocess?.text?.padding).toBeUndefined()
  })

  it('pad the texts of SigLIP, whose scores are probabilities of their own', async () => {
    const settings = { model_max_length: 64, pad_token: { content: '</s>' }, do_lower_case: true }
    const { description } = await sources.describe(filesOf('siglip', settings), SIGLIP)
    expect(description.activation).toBe('sigmoid')
    // This tokenizer makes texts lower case itself.
    expect(description.preprocess?.text).toEqual({ maxTokens: 64, padding: { length: 64, token: '</s>' } })
  })

  it('are compared by the task that is asked for', async () => {
    const overrides = { task: 'image-text-similarity' } as const
    const { description } = await sources.describe(filesOf('clip', {}), CLIP, overrides)
    expect(description.task).toBe('image-text-similarity')
  })

  it('are raw tensors where the padding is unknown, or one of both sides is missing', async () => {
    expect(await sources.notes(filesOf('siglip', {}), SIGLIP)).toMatch(/^raw tensors: .* names no pad_token$/m)
    const alone = {
      inputs: [PIXELS],
      outputs: [{ name: 'image_embeds', datatype: 'FP32' as const, shape: ['images', 512] }],
    }
    expect(await sources.notes(filesOf('clip', {}), alone)).toMatch(/^raw tensors: it does not compare both sides/m)
  })
})
