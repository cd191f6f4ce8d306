import { type Description, descriptionSchema } from '../../src/cli/pack/description.ts'
import { inventedTokenizer } from '../../synthetic/vocabularies.ts'
import { type EncoderShape, encoderModel, MINILM } from './encoder.ts'

/** intfloat/multilingual-e5-small: four fifths of its weights are the table. */
export const E5_SMALL: EncoderShape = { ...MINILM, layers: 12, vocabulary: 250_037 }

/** Of the same kind, made in a moment: a table of 4.6 MB, just large enough to be paged. */
export const FEW_LANGUAGES: EncoderShape = {
  layers: 2,
  hidden: 384,
  heads: 12,
  ffn: 256,
  vocabulary: 12_000,
  positions: 512,
}

/** A model folder's files, and its description. */
export interface TextModel {
  readonly description: Description
  readonly files: ReadonlyMap<string, Uint8Array>
}

/** How XLM-RoBERTa's tokenizer frames a text. */
const FRAME = {
  type: 'TemplateProcessing',
  single: [special('<s>'), { Sequence: { id: 'A', type_id: 0 } }, special('</s>')],
  pair: [
    special('<s>'),
    { Sequence: { id: 'A', type_id: 0 } },
    special('</s>'),
    special('</s>'),
    { Sequence: { id: 'B', type_id: 0 } },
    special('</s>'),
  ],
  special_tokens: {
    '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] },
    '</s>': { id: '</s>', ids: [2], tokens: ['</s>'] },
  },
}

function special(id: string): object {
  return { SpecialToken: { id, type_id: 0 } }
}

/**
 * An encoder of many languages for embeddings, in 8 bits, with a tokenizer that has a token for each row of its table. Weights
 * and tokens are made up; the same shape always has the same.
 * @param more settings of its `verge.json`
 */
export function multilingualModel(shape: EncoderShape, name: string, more: object = {}): TextModel {
  const tokenizer = { ...inventedTokenizer('Unigram', shape.vocabulary), post_processor: FRAME }
  const description = descriptionSchema.parse({
    name,
    version: '1',
    visibility: 'public',
    licence: 'Apache-2.0',
    task: 'feature-extraction',
    tokenizer: 'tokenizer.json',
    preprocess: {
      text: { maxTokens: shape.positions },
      embedding: { pooling: 'mean', normalize: true },
    },
    artifacts: [{ file: 'model.onnx', dtype: 'int8' }],
    ...more,
  })
  return {
    description,
    files: new Map([
      ['model.onnx', encoderModel(shape, 'int8')],
      ['tokenizer.json', new TextEncoder().encode(JSON.stringify(tokenizer))],
    ]),
  }
}
