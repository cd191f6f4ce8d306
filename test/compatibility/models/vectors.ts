import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../../../src/cli/files/project.ts'
import { maskedLanguageModel } from '../../../synthetic/masked-language.ts'
import { colbertModel, multiVectorModel, statesModel } from '../../../synthetic/retrieval-models.ts'
import { bertTokenizer } from '../../fixtures/mask-tokenizers.ts'
import type { CompatibilityModel } from '../row.ts'

const POSITIONS = 64

/** Real structure, made-up weights, and the tokenizer of a shipped model. */
function model(embedding: object, make: (vocabulary: number) => Uint8Array) {
  return async (): Promise<CompatibilityModel> => {
    const { file, size } = bertTokenizer(await readFile(join(ROOT, 'models/reviews/tokenizer.json'), 'utf8'))
    return {
      settings: {
        task: 'feature-extraction',
        tokenizer: 'tokenizer.json',
        preprocess: { text: { maxTokens: POSITIONS }, embedding },
      },
      files: new Map([
        ['model.onnx', make(size)],
        ['tokenizer.json', new TextEncoder().encode(JSON.stringify(file))],
      ]),
    }
  }
}

export const models = {
  'bge-m3': model(
    {
      pooling: 'cls',
      normalize: true,
      output: 'dense_vecs',
      sparse: { output: 'sparse_vecs', form: 'weights' },
      tokens: { output: 'colbert_vecs', normalize: true, skipFirst: true },
    },
    (vocabulary) => multiVectorModel({ vocabulary, positions: POSITIONS }),
  ),
  splade: model({ pooling: 'none', normalize: false, sparse: { output: 'logits', form: 'logits' } }, (vocabulary) =>
    maskedLanguageModel({ vocabulary, positions: POSITIONS, types: false }),
  ),
  colbert: model({ pooling: 'none', normalize: true, tokens: { normalize: true } }, (vocabulary) =>
    colbertModel({ vocabulary, positions: POSITIONS }),
  ),
  encoder: model({ pooling: 'mean', normalize: true }, (vocabulary) =>
    statesModel({ vocabulary, positions: POSITIONS }),
  ),
}
