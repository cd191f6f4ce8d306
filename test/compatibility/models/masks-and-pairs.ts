import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../../../src/cli/files/project.ts'
import { maskedLanguageModel } from '../../../synthetic/masked-language.ts'
import { sine, wav } from '../../../synthetic/wav.ts'
import { bertTokenizer } from '../../fixtures/mask-tokenizers.ts'
import { CLAP_SETTINGS, CLIP_SETTINGS, clapFiles, clipFiles } from '../../fixtures/two-encoder-models.ts'
import type { CompatibilityModel } from '../row.ts'

const words = (model: string): Promise<string> => readFile(join(ROOT, 'models', model, 'tokenizer.json'), 'utf8')

async function filler(): Promise<CompatibilityModel> {
  const { file, size } = bertTokenizer(await words('reviews'))
  return {
    settings: {
      task: 'fill-mask',
      tokenizer: 'tokenizer.json',
      preprocess: { text: { maxTokens: 64, maskToken: '[MASK]' } },
    },
    files: new Map([
      ['model.onnx', maskedLanguageModel({ vocabulary: size, positions: 64, types: true })],
      ['tokenizer.json', new TextEncoder().encode(JSON.stringify(file))],
    ]),
  }
}

/** Made-up weights in the structure of BERT, CLIP and CLAP. */
export const models = {
  filler,
  clip: async () => ({
    settings: { task: 'zero-shot-image-classification', ...CLIP_SETTINGS },
    files: clipFiles(await words('abacus')),
  }),
  pairs: async () => ({
    settings: { task: 'image-text-similarity', ...CLIP_SETTINGS },
    files: clipFiles(await words('abacus')),
  }),
  clap: async () => ({
    settings: { task: 'zero-shot-audio-classification', ...CLAP_SETTINGS },
    files: clapFiles(await words('abacus')),
  }),
}

export const samples = {
  'drawing.png': () => readFile(join(ROOT, 'models/digits/samples/seven.png')),
  'tone.wav': async () => wav({ samples: sine(440, 0.5, 48_000), sampleRate: 48_000 }),
}
