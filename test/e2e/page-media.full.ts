import { afterAll, beforeAll, expect, it } from 'vitest'
import { MEDIA_MODELS } from '../fixtures/media-models.ts'
import { accessible, describeInChromium } from '../fixtures/node/chromium.ts'
import type { LiveWorker } from '../fixtures/node/live-worker.ts'
import { answerTo, openModel, startMediaWorker } from '../fixtures/node/media-worker.ts'

let worker: LiveWorker
beforeAll(async () => {
  worker = await startMediaWorker()
}, 300_000)
afterAll(() => worker?.dispose())

/** A narrow telephone. */
const NARROW = { width: 360, height: 740 }

describeInChromium('every panel of pictures, sounds, files and tables', (browser) => {
  it.each(['digits', ...MEDIA_MODELS.map(({ name }) => name)])(
    'has an example that runs as it stands, on a narrow screen too: %s',
    async (name) => {
      const page = await openModel(browser, worker, name, { viewport: NARROW })
      const run = page.getByRole('button', { name: 'Run', exact: true })
      await expect.poll(() => run.isEnabled(), { timeout: 60_000 }).toBe(true)
      expect(await answerTo(page)).not.toBe('')
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(NARROW.width)
      await accessible(page)
    },
  )
})
