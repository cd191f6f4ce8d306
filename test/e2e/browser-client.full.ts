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

/** Runs a program of JavaScript in a page, with `client` and `createBrowserClient` at hand. */
function inPage<T>(page: Page, options: object, program: string): Promise<T> {
  return page.evaluate(`(async () => {
    const { createBrowserClient, VergeError } = await import(${JSON.stringify(`${docs.worker.url}/browser.js`)})
    const seen = []
    const notices = []
    const client = createBrowserClient({
      url: ${JSON.stringify(docs.worker.url)},
      onNotice: (notice) => notices.push(notice),
      ...${JSON.stringify(options)},
    })
    const onAnswer = (info) => seen.push(info)
    try {
      ${program}
    } finally {
      client.dispose()
    }
  })()`)
}

describeInChromium('the browser client', (browser) => {
  it('answers in the browser what the Worker answers', async () => {
    const page = await browser.open(`${docs.worker.url}/v1/models`, { expected: [/favicon/] })
    const expected = await docs.post('/run/reviews', JSON.stringify({ inputs: TEXT }))
    const { answer, seen } = await inPage<{ answer: unknown; seen: object[] }>(
      page,
      { placement: 'browser' },
      `const answer = await client.classify('reviews', ${JSON.stringify(TEXT)}, { onAnswer })
       return { answer, seen }`,
    )
    expect(answer).toEqual(expected)
    expect(seen).toEqual([
      expect.objectContaining({ place: 'browser', engine: 'verge', artifact: 'verge-q8', model: 'reviews@3' }),
    ])
  })
})
