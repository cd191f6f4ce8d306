import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadModel } from '../../../src/cli/build/load.ts'
import type { Description } from '../../../src/cli/pack/description.ts'
import { silentProgress } from '../../../src/cli/terminal/progress.ts'
import type { TrimSettings } from '../../../src/cli/trim/options.ts'
import { trimModel } from '../../../src/cli/trim/trim.ts'
import { tensor } from '../../../src/core/tensors.ts'
import { TextTokenizer } from '../../../src/media/text/tokenizer.ts'
import { onnxModel, seededFloats } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'

const WORDS = [
  '[PAD]',
  '[UNK]',
  '[CLS]',
  '[SEP]',
  'query',
  ':',
  'passage',
  'this',
  'example',
  'is',
  '.',
  'λόγος',
  'слово',
  'house',
]
const vocab = Object.fromEntries(WORDS.map((word, id) => [word, id]))
const special = WORDS.slice(0, 4).map((content, id) => ({ id, content, special: true, normalized: false }))
const TOKENIZER = {
  added_tokens: special,
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: { type: 'BertProcessing', cls: ['[CLS]', 2], sep: ['[SEP]', 3] },
  padding: { pad_id: 0 },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 50,
    vocab,
  },
}

const DESCRIPTION: Description = {
  name: 'small',
  version: '1',
  visibility: 'private',
  hot: true,
  licence: 'unknown',
  artifacts: [],
}

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-trim-'))
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(TOKENIZER))
  await writeFile(join(folder, 'upper.jsonl'), JSON.stringify({ text: 'HOUSE' }))
  const model = onnxModel({
    inputs: [{ name: 'input_ids', datatype: 'INT64', shape: ['batch', 'length'] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 'length', 8] }],
    nodes: [{ op: 'Gather', inputs: ['table', 'input_ids'], outputs: ['y'] }],
    initializers: { table: tensor('FP32', [WORDS.length, 8], seededFloats(WORDS.length * 8, 1)) },
  })
  await writeFile(join(folder, 'model.onnx'), model)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** The words that stay. */
async function keptOf(settings: Partial<TrimSettings>, more: Partial<Description> = {}): Promise<string[]> {
  const context = { signal: never(), progress: silentProgress }
  const loaded = await loadModel(folder, context)
  const all = { languages: [], corpus: undefined, most: undefined, ...settings }
  const trimmed = await trimModel(loaded, { ...DESCRIPTION, ...more }, all, context)
  const path = trimmed.loaded.source.files.get('tokenizer.json') ?? ''
  const tokenizer = TextTokenizer.parse(new Uint8Array(await readFile(path)))
  const words = Array.from(trimmed.kept, (_, id) => tokenizer.tokenText(id))
  expect(words).toEqual(Array.from(trimmed.kept, (id) => WORDS[id]))
  expect(tokenizer.encode('', 10).ids.map((id) => words[id])).toEqual(['[CLS]', '[SEP]'])
  return words
}

describe('trimming a model', () => {
  const always = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', ':', '.']

  it('keeps the tokens of languages', async () => {
    expect(await keptOf({ languages: ['el'] })).toEqual([...always, 'λόγος'])
    expect(await keptOf({ languages: ['ru', 'el'] })).toEqual([...always, 'λόγος', 'слово'])
  })

  it("keeps the tokens of the model's prompts, in any language", async () => {
    const prompts = { query: 'query: ', document: 'passage: ' }
    const kept = await keptOf(
      { languages: ['el'] },
      { preprocess: { embedding: { pooling: 'mean', normalize: true, prompts } } },
    )
    expect(new Set(kept)).toEqual(new Set([...always, 'query', 'passage', 'λόγος']))
    const judge = await keptOf({ languages: ['el'] }, { task: 'zero-shot-classification' })
    expect(judge).toEqual(expect.arrayContaining(['example', 'is', 'λόγος']))
    expect(judge).not.toContain('house')
  })

  it('reads a corpus in lower case where the model does', async () => {
    const corpus = join(folder, 'upper.jsonl')
    expect(await keptOf({ corpus })).not.toContain('house')
    const embedding = { pooling: 'mean', normalize: true, lowercase: true } as const
    expect(await keptOf({ corpus }, { preprocess: { embedding } })).toContain('house')
  })

  it('keeps at most so many', async () => {
    expect(await keptOf({ languages: ['ru', 'el'], most: 7 })).toHaveLength(7)
  })
})
