import { readFile } from 'node:fs/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { describeModel } from '../../../src/cli/describe/describe.ts'
import { openModelSource } from '../../../src/cli/source/source.ts'
import { referenceSession } from '../../../src/cli/verify/reference.ts'
import { queryDetector } from '../../../synthetic/detectors.ts'
import { type HubStandIn, repositoryOf, startHub } from '../../fixtures/node/hub-stand-in.ts'
import { type TestSource, testSource } from '../../fixtures/node/source-options.ts'

let hub: HubStandIn
let source: TestSource
beforeEach(async () => {
  hub = await startHub()
  source = await testSource({ HF_ENDPOINT: hub.endpoint })
})
afterEach(async () => {
  await hub.close()
  await source.remove()
})

async function described(family?: string) {
  const found = await openModelSource('hf:org/detector', source.options)
  const session = await referenceSession(new Uint8Array(await readFile(found.modelFile)), new AbortController().signal)
  const { signature } = session
  session.dispose()
  const { description } = await describeModel({
    source: found,
    signature,
    ...(family !== undefined && { overrides: { family } }),
  })
  return description
}

const model = Buffer.from(queryDetector({ queries: 5, scores: 3, masked: true }))
const SETTINGS = {
  'config.json': '{"architectures": ["DetrForObjectDetection"], "id2label": {"0": "table", "1": "chair"}}',
  'preprocessor_config.json': JSON.stringify({
    ...{ image_processor_type: 'DetrImageProcessor', do_normalize: true, do_resize: true },
    ...{ image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] },
    size: { shortest_edge: 480, longest_edge: 800 },
  }),
}

it('a detector is described by its name on the hub alone', async () => {
  hub.repositories.set('org/detector', repositoryOf({ 'onnx/model.onnx': model, ...SETTINGS }))
  expect(await described()).toMatchObject({
    name: 'detector',
    task: 'object-detection',
    labels: ['table', 'chair'],
    activation: 'softmax',
    preprocess: { image: { fit: 'shortest', resize: 480, size: [800, 800] } },
    postprocess: { detection: { head: 'detr' } },
  })
})

it('a repository without a word of its preprocessing needs the preset, and keeps its own labels', async () => {
  const { 'config.json': config } = SETTINGS
  hub.repositories.set('org/detector', repositoryOf({ 'onnx/model.onnx': model, 'config.json': config }))
  expect((await described()).task).toBeUndefined()
  expect(await described('detr')).toMatchObject({
    task: 'object-detection',
    labels: ['table', 'chair'],
    preprocess: { image: { fit: 'shortest', resize: 800, size: [1333, 1333] } },
  })
})
