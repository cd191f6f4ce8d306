import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { accessible, describeInChromium, shots } from '../fixtures/node/chromium.ts'
import type { LiveWorker } from '../fixtures/node/live-worker.ts'
import { type OriginProcess, startOriginProcess } from '../fixtures/node/origin-process.ts'
import { startTextPage } from '../fixtures/node/text-page.ts'

const KEY = 'a-key-of-the-operator-0123456789'
const ORIGIN_KEY = 'the secret of these tests is long enough'

describeInChromium('what happened to a request', (browser) => {
  let worker: LiveWorker
  let origin: OriginProcess
  let cache: string
  beforeAll(async () => {
    cache = mkdtempSync(join(tmpdir(), 'verge-page-'))
    origin = await startOriginProcess({ from: join(ROOT, 'models'), cache, keys: [ORIGIN_KEY] })
    await origin.logged('origin_ready')
    const at = {
      name: 'here',
      url: origin.url,
      models: ['reviews', 'abacus'],
      auth: { type: 'hmac', key: 'ORIGIN_KEY' },
    }
    worker = await startTextPage({
      VERGE_API_KEY: KEY,
      ORIGIN_KEY,
      ORIGINS: JSON.stringify([at]),
      RESULT_CACHE_TTL_SECONDS: '600',
    })
  })
  afterAll(async () => {
    await worker?.dispose()
    await origin?.stop()
    rmSync(cache, { recursive: true, force: true })
  })

  const result = (page: Page) => page.getByRole('region', { name: 'What happened' })
  const fact = (page: Page, name: string) => page.locator('.fact', { has: page.getByText(name, { exact: true }) })

  async function run(page: Page): Promise<void> {
    const answered = page.waitForResponse((response) => response.request().method() === 'POST')
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await answered
    await result(page).waitFor()
  }

  const open = async (model = 'reviews') => {
    const page = await browser.open(`${worker.url}/#/${model}`)
    await page.getByRole('button', { name: 'Run', exact: true }).waitFor()
    return page
  }

  it('is a waterfall whose bars explain themselves, and a table', async () => {
    const page = await open()
    await run(page)
    const steps = result(page)
      .getByRole('button')
      .filter({ has: page.locator('.waterfall-bar') })
    const rest = steps.last()
    await rest.hover()
    await page.getByText(/^Network and rest: The way to the Worker/).waitFor()
    await expect.poll(() => rest.innerText()).toMatch(/^Network and rest\s+[\d.]+ m?s/)
    await steps.first().focus()
    const [first = ''] = (await steps.first().innerText()).split(/\s/)
    await page.locator('.waterfall-meaning', { hasText: `${first}: ` }).waitFor()
    await page.getByText('As a table').click()
    const table = page.getByRole('region', { name: 'Times of the parts' })
    await expect.poll(() => table.getByRole('row').count()).toBe((await steps.count()) + 1)
    // The bars fill the time that the page measured.
    const bars = (await page.evaluate(
      `[...document.querySelectorAll('.waterfall-bar')].map((bar) => [parseFloat(bar.style.left), parseFloat(bar.style.width)])`,
    )) as [number, number][]
    let at = 0
    for (const [left, width] of bars) {
      expect(left).toBeCloseTo(at, 2)
      at = left + width
    }
    expect(at).toBeCloseTo(100, 2)
    await shots(page, 'result')
    await accessible(page)
  })

  it('says where it ran and why, by which artifact, and what the cache did', async () => {
    const page = await open()
    await page.getByLabel('Text').fill('A film for one evening.')
    await run(page)
    await expect.poll(() => fact(page, 'Where').innerText()).toMatch(/At the edge\s.*fits into the Worker’s isolate/s)
    await expect
      .poll(() => fact(page, 'Model').innerText())
      .toMatch(/reviews@\d+\s+Artifact verge-q8: q8, \d+ KiB, on Verge’s own engine\./)
    await expect.poll(() => fact(page, 'Cache').innerText()).toMatch(/Cache\s+(miss|bypass)\s/)
  })

  it('has the id of the request, to copy', async () => {
    const page = await open()
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    const answered = page.waitForResponse((response) => response.request().method() === 'POST')
    await run(page)
    const id = (await answered).headers()['x-request-id'] ?? ''
    await expect.poll(() => fact(page, 'Request').innerText()).toContain(id)
    await page.getByRole('button', { name: 'Copy the request id' }).click()
    await page.getByRole('status').getByText('Copied the request id.').waitFor()
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(id)
  })

  it('has the code of the request, in tabs that the keyboard reaches', async () => {
    const page = await open()
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await run(page)
    const code = page.getByRole('tabpanel')
    await expect.poll(() => code.innerText()).toContain(`curl ${worker.url}/run/reviews`)
    await page.getByRole('tab', { name: 'curl' }).focus()
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('ArrowRight')
    await expect
      .poll(() => page.getByRole('tab', { name: 'Verge’s client' }).getAttribute('aria-selected'))
      .toBe('true')
    await expect.poll(() => code.innerText()).toContain(`import { createClient } from '${worker.url}/client.js'`)
    await page.keyboard.press('ArrowRight')
    await expect.poll(() => code.innerText()).toContain('curl')
    await page.getByRole('button', { name: 'Copy the code for curl' }).click()
    await page.getByRole('status').getByText('Copied the code for curl.').waitFor()
    const copied = String(await page.evaluate('navigator.clipboard.readText()'))
    expect(copied).toBe((await code.locator('code').textContent()) ?? '')
    expect(copied).not.toContain(KEY)
  })

  it('compares the edge, an origin and the browser, and says how far their answers agree', async () => {
    const page = await open()
    await run(page)
    const places: string[] = []
    page.on('request', (request) => {
      if (request.method() === 'POST') places.push(request.headers()['verge-place'] ?? 'auto')
    })
    await page.getByRole('button', { name: 'Compare edge, origin and browser' }).click()
    const row = (name: string) => page.getByRole('row', { name })
    await page.getByRole('status').getByText('The comparison is complete.').waitFor({ state: 'attached' })
    expect(places).toEqual([...Array<string>(6).fill('edge'), ...Array<string>(6).fill('origin')])
    await expect.poll(() => row('At the edge').innerText()).toMatch(/[\d.]+ m?s\s+[\d.]+ m?s\s+the one to compare with/)
    // The weights are not the same: 8 bits at the edge, floats at the origin.
    await expect
      .poll(() => row('At an origin').innerText())
      .toMatch(/[\d.]+ m?s\s+[\d.]+ m?s\s+largest difference 0\.\d+/)
    // The same weights and the same engine give the same bits.
    await expect.poll(() => row('In your browser').innerText()).toMatch(/[\d.]+ m?s\s+[\d.]+ m?s\s+same bits/)
    await shots(page, 'result-comparison')
    await accessible(page)
  })

  it('compares texts by the same seed, and has the time of their first part', async () => {
    const page = await browser.open(`${worker.url}/#/abacus`)
    await page.getByText('Settings').click()
    await page.getByLabel('Temperature').fill('1')
    await page.getByRole('button', { name: 'What is 27 plus 58?' }).click()
    await result(page).waitFor()
    const steps = result(page)
      .getByRole('button')
      .filter({ has: page.locator('.waterfall-bar') })
    await expect
      .poll(() => steps.allInnerTexts())
      .toEqual([expect.stringMatching(/^First part/), expect.stringMatching(/^Text/)])
    const seeds: unknown[] = []
    page.on('request', (request) => {
      if (request.method() === 'POST') seeds.push((request.postDataJSON() as { seed?: number }).seed)
    })
    await page.getByRole('button', { name: 'Compare edge and origin' }).click()
    await page.getByRole('status').getByText('The comparison is complete.').waitFor({ state: 'attached' })
    expect(seeds).toEqual(Array(12).fill(1))
  })

  it('of a run in the browser says so, and has code that runs there, too', async () => {
    const page = await open()
    await page.getByLabel('This browser').check()
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await result(page).waitFor()
    await expect.poll(() => fact(page, 'Where').innerText()).toMatch(/In your browser\s/)
    await expect
      .poll(() => fact(page, 'Model').innerText())
      .toMatch(/reviews@\d+\s+Artifact verge-q8: q8, \d+ KiB, on Verge’s own engine\./)
    await expect.poll(() => fact(page, 'Cache').innerText()).toContain('ran in your browser')
    await accessible(page)
    await page.getByRole('tab', { name: 'Verge’s client' }).click()
    const code = await page.getByRole('tabpanel').innerText()
    expect(code).toContain(`import { createBrowserClient } from '${worker.url}/browser.js'`)
    // As a module of another page of this Worker: an import becomes one that a function may have, and prints are kept.
    const body = code
      .replace(/^import (\{.*\}) from ('.*')$/m, 'const $1 = await import($2)')
      .replace('console.log(', 'printed.push(')
    const other = await browser.open(`${worker.url}/`)
    const printed = await other.evaluate(`(async () => { const printed = []; ${body}\n; return printed })()`)
    expect(printed).toEqual([
      [expect.objectContaining({ label: 'positive' }), expect.objectContaining({ label: 'negative' })],
    ])
  })

  it('follows an automatic choice into the browser, and says why', async () => {
    const page = await open()
    const where = async (): Promise<string> => {
      await page.getByRole('button', { name: 'Run', exact: true }).click()
      await page
        .getByRole('status')
        .getByText(/^Answered in/)
        .waitFor()
      await result(page).waitFor()
      return fact(page, 'Where').innerText()
    }
    // The first answer is the Worker's, while the weights arrive.
    expect(await where()).toMatch(/At the edge\s+The weights are on their way into the browser\./)
    await expect.poll(where).toMatch(/In your browser\s+The (weights are in the browser|browser answers sooner)/)
    await page.getByRole('tab', { name: 'Verge’s client' }).click()
    await expect.poll(() => page.getByRole('tabpanel').innerText()).toContain("placement: 'auto'")
    await shots(page, 'result-browser')
  })

  it('shows the operator what the Worker considered', async () => {
    const page = await open()
    await run(page)
    const button = page.getByRole('button', { name: 'Show what the Worker considered' })
    await expect.poll(() => button.count()).toBe(0)
    await page.getByText('Key or token').first().click()
    await page.getByLabel('Key or token').fill(KEY)
    await page.getByRole('button', { name: 'Use key' }).click()
    await run(page)
    await button.click()
    const decision = page.getByRole('region', { name: 'The decision' })
    await expect.poll(() => decision.innerText()).toContain('"reason": "fits-edge"')
    await expect.poll(() => result(page).innerText()).not.toContain(KEY)
    await accessible(page)
  })

  it('downloads nothing of itself before a model has run', async () => {
    const page = await browser.open()
    const loaded: string[] = []
    page.on('response', (response) => void loaded.push(new URL(response.url()).pathname))
    await page.goto(`${worker.url}/#/reviews`)
    await page.getByRole('button', { name: 'Run', exact: true }).waitFor()
    const before = loaded.filter((path) => path.endsWith('.js'))
    await run(page)
    const after = loaded.filter((path) => path.endsWith('.js') && !before.includes(path))
    expect(before.length).toBeGreaterThan(0)
    expect(after.length).toBeGreaterThan(0)
  })
})
