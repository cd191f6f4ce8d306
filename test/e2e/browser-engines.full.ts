import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type StaticFiles, serveFiles } from '../../bench/lib/static-files.ts'
import { bundleBrowser } from '../../scripts/browser/bundle.ts'
import { tensor } from '../../src/core/tensors.ts'
import { arithmeticModel } from '../../synthetic/onnx-models.ts'
import { artifactOf, never, sourceOf } from '../../synthetic/source.ts'
import { engineContract } from '../contract/engine.ts'
import { rejection } from '../contract/rejection.ts'
import { BrowserEngine } from '../fixtures/node/browser-engine.ts'
import { describeInChromium, type TestBrowser } from '../fixtures/node/chromium.ts'
import { VERGE_SUBJECTS } from '../fixtures/verge-subjects.ts'

let folder: string
let files: StaticFiles
let script: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-browser-'))
  const { scripts } = await bundleBrowser(folder, { engine: 'test/fixtures/browser/engine-worker.ts' })
  script = `/${scripts.engine}`
  files = await serveFiles(folder)
})
afterAll(async () => {
  await files?.close()
  await rm(folder, { recursive: true, force: true })
})

async function start(browser: TestBrowser, name: string): Promise<BrowserEngine> {
  return BrowserEngine.start(await browser.open(files.url), script, name)
}

describeInChromium('in Chromium', (browser) => {
  engineContract("Verge's own engine", () => start(browser, 'verge'), { subjects: VERGE_SUBJECTS })
  engineContract("ONNX Runtime's WebAssembly", () => start(browser, 'onnxruntime'))
})

describeInChromium(
  'on WebGPU in Chromium',
  (browser) => {
    engineContract('WebGPU', () => start(browser, 'webgpu'), {
      opensNoForeignTypes: 'no kernel of the WebGPU build has them',
      joinsNoStrings: 'the WebGPU build has no operators on strings',
      checksNoIndices: 'shaders clamp what they read',
      writesNoTexts: 'browsers leave texts to Workers and origins',
    })

    it('runs models where WebAssembly cannot be suspended, by a build that Workers Assets take compressed', async () => {
      const page = await browser.open(files.url)
      const engine = await BrowserEngine.start(page, script, 'webgpu', '&cannot-suspend')
      const model = arithmeticModel()
      const session = await engine.load(await artifactOf(model), sourceOf(model), { signal: never() })
      const [a, b] = [Float32Array.of(5, 7), Float32Array.of(2, 3)].map((data) => tensor('FP32', [2], data))
      if (a === undefined || b === undefined) throw new Error('Two tensors are needed.')
      const outputs = await session.run(new Map(Object.entries({ a, b })), { signal: never() })
      expect(outputs.get('product')).toEqual(tensor('FP32', [2], Float32Array.of(10, 21)))
      expect(files.asked.some((path) => path.endsWith('.wasm.gz'))).toBe(true)
    })

    it('says so where the browser has no memory for the weights', async () => {
      const page = await browser.open(files.url)
      const engine = await BrowserEngine.start(page, script, 'webgpu', `&heap-bytes=${2 ** 50}`)
      const model = arithmeticModel()
      const artifact = { ...(await artifactOf(model)), bytes: 2 ** 45 }
      expect((await rejection(engine.load(artifact, sourceOf(model), { signal: never() }))).code).toBe('engine_full')
    })

    describe('a graphics processor that is lost', () => {
      it('loses its sessions, and refuses to load others', async () => {
        const engine = await start(browser, 'webgpu')
        const model = arithmeticModel()
        const load = async () => engine.load(await artifactOf(model), sourceOf(model), { signal: never() })
        const session = await load()
        const a = tensor('FP32', [1], Float32Array.of(2))
        const inputs = new Map([
          ['a', a],
          ['b', a],
        ])
        expect((await session.run(inputs, { signal: never() })).get('sum')).toEqual(
          tensor('FP32', [1], Float32Array.of(4)),
        )
        await engine.ask({ ask: 'lose' })
        expect((await rejection(session.run(inputs, { signal: never() }))).code).toBe('session_lost')
        expect(session.alive).toBe(false)
        expect((await rejection(load())).code).toBe('session_lost')
        expect(await engine.health()).toMatchObject({ ok: false })
      })
    })
  },
  { webgpu: true },
)
