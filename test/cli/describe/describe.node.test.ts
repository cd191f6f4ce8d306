import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { describeModel, nextVersion, type Overrides } from '../../../src/cli/describe/describe.ts'
import { spdxOf } from '../../../src/cli/describe/licence.ts'
import { defaultName } from '../../../src/cli/describe/name.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import { readDescription } from '../../../src/cli/pack/description.ts'
import { type ModelSource, openModelSource } from '../../../src/cli/source/source.ts'
import { UsageError } from '../../../src/cli/terminal/command-line.ts'
import { type Sources, signature, startSources, TOKENIZER } from '../../fixtures/node/describe.ts'

const TEXT = signature(
  { input_ids: ['INT64', ['batch', 'sequence']], attention_mask: ['INT64', ['batch', 'sequence']] },
  2,
)

let sources: Sources

beforeEach(async () => {
  sources = await startSources()
})
afterEach(() => sources.remove())

describe('a text classifier', () => {
  const config = {
    architectures: ['DistilBertForSequenceClassification'],
    model_type: 'distilbert',
    id2label: { 0: 'NEGATIVE', 1: 'POSITIVE' },
    max_position_embeddings: 512,
  }
  const files = {
    'config.json': config,
    'tokenizer.json': TOKENIZER,
    'tokenizer_config.json': { model_max_length: 256 },
    'README.md': '---\nlanguage: en\nlicense: apache-2.0\n---\n# Model\n',
  }

  it('is described whole', async () => {
    const { description, notes } = await sources.describe(files, TEXT)
    expect(description).toEqual({
      name: 'a-model',
      version: '1',
      task: 'text-classification',
      hot: true,
      licence: 'Apache-2.0',
      labels: ['NEGATIVE', 'POSITIVE'],
      activation: 'softmax',
      preprocess: { text: { maxTokens: 256 } },
      tokenizer: 'tokenizer.json',
      artifacts: [{ file: 'net.onnx', dtype: 'fp32' }],
    })
    expect(notes).toEqual([
      'task text-classification, by its architecture DistilBertForSequenceClassification',
      'scores by softmax',
      'texts are truncated to 256 tokens, the limit of the model',
      'licence Apache-2.0, from README.md',
    ])
  })

  it('has as many tokens as its positions, its tokenizer and an isolate allow', async () => {
    const tokens = async (more: object, tokenizer: object): Promise<number | undefined> => {
      const all = { ...files, 'config.json': { ...config, ...more }, 'tokenizer_config.json': tokenizer }
      return (await sources.describe(all, TEXT)).description.preprocess?.text?.maxTokens
    }
    // RoBERTa's 514 positions hold 512 tokens; transformers writes 1e30 for "no limit".
    expect(await tokens({ model_type: 'roberta', max_position_embeddings: 514 }, { model_max_length: 1e30 })).toBe(512)
    expect(await tokens({ model_type: 'xlm-roberta', max_position_embeddings: 130 }, {})).toBe(128)
    expect(await tokens({ max_position_embeddings: 8192 }, { model_max_length: 8192 })).toBe(512)
    expect(await tokens({ max_position_embeddings: 64 }, { model_max_length: 512 })).toBe(64)
    expect(await tokens({ max_position_embeddings: undefined }, {})).toBe(512)
  })

  it('scores by what its problem and its output are', async () => {
    const activation = async (more: object, like = TEXT): Promise<string | undefined> =>
      (await sources.describe({ ...files, 'config.json': { ...config, ...more } }, like)).description.activation
    const inputs = { input_ids: ['INT64', ['b', 's']] } as const
    expect(await activation({ problem_type: 'multi_label_classification' })).toBe('sigmoid')
    expect(await activation({ problem_type: 'single_label_classification' })).toBe('softmax')
    expect(await activation({ problem_type: 'regression', id2label: { 0: 'score' } }, signature(inputs, 1))).toBe(
      'none',
    )
    expect(await activation({ id2label: { 0: 'toxic' } }, signature(inputs, 1))).toBe('sigmoid')
    expect(await activation({}, signature(inputs, 2, 'probabilities'))).toBe('none')
  })

  it.each([
    [
      'labels and scores differ',
      files,
      signature({ input_ids: ['INT64', ['b', 's']] }, 5),
      /there are 2 labels, but its output has 5 scores/,
    ],
    ['the tokenizer is missing', { 'config.json': config }, TEXT, /no tokenizer.json.*save_pretrained/],
    [
      'the tokenizer is of an unknown kind',
      { ...files, 'tokenizer.json': { model: {} } },
      TEXT,
      /has a kind that Verge does not support/,
    ],
    [
      'the length is fixed',
      files,
      signature({ input_ids: ['INT64', [1, 128]] }, 2),
      /takes exactly 128 tokens.*dynamic sequence axis/,
    ],
    [
      'an input is not of text',
      files,
      signature({ input_ids: ['INT64', ['b', 's']], position_ids: ['INT64', ['b', 's']] }, 2),
      /"position_ids" cannot be computed from a text/,
    ],
    [
      'tokens are no integers',
      files,
      signature({ input_ids: ['FP32', ['b', 's']] }, 2),
      /"input_ids" cannot be computed/,
    ],
    ['there is nothing to read', {}, TEXT, /the folder has no config.json/],
    [
      'the architecture is another',
      { 'config.json': { architectures: ['BertForMultipleChoice'] } },
      TEXT,
      /BertForMultipleChoice belongs to no task that Verge knows/,
    ],
  ] as const)('becomes raw tensors where %s', async (_, given, like, message) => {
    const { description, notes } = await sources.describe(given, like)
    expect(notes.join('\n')).toMatch(new RegExp(`raw tensors: .*${message.source}`))
    expect([description.task, description.labels, description.tokenizer, description.preprocess]).toEqual(
      Array(4).fill(undefined),
    )
    await expect(sources.describe(given, like, { task: 'text-classification' })).rejects.toThrow(UsageError)
  })

  it('has labels by number where nothing names them', async () => {
    for (const id2label of [undefined, { 0: 'a', 2: 'c' }, { 0: 'a', 1: 3 }, {}]) {
      const { description, notes } = await sources.describe({ ...files, 'config.json': { ...config, id2label } }, TEXT)
      expect(description.labels).toEqual(['LABEL_0', 'LABEL_1'])
      expect(notes.join('\n')).toMatch(/no file names the 2 classes/)
    }
  })
})

