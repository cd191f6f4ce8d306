import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildSettings } from '../../../src/cli/build/arguments.ts'
import { buildModel } from '../../../src/cli/build/build.ts'
import { packFolder } from '../../../src/cli/pack/packer.ts'
import { silentProgress } from '../../../src/cli/terminal/progress.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { tensor } from '../../../src/core/tensors.ts'
import { compiledTokenizer } from '../../../src/media/text/tokenizer.ts'
import { onnxModel, seededFloats } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'
import { tokenizerOfLongWords } from '../../../synthetic/vocabularies.ts'

const WORDS = 12_000
const WIDTH = 8

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-build-'))
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizerOfLongWords(WORDS, 1_500)))
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify({ model_max_length: 64 }))
  await writeFile(join(folder, 'config.json'), JSON.stringify({ model_type: 'bert', max_position_embeddings: 64 }))
  const model = onnxModel({
    inputs: [{ name: 'input_ids', datatype: 'INT64', shape: ['batch', 'length'] }],
    outputs: [{ name: 'last_hidden_state', datatype: 'FP32', shape: ['batch', 'length', WIDTH] }],
    nodes: [{ op: 'Gather', inputs: ['table', 'input_ids'], outputs: ['last_hidden_state'] }],
    initializers: { table: tensor('FP32', [WORDS, WIDTH], seededFloats(WORDS * WIDTH, 3)) },
  })
  await writeFile(join(folder, 'model.onnx'), model)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('a model whose tokenizer is too large for the edge', () => {
  const build = (more: object) =>
    buildModel(
      folder,
      buildSettings(
        {
          name: 'long-words',
          task: 'feature-extraction',
          dtype: 'fp32',
          verify: false,
          measure: false,
          ...more,
        },
        { folder: join(folder, 'built') },
      ),
      { signal: never(), progress: silentProgress },
    )

  it('is refused as it is, and says what to do', async () => {
    await expect(build({})).rejects.toThrow(/but the limit is 16777216; trim its vocabulary with --languages/)
  })

  it('is built where trimming makes it small enough', async () => {
    const { packed, report } = await build({ vocabulary: '500' })
    expect(report.trimming?.tokens).toEqual({ before: WORDS, after: 500 })
    expect(report.trimming?.tokenizer.before).toBeGreaterThan(LIMITS.tokenizerImageBytes)
    const written = await readFile(join(folder, 'built/tokenizer.json'))
    const image = compiledTokenizer(new Uint8Array(written))
    expect(packed.manifest.files?.['tokenizer-1.bin']?.bytes).toBe(image.length)
    expect(image.length).toBeLessThan(1_000_000)
  })

  it('is refused where it is still too large after trimming', async () => {
    await expect(build({ vocabulary: '11900' })).rejects.toThrow(
      /trimmed tokenizer\.json of 11900 tokens takes 1\d{7} bytes when it is compiled, .*lower --vocabulary/,
    )
  })

  it('is refused in a folder that is packed as it is', async () => {
    const written = join(folder, 'verge.json')
    const about = { name: 'long-words', version: '1', licence: 'MIT', tokenizer: 'tokenizer.json' }
    const preprocess = { text: { maxTokens: 64 } }
    const artifacts = [{ file: 'model.onnx', dtype: 'fp32' }]
    await writeFile(written, JSON.stringify({ ...about, preprocess, artifacts }))
    try {
      await expect(packFolder(folder)).rejects.toThrow(/Trim its vocabulary with --languages/)
    } finally {
      await rm(written)
    }
  })
})
