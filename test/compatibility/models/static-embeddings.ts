import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readModelFile } from '../../../src/cli/pack/model-file.ts'
import { openModelSource } from '../../../src/cli/source/source.ts'
import { encodeModel } from '../../../src/onnx/codec.ts'
import { seededFloats } from '../../../synthetic/onnx.ts'
import { safetensors, wordTokenizer } from '../../fixtures/node/safetensors.ts'
import type { CompatibilityModel } from '../row.ts'

/** A table of vectors in safetensors, as model2vec writes it, imported. */
async function staticWords(): Promise<CompatibilityModel> {
  const folder = await mkdtemp(join(tmpdir(), 'verge-static-words-'))
  try {
    const words = ['red', 'green', 'blue', 'deep', 'sea']
    const shape = [words.length + 4, 8] as const
    const embeddings = { dtype: 'F32', shape, data: seededFloats(shape[0] * shape[1], 5) }
    await writeFile(join(folder, 'model.safetensors'), safetensors({ embeddings }))
    await writeFile(join(folder, 'tokenizer.json'), wordTokenizer(words))
    const { files, modelFile } = await openModelSource(folder, { cacheDir: join(folder, 'cache'), env: {} })
    const { model } = await readModelFile(modelFile)
    return {
      settings: {
        task: 'feature-extraction',
        tokenizer: 'tokenizer.json',
        preprocess: { text: { maxTokens: 512 }, embedding: { pooling: 'mean', normalize: true, dropUnknown: true } },
      },
      files: new Map([
        ['model.onnx', encodeModel(model)],
        ['tokenizer.json', await readFile(files.get('tokenizer.json') ?? '')],
      ]),
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export const models = { 'static-words': staticWords }
