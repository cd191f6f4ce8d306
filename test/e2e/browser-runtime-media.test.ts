import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ModelPlan, Runtime } from '../../src/browser/runtime/runtime.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { sha256 } from '../../src/cli/pack/bytes.ts'
import { sine, wav } from '../../synthetic/wav.ts'
import { MEDIA_MODELS } from '../fixtures/media-models.ts'
import { planOf, runtimeOver, weightsOf } from '../fixtures/node/browser-runtime.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'
import { splitChunks } from '../fixtures/split-chunks.ts'

const PHOTO = new Uint8Array(readFileSync(join(ROOT, 'models/digits/samples/photo.png')))
const sound = (sampleRate: number) => wav({ sampleRate, samples: sine(440, 1, sampleRate) })
const text = (value: string) => new TextEncoder().encode(value)

/** What each model is asked, by its task. */
const BODIES: Readonly<Record<string, readonly [mediaType: string, bytes: Uint8Array<ArrayBuffer>]>> = {
  'object-detection': ['image/png', PHOTO],
  'keypoint-detection': ['image/png', PHOTO],
  'image-to-image': ['image/png', PHOTO],
  'image-segmentation': ['image/png', PHOTO],
  'background-removal': ['image/png', PHOTO],
  'depth-estimation': ['image/png', PHOTO],
  'image-classification': ['image/png', PHOTO],
  'image-feature-extraction': ['image/png', PHOTO],
  'audio-classification': ['audio/wav', sound(8000)],
  'voice-activity-detection': ['audio/wav', sound(16_000)],
  'bytes-classification': ['application/octet-stream', text('#!/bin/sh')],
  'tabular-classification': ['text/csv', text('colour,weight,seeds\nred,120,5\nyellow,900,300\n')],
  'tabular-regression': ['text/csv', text('a,b,c\n1,2,3\n4,5,6\n')],
}

describe('the runtime of browsers, beside the Worker, for files', () => {
  let worker: LiveWorker
  let runtime: Runtime
  const plans = new Map<string, ModelPlan>()

  beforeAll(async () => {
    worker = await startLiveWorker()
    const writer = await writerFor(worker)
    const chunks = new Map<string, Uint8Array>()
    for (const { extra, model, name, signature } of MEDIA_MODELS) {
      plans.set(name, await planOf({ manifest: await publishModel(writer, name, model, signature, { extra }) }))
      for (const chunk of splitChunks(model)) chunks.set(sha256(chunk), chunk)
    }
    runtime = runtimeOver(weightsOf({ chunks }))
  })
  afterAll(() => worker?.dispose())

  it.each(MEDIA_MODELS.map(({ extra, name }) => [extra.task ?? '', name] as const))(
    'answers with the same bytes: %s by %s',
    async (task, name) => {
      const plan = plans.get(name)
      const [mediaType, bytes] = BODIES[task] ?? []
      if (plan === undefined || mediaType === undefined || bytes === undefined)
        throw new Error(`Nothing to ask ${name}.`)
      const answer = await runtime.run(plan, { kind: 'bytes', mediaType, bytes })
      const response = await fetch(`${worker.url}/run/${name}`, {
        method: 'POST',
        body: bytes,
        headers: { 'content-type': mediaType },
      })
      expect(response.status).toBe(200)
      const { body, headers, info } = answer
      expect(typeof body === 'string' ? text(body) : body).toEqual(new Uint8Array(await response.arrayBuffer()))
      expect(headers['content-type']).toBe(response.headers.get('content-type'))
      expect(info).toMatchObject({ engine: 'onnxruntime', artifact: 'edge-fp32' })
      expect(typeof body === 'string').toBe(!['image-to-image', 'background-removal'].includes(task))
    },
  )
})
