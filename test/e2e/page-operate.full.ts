import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type OperationsBody, operationsBodySchema } from '../../src/protocols/verge/operations.ts'
import { accessible, describeInChromium, shots } from '../fixtures/node/chromium.ts'
import { operationsBody } from '../fixtures/node/operations-body.ts'
import { type PageWorker, startPageWorker } from '../fixtures/node/page-worker.ts'

const KEY = 'a-key-of-the-operator'

let worker: PageWorker

beforeAll(async () => {
  worker = await startPageWorker(['digits'], { VERGE_API_KEY: KEY })
})
afterAll(() => worker?.dispose())

/** Enters a key where the page asks for one. */
async function enter(page: Page, key = KEY): Promise<void> {
  await page.getByLabel('Key').fill(key)
  await page.getByRole('button', { name: 'Show operations' }).click()
}

/** Has the page told what a test made up. @returns how often it asked */
async function telling(page: Page, body: () => OperationsBody | undefined): Promise<() => number> {
  let asked = 0
  await page.route('**/v1/operations', async (route) => {
    asked++
    const told = body()
    if (told === undefined) await route.fulfill({ status: 503, json: UNAVAILABLE })
    else await route.fulfill({ json: told })
  })
  return () => asked
}

const UNAVAILABLE = {
  error: { code: 'store_unavailable', message: 'R2 does not answer. Try again.', request_id: 'r-1' },
}

describeInChromium('the page for operators', (browser) => {
  it('asks for a key, refuses a wrong one, and shows what the Worker tells the operator', async () => {
    const page = await browser.open(`${worker.url}/operate`, { expected: [/401/] })
    await page.getByRole('heading', { level: 1, name: 'Operations' }).waitFor()
    expect(await page.title()).toBe('Operations · Verge')
    await accessible(page)
    await shots(page, 'operate-key')
    await enter(page, 'not-the-key-of-anyone')
    await page.getByText('The Worker does not show the figures for this key').waitFor()
    await enter(page)
    await page.getByRole('heading', { name: 'Health' }).waitFor()
    await page.getByRole('rowheader', { name: 'digits' }).waitFor()
    await page.getByText('Updated just now').waitFor()
    // In the tab's memory alone.
    expect(await page.evaluate('JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])')).toBe(
      '[{},{},""]',
    )
    expect(page.url()).toBe(`${worker.url}/operate`)
    await page.getByRole('button', { name: 'Forget key' }).click()
    await page.getByLabel('Key').waitFor()
    expect(await page.getByRole('heading', { name: 'Health' }).count()).toBe(0)
  })

  it('shows alerts, canaries, budgets, origins and changes, readable in every look', async () => {
    const page = await browser.open(`${worker.url}/operate`)
    await telling(page, operationsBody)
    await enter(page)
    await page.getByText('Something is broken').first().waitFor()
    await page.getByText('6.0 % of the last five minutes’ 1,200 requests failed.').waitFor()
    await page.getByText('Version 3 is on trial').waitFor()
    await page.getByText('Version 8 was taken out').waitFor()
    await page.getByText('95 % of 100k requests a day').waitFor()
    await page.getByText('down; on trial after failures, for one isolate').waitFor()
    await page.getByText('not asked yet').waitFor()
    await page.getByText('live: 2 -> 2=95 3=5').waitFor()
    await page.getByRole('img', { name: /^Requests a minute. From \d\d:\d\d to \d\d:\d\d: 40 at most/ }).waitFor()
    await page.getByText('As a table').click()
    expect(await page.getByRole('region', { name: 'Requests and errors by minute' }).getByRole('row').count()).toBe(61)
    await page.getByText('As a table').click()
    await accessible(page)
    await shots(page, 'operate')
  })

  it('says when a source failed, when an update failed and how old the figures are, and asks nothing while it is hidden', async () => {
    const page = await browser.open('about:blank', { expected: [/503/] })
    await page.clock.install()
    await page.goto(`${worker.url}/operate`)
    let body: OperationsBody | undefined = operationsBodySchema.parse({
      ...operationsBody(),
      health: 'warning',
      alerts: operationsBody().alerts.filter(({ severity }) => severity === 'warning'),
      totals: null,
      minutes: null,
      callers: null,
      cost: null,
      changes: null,
      problems: [{ part: 'traffic', what: 'The metrics are not bound. Add the binding METRICS.' }],
    })
    const asked = await telling(page, () => body)
    await enter(page)
    await page.getByText('The metrics are not bound. Add the binding METRICS.').waitFor()
    for (const what of ['The metrics', 'The cost', 'The audit log']) {
      await page.getByText(`${what} could not be read.`).waitFor()
    }
    await shots(page, 'operate-incomplete')
    expect(asked()).toBe(1)
    await page.clock.runFor(15_000)
    await expect.poll(asked).toBe(2)

    body = undefined
    await page.clock.runFor(15_000)
    await expect.poll(asked).toBe(3)
    await page.getByText(/The last update failed. The figures below are \d+ seconds old/).waitFor()
    await page.getByText('R2 does not answer. Try again.').waitFor()
    // what was there stays
    await page.getByRole('rowheader', { name: 'reviews' }).waitFor()
    // and the pause grows
    await page.clock.runFor(15_000)
    expect(asked()).toBe(3)

    await hide(page, true)
    await page.clock.runFor(600_000)
    expect(asked()).toBe(3)
    body = operationsBody()
    await hide(page, false)
    await expect.poll(asked).toBe(4)
    await page.getByText('Updated just now').waitFor()
    expect(await page.getByText('The last update failed').count()).toBe(0)
  })
})

/** What a browser tells the page when its tab is hidden or shown. */
async function hide(page: Page, hidden: boolean): Promise<void> {
  await page.evaluate(
    `Object.defineProperty(document, 'visibilityState', { value: '${hidden ? 'hidden' : 'visible'}', configurable: true });
     document.dispatchEvent(new Event('visibilitychange'))`,
  )
}
