import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { describeInChromium } from '../fixtures/node/chromium.ts'
import { type DocsWorker, startDocsWorker } from '../fixtures/node/docs-worker.ts'
import { builtAssets } from '../fixtures/node/live-worker.ts'

const TEXTS = ['A wonderful film: funny, moving and beautifully played.', 'Dull.']
const FOLDER = join(ROOT, 'models/reviews')

let docs: DocsWorker
beforeAll(async () => {
  docs = await startDocsWorker({}, [], await builtAssets())
  const settings = readFileSync(join(FOLDER, 'verge.json'), 'utf8')
  await docs.publish(settings, FOLDER, { name: 'theirs', engines: ['onnxruntime'] })
  await docs.publish(settings, FOLDER)
})
afterAll(() => docs?.dispose())

describeInChromium('models of ONNX Runtime in the browser', (browser) => {
  it.each([
    ['theirs', 'onnxruntime'],
    ['reviews', 'verge'],
  ])('answer as at the edge, and are the only ones that download it: %s', async (model, engine) => {
    const page = await browser.open(`${docs.worker.url}/v1/models`, { withoutCsp: true, expected: [/favicon/] })
    const asked: string[] = []
    page.on('request', (request) => asked.push(new URL(request.url()).pathname))
    const answers = await page.evaluate(`(async () => {
      const { createBrowserClient } = await import('/browser.js')
      const client = createBrowserClient({ url: location.origin, placement: 'browser' })
      const engines = []
      const onAnswer = ({ engine }) => engines.push(engine)
      try {
        return [await client.run('${model}', ${JSON.stringify(TEXTS)}, { onAnswer }), engines]
      } finally {
        client.dispose()
      }
    })()`)
    expect(answers).toEqual([await docs.post(`/run/${model}`, JSON.stringify({ inputs: TEXTS })), [engine]])
    const files = asked.map((path) => path.replace(/^.*\/([\w.-]+?)-[\w-]{8,12}\.(js|wasm)$/, '$1.$2'))
    expect(files.includes('ort-wasm-simd-threaded.wasm')).toBe(engine === 'onnxruntime')
    expect(files.includes('relaxed.wasm')).toBe(engine === 'verge')
  })
})
