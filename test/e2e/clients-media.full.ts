import { InferenceClient } from '@huggingface/inference'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { decodeImage } from '../../src/media/image/decode.ts'
import { models, samples } from '../compatibility/models/pipelines.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'

describe('tasks of pictures and sounds', () => {
  let worker: LiveWorker
  const at = (model: string) => new InferenceClient('', { endpointUrl: `${worker.url}/huggingface/models/${model}` })

  beforeAll(async () => {
    worker = await startLiveWorker()
    const writer = await writerFor(worker)
    for (const name of ['keywords', 'larger'] as const) {
      const { files, settings } = await models[name]()
      if (typeof files === 'string') throw new Error('its files are made here')
      const artifacts = [{ file: 'model.onnx', dtype: 'fp32' }]
      const base = { name, version: '1', licence: 'Apache-2.0', visibility: 'public', artifacts }
      await publish(writer, await pack(descriptionSchema.parse({ ...base, ...settings }), '.', files))
    }
  })
  afterAll(() => worker?.dispose())

  it('@huggingface/inference gets a picture for a picture', async () => {
    const inputs = new Blob([new Uint8Array(await samples['digit.png']())], { type: 'image/png' })
    const picture = await at('larger').imageToImage({ inputs })
    const decoded = decodeImage(new Uint8Array(await picture.arrayBuffer()), { maxPixels: 1e6, maxScans: 1 })
    expect([decoded.width, decoded.height]).toEqual([224, 224])
  })

  it('@huggingface/inference classifies a sound', async () => {
    const inputs = new Blob([new Uint8Array(await samples['yes.wav']())], { type: 'audio/wav' })
    const found = await at('keywords').audioClassification({ inputs })
    expect(found.map(({ label }) => label).sort()).toEqual(['down', 'no', 'up', 'yes'])
    expect(found.reduce((sum, { score }) => sum + score, 0)).toBeCloseTo(1, 5)
    await expect(at('absent').audioClassification({ inputs })).rejects.toThrow(/There is no model "absent"/)
  })
})