describe('what a person says', () => {
  const files = { 'config.json': { architectures: ['XForSequenceClassification'] }, 'tokenizer.json': TOKENIZER }

  it('counts more than what the files say', async () => {
    const overrides: Overrides = {
      labels: ['no', 'yes'],
      activation: 'sigmoid',
      licence: 'MIT',
      visibility: 'public',
      version: '7',
      preprocess: { text: { maxTokens: 9 } },
      artifacts: [{ file: 'net.int8.onnx', dtype: 'int8' }],
    }
    const source = await sources.make(files)
    const { description } = await describeModel({ name: 'other', source, signature: TEXT, overrides })
    expect(description).toMatchObject({ ...overrides, name: 'other', task: 'text-classification' })
  })

  it('may ask for raw tensors', async () => {
    const { description } = await sources.describe(files, TEXT, { task: 'none' })
    expect(description).not.toHaveProperty('task')
    expect(description).not.toHaveProperty('tokenizer')
  })

  it('is refused where it does not fit', async () => {
    await expect(sources.describe(files, TEXT, { labels: ['one'], task: 'text-classification' })).rejects.toThrow(
      /1 labels.*2 scores/,
    )
    const source = await sources.make(files)
    await expect(describeModel({ name: 'Not A Name', source, signature: TEXT })).rejects.toThrow(
      /name: lower-case letters/,
    )
    await expect(sources.describe({ 'config.json': '{' }, TEXT)).rejects.toThrow(
      /config.json beside the model is not JSON/,
    )
    await expect(sources.describe({ 'config.json': '[]' }, TEXT)).rejects.toThrow(/not a JSON object/)
    await expect(sources.describe({ 'verge.json': { name: 'x', task: 'sorcery' } }, TEXT)).rejects.toThrow(/task/)
  })

  it.each(['digits', 'reviews'])('in verge.json is all that counts: %s', async (name) => {
    const source = await openModelSource(join(ROOT, 'models', name), { cacheDir: sources.folder, env: {} })
    const { description } = await describeModel({ source, signature: TEXT })
    expect(description).toEqual(await readDescription(join(ROOT, 'models', name)))
  })
})

