import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ROOT } from '../../../src/cli/files/project.ts'
import { descriptionSchema } from '../../../src/cli/pack/description.ts'
import { pack, packFolder } from '../../../src/cli/pack/packer.ts'
import type { Signature } from '../../../src/core/tensors.ts'
import { wordsTokenizer } from '../../fixtures/language.ts'
import { type Sources, startSources } from '../../fixtures/node/describe.ts'

const ids = ['batch_size', 'sequence_length']
const cache = ['batch_size', 2, 'past_sequence_length', 8]
const CAUSAL: Signature = {
  inputs: [
    { name: 'input_ids', datatype: 'INT64', shape: ids },
    { name: 'attention_mask', datatype: 'INT64', shape: ['batch_size', 'past_sequence_length + sequence_length'] },
    { name: 'past_key_values.0.key', datatype: 'FP32', shape: cache },
    { name: 'past_key_values.0.value', datatype: 'FP32', shape: cache },
  ],
  outputs: [
    { name: 'logits', datatype: 'FP32', shape: [...ids, 258] },
    { name: 'present.0.key', datatype: 'FP32', shape: cache },
    { name: 'present.0.value', datatype: 'FP32', shape: cache },
  ],
}
const TOKENIZER = new TextDecoder().decode(wordsTokenizer())
const CONFIG = { architectures: ['LlamaForCausalLM'], max_position_embeddings: 512, eos_token_id: 7 }

let sources: Sources

beforeEach(async () => {
  sources = await startSources()
})
afterEach(() => sources.remove())

describe('causal language models', () => {
  it('are described by what transformers writes beside them', async () => {
    const { description, notes } = await sources.describe(
      {
        'config.json': CONFIG,
        'generation_config.json': { eos_token_id: [7, 9] },
        'tokenizer.json': TOKENIZER,
        'tokenizer_config.json': {
          bos_token: { content: '<|start|>' },
          eos_token: '<|end|>',
          chat_template: [
            { name: 'tool_use', template: 'x' },
            { name: 'default', template: '{{ messages }}' },
          ],
        },
      },
      CAUSAL,
    )
    expect(description).toMatchObject({
      task: 'text-generation',
      tokenizer: 'tokenizer.json',
      chatTemplate: 'chat_template.jinja',
      preprocess: {
        generation: { contextLength: 512, stopTokens: [7, 9, 256], bosToken: '<|start|>', eosToken: '<|end|>' },
      },
    })
    expect(notes).toContain('task text-generation, by its architecture LlamaForCausalLM')
  })

  it('continue texts where there is no template', async () => {
    const config = { architectures: ['GPT2LMHeadModel'], n_positions: 64, eos_token_id: 256 }
    const { description } = await sources.describe({ 'config.json': config, 'tokenizer.json': TOKENIZER }, CAUSAL)
    expect(description).toMatchObject({ preprocess: { generation: { contextLength: 64, stopTokens: [256] } } })
    expect(description).not.toHaveProperty('chatTemplate')
  })

  it('are raw tensors where they are of another form', async () => {
    const odd = {
      ...CAUSAL,
      inputs: [...CAUSAL.inputs, { name: 'pixel_values', datatype: 'FP32' as const, shape: [1] }],
    }
    const { description, notes } = await sources.describe({ 'config.json': CONFIG, 'tokenizer.json': TOKENIZER }, odd)
    expect(description).not.toHaveProperty('task')
    expect(notes.join()).toContain('pixel_values')
    const bare = await sources.describe({ 'config.json': CONFIG }, CAUSAL)
    expect(bare.notes.join()).toContain('tokenizer.json')
  })
})

describe('verge.json of a model that writes', () => {
  const fields = {
    name: 'writer',
    version: '1',
    licence: 'MIT',
    task: 'text-generation',
    tokenizer: 'tokenizer.json',
    preprocess: { generation: { contextLength: 64, stopTokens: [1] } },
    artifacts: [{ file: 'net.onnx', dtype: 'fp32' }],
  }
  const problems = (more: object): string[] => {
    const result = descriptionSchema.safeParse({ ...fields, ...more })
    return result.success ? [] : result.error.issues.map(({ path }) => path.join('.'))
  }

  it.each([
    [{}, []],
    [{ placement: 'origin', batching: true, chatTemplate: 'chat_template.jinja' }, []],
    [{ preprocess: {} }, ['preprocess.generation']],
    [{ tokenizer: undefined }, ['tokenizer']],
    [{ preprocess: { generation: { contextLength: 0, stopTokens: [] } } }, ['preprocess.generation.contextLength']],
    [{ chatTemplate: '../elsewhere.jinja' }, ['chatTemplate']],
    [{ task: 'text-ranking', chatTemplate: 'x.jinja' }, ['chatTemplate']],
    [{ placement: 'moon' }, ['placement']],
    [{ artifacts: [] }, ['artifacts']],
    [{ artifacts: [], placement: 'edge' }, ['artifacts']],
    [{ artifacts: [], placement: 'origin' }, []],
    [{ artifacts: [], placement: 'origin', tokenizer: undefined, preprocess: undefined }, []],
    [{ inputs: [] }, ['inputs']],
  ])('is held to what it needs: %j', (more, expected) => {
    expect(problems(more)).toEqual(expected)
  })

  it('needs no artifact where a server of the operator\u2019s has the weights', async () => {
    const inputs = [{ name: 'ids', datatype: 'INT64' as const, shape: ['batch', -1] }]
    const description = { ...fields, tokenizer: undefined, artifacts: [], placement: 'origin', inputs }
    const { manifest } = await pack(descriptionSchema.parse(description), '')
    expect(manifest).toMatchObject({ placement: 'origin', artifacts: [], inputs, outputs: [] })
    expect(manifest).not.toHaveProperty('files')
  })

  it('packs template, placement and settings', async () => {
    const { manifest, chunks } = await packFolder(join(ROOT, 'models/abacus'))
    const template = manifest.files?.['chat_template.jinja']
    expect(manifest).toMatchObject({ task: 'text-generation', placement: 'origin', generation: { contextLength: 256 } })
    expect(chunks.get(template?.sha256 ?? '')).toEqual(
      new Uint8Array(await readFile(join(ROOT, 'models/abacus/chat_template.jinja'))),
    )
  })

  it('refuses a template that cannot be read', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'verge-'))
    try {
      await writeFile(join(folder, 'chat_template.jinja'), '{% for %}')
      const { tokenizer: _, ...rest } = fields
      const description = { ...rest, artifacts: [], placement: 'origin', chatTemplate: 'chat_template.jinja' }
      await expect(pack(descriptionSchema.parse(description), folder)).rejects.toMatchObject({
        code: 'manifest_invalid',
        message: expect.stringContaining('chat_template.jinja is not a chat template'),
      })
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
