import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { sine, wav } from '../../synthetic/wav.ts'
import { documentedJson, expectLike, readPage } from '../fixtures/node/docs.ts'
import { type DocsWorker, startDocsWorker } from '../fixtures/node/docs-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'
import { CLAP_SETTINGS, CLIP_SETTINGS, clapFiles, clipFiles } from '../fixtures/two-encoder-models.ts'

const image = readPage('image')
const audio = readPage('audio')

/** What pages say of models that read texts beside pictures or sounds, asked of models with made-up weights. */
describe('the pages on labels of the request', () => {
  let docs: DocsWorker

  beforeAll(async () => {
    docs = await startDocsWorker()
    writeFileSync(join(docs.folder, 'astronaut.png'), readFileSync(join(ROOT, 'models/digits/samples/seven.png')))
    writeFileSync(join(docs.folder, 'jfk.wav'), wav({ samples: sine(440, 0.5, 48_000), sampleRate: 48_000 }))
    const words = readFileSync(join(ROOT, 'models/abacus/tokenizer.json'), 'utf8')
    const writer = await writerFor(docs.worker)
    for (const [name, task, settings, files] of [
      ['clip', 'zero-shot-image-classification', CLIP_SETTINGS, clipFiles(words)],
      ['pairs', 'image-text-similarity', CLIP_SETTINGS, clipFiles(words)],
      ['clap', 'zero-shot-audio-classification', CLAP_SETTINGS, clapFiles(words)],
    ] as const) {
      const artifacts = [{ file: 'model.onnx', dtype: 'fp32' }]
      const common = { version: '1', visibility: 'public', licence: 'MIT', artifacts }
      await publish(writer, await pack(descriptionSchema.parse({ name, task, ...common, ...settings }), '.', files))
    }
  })
  afterAll(() => docs?.dispose())

  it.each([
    ['clip', image, 1, /"label": "a photo", /],
    ['pairs', image, 2, /^\[\[0\.21/],
    ['clap', audio, 1, /"label": "speech", /],
  ] as const)('print what %s answers', async (model, page, count, printed) => {
    const commands = page.commands.filter((command) => command.includes(`/run/${model}`))
    expect(commands).toHaveLength(count)
    const documented = page.blocks('json').filter((block) => printed.test(block))
    expect(documented).toHaveLength(1)
    for (const command of commands) expectLike(await docs.ask(command), documentedJson(documented[0] ?? ''))
  })

  it('print settings that a verge.json may have', () => {
    for (const [page, task] of [
      [image, 'zero-shot-image-classification'],
      [audio, 'zero-shot-audio-classification'],
    ] as const) {
      const settings = page.blocks('json').filter((block) => block.includes(`"task": "${task}"`))
      expect(settings).toHaveLength(1)
      expect(descriptionSchema.parse(JSON.parse(settings[0] ?? '')).task).toBe(task)
    }
  })
})
