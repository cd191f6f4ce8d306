import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { accessible, describeInChromium, shots } from '../fixtures/node/chromium.ts'
import { type PageWorker, startPageWorker } from '../fixtures/node/page-worker.ts'

let worker: PageWorker

beforeAll(async () => {
  worker = await startPageWorker(['abacus', 'digits', 'reviews'])
})
afterAll(() => worker?.dispose())

const status = (page: Page) => page.locator('.run-state [role=status]')
const run = (page: Page) => page.getByRole('button', { name: 'Run', exact: true }).click()

describeInChromium('the page with models in the browser', (browser) => {
  it('runs where the visitor says, answers what the Worker answers, and shows what the browser keeps', async () => {
    const page = await browser.open(`${worker.url}/#/reviews`)
    await page.getByLabel('This browser').check()
    await run(page)
    await expect.poll(() => status(page).textContent()).toMatch(/^Answered in [\d.]+ ms in this browser$/)
    await page.getByText(/^This browser keeps [\d.]+ [KM]iB of weights.*reviews@/).waitFor()
    await page.getByRole('button', { name: /^Compare/ }).click()
    await page.getByRole('cell', { name: 'same bits' }).waitFor()
    await accessible(page)
    await shots(page, 'page-browser')
    await page.getByRole('button', { name: 'Remove them' }).click()
    await expect.poll(() => page.getByText(/^This browser keeps/).count()).toBe(0)
  })

  it('answers without the network, once the model is here', async () => {
    const page = await browser.open(`${worker.url}/#/reviews`)
    await page.getByLabel('This browser').check()
    await run(page)
    await expect.poll(() => status(page).textContent()).toMatch(/in this browser$/)
    // What is under way when the device goes offline or comes back is asked again, and the old request ends.
    browser.expectProblem(/ERR_INTERNET_DISCONNECTED|ERR_ABORTED/)
    await page.context().setOffline(true)
    await expect.poll(() => page.locator('.status').textContent()).toBe('This device is offline')
    await page.getByLabel('Text').fill('Two hours of my life that I will not get back.')
    await run(page)
    const first = page.locator('.bars-label').first()
    await expect.poll(() => first.textContent()).toBe('negative')
    await expect.poll(() => status(page).textContent()).toMatch(/in this browser$/)
  })

  it('leaves the choice to the page by default, which answers in either place', async () => {
    const page = await browser.open(`${worker.url}/#/reviews`)
    await expect.poll(() => page.getByLabel('Automatic').isChecked()).toBe(true)
    for (let i = 0; i < 3; i++) {
      await run(page)
      await expect
        .poll(() => status(page).textContent())
        .toMatch(/^Answered in [\d.]+ ms (?:at the edge|in this browser)$/)
    }
  })

  it('answers from the edge where the engine cannot be loaded, and says why where the visitor insists', async () => {
    const page = await browser.open(undefined, { expected: [/browser\.js|ERR_FAILED/] })
    await page.route('**/browser.js', (route) => route.abort())
    await page.goto(`${worker.url}/#/reviews`)
    await run(page)
    await expect.poll(() => status(page).textContent()).toMatch(/at the edge$/)
    await page.getByLabel('This browser').check()
    await run(page)
    await page
      .getByRole('alert')
      .getByText(/engine for this browser could not be loaded/)
      .waitFor()
    await accessible(page)
    await page.unroute('**/browser.js')
    await run(page)
    await expect.poll(() => status(page).textContent()).toMatch(/in this browser$/)
  })

  it('has no choice of places for a model that runs in one', async () => {
    const page = await browser.open(`${worker.url}/#/abacus`)
    await page.getByRole('heading', { level: 1, name: 'abacus' }).waitFor()
    await page.getByRole('button', { name: 'Send' }).waitFor()
    await expect.poll(() => page.getByRole('group', { name: 'Where to run' }).count()).toBe(0)
  })
})
