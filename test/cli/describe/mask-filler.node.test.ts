import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Signature } from '../../../src/core/tensors.ts'
import { bertTokenizer } from '../../fixtures/mask-tokenizers.ts'
import { type Sources, startSources, TOKENIZER } from '../../fixtures/node/describe.ts'

const CONFIG = { architectures: ['BertForMaskedLM'], model_type: 'bert', max_position_embeddings: 512 }

function masked(vocabulary: number | string): Signature {
  const tokens = ['batch_size', 'sequence_length']
  return {
    inputs: ['input_ids', 'attention_mask'].map((name) => ({ name, datatype: 'INT64', shape: tokens })),
    outputs: [{ name: 'logits', datatype: 'FP32', shape: [...tokens, vocabulary] }],
  }
}

describe('models that fill masks', () => {
  let sources: Sources
  let tokenizer: object
  beforeAll(async () => {
    sources = await startSources()
    tokenizer = bertTokenizer(await readFile(TOKENIZER, 'utf8')).file
  })
  afterAll(() => sources?.remove())

  it.each([
    ['a text', '[MASK]'],
    ['an object', { content: '[MASK]', lstrip: false }],
    ['the tokenizer alone', undefined],
  ])('take the mask token of tokenizer_config.json as %s', async (_, mask_token) => {
    const { description, notes } = await sources.describe(
      {
        'config.json': CONFIG,
        'tokenizer.json': tokenizer,
        'tokenizer_config.json': { ...(mask_token && { mask_token }) },
      },
      masked(21_547),
    )
    expect(description.task).toBe('fill-mask')
    expect(description.preprocess?.text).toEqual({ maxTokens: 512, maskToken: '[MASK]' })
    expect(notes).toContain('at the edge a text may have 194 tokens, because the model gives 21547 scores for each')
  })

  it('are raw tensors where no file names the token, or the vocabulary is of unknown size', async () => {
    const files = { 'config.json': CONFIG, 'tokenizer.json': TOKENIZER }
    expect(await sources.notes(files, masked(21_547))).toMatch(/^raw tensors: no file names its mask token/m)
    const named = { ...files, 'tokenizer_config.json': { mask_token: '[MASK]' } }
    expect(await sources.notes(named, masked('vocabulary'))).toMatch(/^raw tensors: .*vocabulary of known size$/m)
  })
})
