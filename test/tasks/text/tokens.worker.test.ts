import { describe, expect, it } from 'vitest'
import { manifestSchema } from '../../../src/catalog/manifest.ts'
import type { ModelFile } from '../../../src/catalog/model-file.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import type { TaskModel } from '../../../src/tasks/task.ts'
import { decodeTokens, tokenizeTexts } from '../../../src/tasks/text/tokens.ts'

const HEX = '0'.repeat(64)

/** A Unigram tokenizer that knows one letter, and writes everything else as bytes. */
function byteTokenizer(): Uint8Array {
  const bytes = Array.from({ length: 256 }, (_, byte): [string, number] => [
    `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
    -10,
  ])
  const file = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, { type: 'Fuse' }] },
    model: { type: 'Unigram', unk_id: 0, byte_fallback: true, vocab: [['<unk>', 0], ['a', -1], ...bytes] },
  }
  return new TextEncoder().encode(JSON.stringify(file))
}

const model: TaskModel = {
  manifest: manifestSchema.parse({
    schema: 1,
    model: 'bytes',
    version: '1',
    task: 'feature-extraction',
    inputs: [{ name: 'input_ids', datatype: 'INT64', shape: [-1, -1] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, -1, 2] }],
    artifacts: [{ id: 'a', sha256: HEX, bytes: 0, chunks: [], format: 'ort', dtype: 'fp32', places: ['edge'] }],
    files: { 'tokenizer.json': { sha256: HEX, bytes: 1, chunks: [{ sha256: HEX, bytes: 1 }] } },
  }),
  file: async <T>({ parse }: ModelFile<T>): Promise<T> => parse(byteTokenizer()),
}
const tokenizing = { model, limits: LIMITS }
const options = { addSpecial: false, field: (place: number) => `texts[${place}]` }

describe('tokens of texts', () => {
  it('are the bytes of what is unknown, which become it again', async () => {
    const [tokens = []] = await tokenizeTexts(['a\u00e9a'], options, tokenizing)
    expect(tokens.map(({ piece }) => piece)).toEqual(['a', '<0xC3>', '<0xA9>', 'a'])
    expect(tokens.map(({ place }) => place)).toEqual([
      [0, 1],
      [1, 2],
      [1, 2],
      [2, 3],
    ])
    const ids = tokens.map(({ id }) => id)
    expect(await decodeTokens([ids], { skipSpecial: false, field: options.field }, tokenizing)).toEqual(['a\u00e9a'])
  })

  it('are refused where their places together are many times the text', async () => {
    const word = '\u4e00'.repeat(5_000)
    await expect(tokenizeTexts([word], options, tokenizing)).rejects.toMatchObject({
      code: 'input_too_large',
      details: { field: 'texts[0]' },
    })
    // As many bytes of single characters are well.
    const [tokens = []] = await tokenizeTexts(['\u4e00a'.repeat(2_000)], options, tokenizing)
    expect(tokens).toHaveLength(8_000)
  })

  it('are no more than a request may have', async () => {
    await expect(tokenizeTexts(['a '.repeat(20_000)], options, tokenizing)).rejects.toMatchObject({
      code: 'input_too_large',
      details: { limit_tokens: LIMITS.embeddingTokens },
    })
    const ids = new Array<number>(LIMITS.embeddingTokens + 1).fill(1)
    await expect(decodeTokens([ids], { skipSpecial: false, field: options.field }, tokenizing)).rejects.toMatchObject({
      code: 'input_too_large',
    })
  })
})