describe('a licence', () => {
  const licence = async (files: Record<string, string>, more: Partial<ModelSource> = {}): Promise<string> =>
    (await describeModel({ source: await sources.make(files, more), signature: TEXT })).description.licence

  it('is what the hub, the card or the file beside the model says, in that order', async () => {
    const files = { 'README.md': '---\nlicense: mit\n---', LICENSE: 'Apache License\n    Version 2.0, January 2004' }
    expect(await licence(files, { licence: 'cc-by-4.0' })).toBe('CC-BY-4.0')
    expect(await licence(files)).toBe('MIT')
    expect(await licence({ LICENSE: files.LICENSE })).toBe('Apache-2.0')
    expect(await licence({ 'README.md': '# no front matter\nlicense: mit' })).toBe('unknown')
    expect(await sources.notes({}, TEXT)).toMatch(/licence unknown.*--licence/)
  })

  it.each([
    ['license: "apache-2.0"', 'Apache-2.0'],
    ['license:\n- mit\n- other', 'MIT'],
    ['license: [bsd-3-clause, mit]', 'BSD-3-Clause'],
    ['license: other\nlicense_name: my-terms', 'my-terms'],
    ['license: openrail # see below', 'openrail'],
    ['tags: [license]', 'unknown'],
  ])('in a card is read: %s', async (yaml, expected) => {
    expect(await licence({ 'README.md': `---\r\nlanguage: en\r\n${yaml}\r\n---\r\n` })).toBe(expected)
  })

  it.each([
    [
      'MIT License\n\nCopyright (c) 2020 X\n\nPermission is hereby granted, free of charge, to any person obtaining a copy',
      'MIT',
    ],
    [
      'Copyright X\nRedistribution and use in source and binary forms, with or without\n3. Neither the name of',
      'BSD-3-Clause',
    ],
    ['GNU GENERAL PUBLIC LICENSE\n   Version 3, 29 June 2007', 'GPL-3.0'],
    ['GNU AFFERO GENERAL PUBLIC LICENSE\n   Version 3, 19 November 2007', 'AGPL-3.0'],
    ['All rights reserved.', 'unknown'],
  ])('in a file is known by its words', async (text, expected) => {
    expect(await licence({ LICENSE: text })).toBe(expected)
  })

  it('has no name that an object has by nature', () => {
    expect(spdxOf('constructor')).toBe('constructor')
  })
})

describe('a name', () => {
  it.each([
    [{ kind: 'hub', label: 'hf:Org/All-MiniLM_L6 v2@0123456789ab', modelFile: 'x' }, 'all-minilm_l6-v2'],
    [{ kind: 'file', label: 'ResNet50.onnx', modelFile: 'somewhere/ResNet50.onnx' }, 'resnet50'],
    [{ kind: 'file', label: 'model.onnx', modelFile: 'somewhere/my net/onnx/model_quantized.onnx' }, 'my-net'],
    [{ kind: 'folder', label: 'Größe', modelFile: 'x/model.onnx' }, 'gro-e'],
    [
      { kind: 'url', label: 'https://example.com/nets/Tiny%20Net/model.onnx', modelFile: 'cache/ab12/model.onnx' },
      'tiny-net',
    ],
    [{ kind: 'url', label: 'https://example.com/model.onnx', modelFile: 'cache/ab12/model.onnx' }, 'model'],
    [{ kind: 'folder', label: '../..', modelFile: 'x/model.onnx' }, 'model'],
    [{ kind: 'folder', label: `${'a'.repeat(63)}--`, modelFile: 'x/model.onnx' }, 'a'.repeat(63)],
  ] as const)('is made of %o', (source, expected) => {
    expect(defaultName(source)).toBe(expected)
  })

  it('has versions that count on', () => {
    expect(nextVersion([])).toBe('1')
    expect(nextVersion(['1', '2', 'v9', '10', '2026-01'])).toBe('11')
    expect(nextVersion(['nightly', '9'.repeat(30)])).toBe('1')
  })

  it('comes into the description where nobody gave one', async () => {
    const source = await sources.make({}, { label: 'Some Folder', origin: 'hf:org/x@abc' })
    const { description } = await describeModel({ source, signature: TEXT })
    expect(description).toMatchObject({ name: 'some-folder', source: 'hf:org/x@abc', licence: 'unknown' })
  })
})
