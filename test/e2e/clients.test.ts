import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceClient } from '@huggingface/inference'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { modelFolders, ROOT } from '../../src/cli/files/project.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'

const KEY = 'a-key-for-clients-0123456789'

/** The protocols as their own clients speak them, against the shipped models. */
describe('official clients', () => {
  let worker: LiveWorker

  beforeAll(async () => {
    worker = await startLiveWorker({ VERGE_API_KEY: KEY })
    const writer = await writerFor(worker)
    for (const folder of await modelFolders()) await publish(writer, await packFolder(folder))
  })
  afterAll(() => worker?.dispose())

  it('openai lists models, and reads our errors as its own', async () => {
    const client = new OpenAI({ baseURL: `${worker.url}/v1`, apiKey: KEY, maxRetries: 0 })
    const names: string[] = []
    for await (const model of client.models.list()) names.push(model.id)
    expect(names.sort()).toEqual(['abacus', 'digits', 'reviews'])
    expect(await client.models.retrieve('digits')).toMatchObject({ id: 'digits', object: 'model' })
    await expect(client.models.retrieve('absent')).rejects.toBeInstanceOf(OpenAI.NotFoundError)
    const stranger = new OpenAI({ baseURL: `${worker.url}/v1`, apiKey: 'wrong', maxRetries: 0 })
    await expect(stranger.models.retrieve('absent')).rejects.toBeInstanceOf(OpenAI.AuthenticationError)
  })

  it('@huggingface/inference classifies pictures', async () => {
    const client = new InferenceClient(KEY)
    const picture = new Blob([readFileSync(join(ROOT, 'models/digits/samples/seven.png'))], { type: 'image/png' })
    const digits = await client.imageClassification({ endpointUrl: `${worker.url}/run/digits`, data: picture })
    expect(digits[0]).toMatchObject({ label: '7', score: expect.any(Number) })
  })
})
