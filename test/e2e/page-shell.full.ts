import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { accessible, describeInChromium, shots } from '../fixtures/node/chromium.ts'
import { type PageWorker, renamed, startPageWorker } from '../fixtures/node/page-worker.ts'

const KEY = 'a-key-of-the-operator'

let worker: PageWorker
let empty: PageWorker

beforeAll(async () => {
  worker = await startPageWorker(['abacus', 'digits', 'reviews'], { VERGE_API_KEY: KEY })
  const digits = await packFolder(join(ROOT, 'models/digits'))
  await publish(
    worker.writer,
    renamed(digits, 'pixels', { task: undefined, labels: undefined, downloadable: undefined }),
  )
  await publish(worker.writer, renamed(digits, 'hidden', {}, 'private'))
  empty = await startPageWorker([])
})
afterAll(async () => {
  await worker?.dispose()
  await empty?.dispose()
})

const names = (page: Page) => page.locator('.model-name').allTextContents()
const status = (page: Page) => page.locator('.run-state [role=status]')

describeInChromium('the page', (browser) => {
  it('lists the public models with what tells them apart, and is readable in every look', async () => {
    const page = await browser.open(worker.url)
    await page.getByRole('link', { name: /^digits/ }).waitFor()
    expect(await names(page)).toEqual(['abacus', 'digits', 'pixels', 'reviews'])
    await expect.poll(() => page.locator('.status').textContent()).toMatch(/^Ready, version \d/)
    const row = page.getByRole('link', { name: /^pixels/ })
    await expect.poll(() => row.textContent()).toMatch(/takes and gives tensors.*\d+ KiBat the edgeversion/)
    await accessible(page)
    await shots(page, 'page-list')
  })

  it('runs a model, shows the answer, what happened and the code, and keeps quiet in the console', async () => {
    const page = await browser.open(worker.url)
    await page.getByRole('link', { name: /^reviews/ }).click()
    await page.getByRole('heading', { level: 1, name: 'reviews' }).waitFor()
    expect(page.url()).toBe(`${worker.url}/#/reviews`)
    expect(await page.title()).toBe('reviews · Verge')
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await expect.poll(() => status(page).textContent()).toMatch(/^Answered in [\d.]+ ms at the edge$/)
    await page.locator('.bars-label').getByText('positive').waitFor()
    await page.getByRole('heading', { name: 'What happened' }).waitFor()
    await page.getByText(`curl ${worker.url}/run/reviews`).waitFor()
    await accessible(page)
    await shots(page, 'page-answer')
  })

  it('runs tensors for a model without a task, from an example that is filled in', async () => {
    const page = await browser.open(`${worker.url}/#/pixels`)
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await page.getByRole('heading', { name: /logits FP32 \[1, 10\]/ }).waitFor()
    const shown = await page.getByRole('region', { name: 'Elements of logits' }).textContent()
    // What the Worker answers to the same tensor.
    const data = Array.from({ length: 784 }, (_, i) => Math.fround((i % 10) / 10))
    const response = await fetch(`${worker.url}/v2/models/pixels/infer`, {
      method: 'POST',
      body: JSON.stringify({ inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 1, 28, 28], data }] }),
    })
    const { outputs } = (await response.json()) as { readonly outputs: readonly [{ readonly data: readonly number[] }] }
    expect(shown?.trim().split(/\s+/).map(Number)).toEqual(outputs[0].data.map((value) => Number(value.toPrecision(5))))
    await page.getByLabel('Shape').fill('1, 1, 28, 27')
    await page.getByText('Dimension 4 must be 28.').waitFor()
    await expect.poll(() => page.getByRole('region', { name: 'Elements of logits' }).count()).toBe(0)
    await expect.poll(() => page.getByRole('button', { name: 'Run', exact: true }).isDisabled()).toBe(true)
    await accessible(page)
    await shots(page, 'page-tensors')
  })

  it('is used by the keyboard alone, and the back button returns', async () => {
    const page = await browser.open(worker.url)
    await page.getByRole('link', { name: /^digits/ }).waitFor()
    await page.keyboard.press('Tab')
    await expect.poll(() => page.evaluate('document.activeElement.textContent')).toBe('Skip to the content')
    await page.keyboard.press('Enter')
    await page.keyboard.press('Tab')
    await expect
      .poll(() => page.evaluate('document.activeElement.querySelector(".model-name").textContent'))
      .toBe('abacus')
    const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')
    expect(outline).toBe('solid')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'abacus' }).waitFor()
    // The focus is at the content, and not lost at the end of a list that is gone.
    await expect.poll(() => page.evaluate('document.activeElement.id')).toBe('main')
    await page.goBack()
    await page.getByRole('heading', { level: 1, name: 'Models' }).waitFor()
  })

  it('shows private models to the operator, whose key is gone after a reload', async () => {
    const page = await browser.open(worker.url)
    await page.getByRole('link', { name: /^digits/ }).waitFor()
    await page.getByText('Key or token').first().click()
    await page.getByLabel('Key or token').fill('not-the-key-of-anyone')
    await page.getByRole('button', { name: 'Use key' }).click()
    await page.getByText('Key not accepted').waitFor()
    // Read aloud although the form is closed.
    const said = page
      .getByRole('status')
      .getByText('The Worker does not accept this key or token. Without a valid one it shows public models only.')
    await said.waitFor()
    await page.getByText('Key not accepted').click()
    await page.getByLabel('Key or token').fill(KEY)
    await accessible(page)
    await page.getByRole('button', { name: 'Use key' }).click()
    await page.getByRole('status').getByText('The Worker accepts this key.').waitFor()
    await page.getByRole('link', { name: /^hidden.*private/ }).click()
    await page.getByRole('heading', { level: 1, name: 'hidden' }).waitFor()
    expect(await page.evaluate('JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])')).toBe(
      '[{},{},""]',
    )
    browser.expectProblem(/404/)
    await page.getByRole('button', { name: 'Run', exact: true }).waitFor()
    await page.reload()
    await page.getByText('There is no model "hidden" here').waitFor()
    expect(await names(page)).not.toContain('hidden')
  })

  it('shows the form of the key within the window of a phone', async () => {
    // With another key, a list that is under way is asked for again.
    const expected = [/GET \S+\/models net::ERR_ABORTED/]
    const page = await browser.open(worker.url, { viewport: { width: 360, height: 740 }, expected })
    await page.getByText('Key or token').first().click()
    const box = await page.locator('.key-form').boundingBox()
    expect(box?.x).toBeGreaterThanOrEqual(0)
    expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(360)
    await page.getByLabel('Key or token').fill(KEY)
    await page.getByRole('button', { name: 'Use key' }).click()
    await page.getByRole('link', { name: /^hidden.*private/ }).waitFor()
    // What the key has shown goes with it.
    await page.getByText('Operator', { exact: true }).click()
    await page.getByRole('button', { name: 'Forget key' }).click()
    await expect.poll(() => names(page)).not.toContain('hidden')
  })

  it('says which command to run where there are no models', async () => {
    const page = await browser.open(empty.url)
    await page.getByText('npx verge push model.onnx --name mine').waitFor()
    await accessible(page)
    await shots(page, 'page-empty')
  })

  it('says so when the device is offline, and continues when it is not', async () => {
    const page = await browser.open(`${worker.url}/#/reviews`)
    const run = page.getByRole('button', { name: 'Run', exact: true })
    await run.waitFor()
    // What is under way when the device goes offline or comes back is asked again, and the old request ends.
    browser.expectProblem(/ERR_INTERNET_DISCONNECTED|ERR_ABORTED/)
    await page.context().setOffline(true)
    await expect.poll(() => page.locator('.status').textContent()).toBe('This device is offline')
    await run.click()
    await page
      .getByRole('alert')
      .getByText(/^This device is offline\. Try again/)
      .waitFor()
    await page.context().setOffline(false)
    await expect.poll(() => page.locator('.status').textContent()).toMatch(/^Ready/)
    await run.click()
    await expect.poll(() => status(page).textContent()).toMatch(/^Answered/)
  })

  it('loads a model that was opened without a network when there is one', async () => {
    const page = await browser.open(worker.url)
    await page.getByRole('link', { name: /^digits/ }).waitFor()
    // What is under way when the device goes offline or comes back is asked again, and the old request ends.
    browser.expectProblem(/ERR_INTERNET_DISCONNECTED|ERR_ABORTED/)
    await page.context().setOffline(true)
    await page.getByRole('link', { name: /^digits/ }).click()
    await page.getByText('The model cannot be shown').waitFor()
    await page.context().setOffline(false)
    await page.getByRole('heading', { level: 1, name: 'digits' }).waitFor()
    await page.getByRole('button', { name: 'Run', exact: true }).waitFor()
  })

  it('notices a model that is released again or removed while it is open', async () => {
    const packed = await packFolder(join(ROOT, 'models/reviews'))
    await publish(worker.writer, renamed(packed, 'moving', { version: '1' }))
    const page = await browser.open(`${worker.url}/#/moving`)
    await page.getByRole('main').getByText('version 1').waitFor()
    await worker.writer.publishVersion(
      { ...packed.manifest, model: 'moving', version: '2' },
      { live: true, visibility: 'public' },
    )
    // What an isolate knows of an alias may be some seconds old.
    await expect
      .poll(
        async () => {
          await page.getByRole('button', { name: 'Run', exact: true }).click()
          await expect.poll(() => status(page).textContent()).toMatch(/^Answered/)
          return page.locator('.model-head').textContent()
        },
        { timeout: 120_000, interval: 1000 },
      )
      .toContain('version 2')
    await page.goto(`${worker.url}/#/never`)
    browser.expectProblem(/404/)
    await page.getByText('There is no model "never" here').waitFor()
    await accessible(page)
  })

  it('says what to do where a part of the page is gone with the release that it belonged to', async () => {
    const page = await browser.open(worker.url, { expected: [/classification|404/] })
    await page.getByRole('link', { name: /^reviews/ }).waitFor()
    await page.route('**/assets/page/classification-*.js', (route) => route.fulfill({ status: 404 }))
    await page.getByRole('link', { name: /^reviews/ }).click()
    await page
      .getByRole('alert')
      .getByText(/released again since you opened it\. Reload the page/)
      .waitFor()
    await accessible(page)
    // The rest of the page works.
    await page.getByRole('link', { name: /^pixels/ }).click()
    await page.getByRole('button', { name: 'Run', exact: true }).waitFor()
  })

  it('shows a refusal of the Worker with the id of the request, and what was typed stays', async () => {
    const page = await browser.open(`${worker.url}/#/reviews`, { expected: [/503/] })
    await page.getByLabel('Edge').check()
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await expect.poll(() => status(page).textContent()).toMatch(/^Answered/)
    await page.getByLabel('Text').fill('A film.')
    const error = { code: 'engine_full', message: 'The engine is full. Try again later.', request_id: 'id-of-the-log' }
    await page.route('**/run/reviews', (route) =>
      route.fulfill({ status: 503, contentType: 'application/json', body: JSON.stringify({ error }) }),
    )
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    const alert = page.getByRole('alert')
    await alert.getByText('The engine is full. Try again later.').waitFor()
    await alert.getByText('id-of-the-log').waitFor()
    await expect.poll(() => page.getByLabel('Text').inputValue()).toBe('A film.')
    // The answer before is not one to this text.
    await expect.poll(() => status(page).textContent()).toBe('')
    await expect.poll(() => page.locator('.bars-label').count()).toBe(0)
    await expect.poll(() => page.getByRole('heading', { name: 'What happened' }).count()).toBe(0)
    await accessible(page)
    await shots(page, 'page-failure')
    await page.unroute('**/run/reviews')
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await expect.poll(() => status(page).textContent()).toMatch(/^Answered/)
    await expect.poll(() => alert.count()).toBe(0)
  })

  it('can cancel what runs, and shows no failure for it', async () => {
    const page = await browser.open(`${worker.url}/#/reviews`, { expected: [/ERR_ABORTED/] })
    await page.getByLabel('Edge').check()
    let waiting = 0
    await page.route('**/run/reviews', async () => void waiting++)
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await expect.poll(() => waiting).toBe(1)
    await expect.poll(() => status(page).textContent()).toBe('Running')
    await page.getByRole('button', { name: 'Cancel' }).click()
    await expect.poll(() => status(page).textContent()).toBe('Cancelled')
    await expect.poll(() => page.getByRole('alert').count()).toBe(0)
    await page.unroute('**/run/reviews')
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await expect.poll(() => status(page).textContent()).toMatch(/^Answered/)
  })

  it('is there soon, moves nothing while it loads, and fits a phone of 360 pixels', async () => {
    const page = await browser.open(undefined, { viewport: { width: 360, height: 740 } })
    await page.addInitScript(`
      window.shifts = []
      new PerformanceObserver((list) => {
        for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) shifts.push(value)
      }).observe({ type: 'layout-shift', buffered: true })`)
    for (const hash of ['', '#/digits', '#/reviews', '#/abacus', '#/pixels']) {
      // Another address within the page would load nothing.
      await page.goto('about:blank')
      await page.goto(`${worker.url}/${hash}`)
      await page.getByRole('heading', { level: 1 }).waitFor()
      await page.waitForLoadState('networkidle')
      const moved = (await page.evaluate('shifts.reduce((sum, value) => sum + value, 0)')) as number
      expect([hash, moved < 0.05, moved]).toEqual([hash, true, moved])
      expect([hash, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([hash, 360])
    }
  })
})
