import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { describeInChromium } from '../fixtures/node/chromium.ts'
import { type DocsWorker, startDocsWorker } from '../fixtures/node/docs-worker.ts'
import { builtAssets } from '../fixtures/node/live-worker.ts'

const TEXT = 'A wonderful film: funny, moving and beautifully played.'

let docs: DocsWorker
beforeAll(async () => {
  docs = await startDocsWorker({}, [], await builtAssets())
  for (const name of ['digits', 'reviews']) {
    const folder = join(ROOT, 'models', name)
    await docs.publish(readFileSync(join(folder, 'verge.json'), 'utf8'), folder)
  }
})
afterAll(() => docs?.dispose())

interface Asked {
  readonly answer?: readonly { readonly label: string; readonly score: number }[]
  readonly code?: string
  readonly seen: readonly object[]
  readonly notices: readonly object[]
}

function classify(page: Page, placement: 'auto' | 'browser'): Promise<Asked> {
  return page.evaluate(`(async () => {
    const { createBrowserClient } = await import('/browser.js')
    const seen = []
    const notices = []
    const onNotice = (notice) => notices.push(notice)
    const options = { url: location.origin, placement: '${placement}', backend: 'webgpu', onNotice }
    const client = createBrowserClient(options)
    try {
      const answer = await client.classify('reviews', ${JSON.stringify(TEXT)}, { onAnswer: (info) => seen.push(info) })
      return { answer, seen, notices }
    } catch ({ code }) {
      return { code, seen, notices }
    } finally {
      client.dispose()
    }
  })()`)
}

describeInChromium(
  'the browser client on WebGPU',
  (browser) => {
    it('answers what the Worker answers, as closely as floats do', async () => {
      const page = await browser.open(`${docs.worker.url}/v1/models`, { withoutCsp: true, expected: [/favicon/] })
      const expected = (await docs.post('/run/reviews', JSON.stringify({ inputs: TEXT }))) as Asked['answer']
      const { answer, seen } = await classify(page, 'browser')
      expect(seen).toEqual([expect.objectContaining({ place: 'browser', engine: 'webgpu' })])
      expect(answer?.map(({ label }) => label)).toEqual(expected?.map(({ label }) => label))
      for (const [index, { score }] of (answer ?? []).entries()) {
        expect(Math.abs(score - (expected?.[index]?.score ?? 2))).toBeLessThan(0.01)
      }
    })
  },
  { webgpu: true },
)

describeInChromium('the browser client where there is no WebGPU', (browser) => {
  it('says so', async () => {
    const page = await browser.open(`${docs.worker.url}/v1/models`, { withoutCsp: true, expected: [/favicon/] })
    expect(await classify(page, 'browser')).toMatchObject({ code: 'engine_unsupported', seen: [] })
  })
})
