import { afterAll, beforeAll, expect, it } from 'vitest'
import { encodePng } from '../../src/media/image/png-encode.ts'
import { accessible, describeInChromium, shots } from '../fixtures/node/chromium.ts'
import type { LiveWorker } from '../fixtures/node/live-worker.ts'
import { answerTo, choose, given, openModel, startMediaWorker } from '../fixtures/node/media-worker.ts'

let worker: LiveWorker
beforeAll(async () => {
  worker = await startMediaWorker()
}, 300_000)
afterAll(() => worker?.dispose())

/** Red on the left, blue on the right, as bright as each other, and black below. */
async function halves() {
  const [width, height] = [120, 80]
  const data = new Uint8Array(width * height * 3)
  for (let y = 0; y < height / 2; y++) {
    for (let x = 0; x < width; x++) data[3 * (y * width + x) + (x < width / 2 ? 0 : 2)] = 240
  }
  return given('halves.png', 'image/png', await encodePng({ width, height, channels: 3, data }))
}

/** A pixel of a picture on the page, as the browser decodes it: red, green, blue and opacity. */
const PIXEL = (selector: string, x: number, y: number) => `(async () => {
  let picture
  while (!(picture = document.querySelector(${JSON.stringify(selector)}))) await new Promise(requestAnimationFrame)
  await picture.decode()
  const canvas = new OffscreenCanvas(picture.naturalWidth, picture.naturalHeight)
  const pen = canvas.getContext('2d')
  pen.drawImage(picture, 0, 0)
  return [...pen.getImageData(${x}, ${y}, 1, 1).data]
})()`

describeInChromium('panels of picture maps', (browser) => {
  it('show segments over the picture, and what their colours mean', async () => {
    const page = await openModel(browser, worker, 'hues')
    await expect.poll(() => page.getByRole('button', { name: 'Run', exact: true }).isEnabled()).toBe(true)
    expect(await answerTo(page)).toMatch(/^Mostly: /)
    await shots(page, 'media-segmentation-example')
    await choose(page, 'Choose a picture', await halves())
    await expect.poll(() => page.locator('.map-over').count()).toBe(0)
    expect(await answerTo(page)).toBe('Mostly: red, blue.')
    const legend = await page.locator('.map-legend li').allInnerTexts()
    // Black is of all colours equally: the first of them.
    expect(legend.map((text) => text.replace(/\s+/g, ' '))).toEqual([
      expect.stringMatching(/^red 7\d(\.\d)? ?% of the segments$/),
      expect.stringMatching(/^blue 2\d(\.\d)? ?% of the segments$/),
    ])
    const marks = await page.evaluate(
      "[...document.querySelectorAll('.map-mark')].map((mark) => getComputedStyle(mark).backgroundColor)",
    )
    const pixels = await Promise.all(
      [10, 110].map((x) => page.evaluate<[number, number, number, number]>(PIXEL('.map-over', x, 10))),
    )
    expect(pixels.map(([red, green, blue]) => `rgb(${red}, ${green}, ${blue})`)).toEqual(marks)
    await page.getByLabel('Opacity of the colours').fill('20')
    await expect.poll(() => page.evaluate("getComputedStyle(document.querySelector('.map-over')).opacity")).toBe('0.2')
    await accessible(page)
    await shots(page, 'media-segmentation')
  })

  it('show a picture without its background on a chequerboard', async () => {
    const page = await openModel(browser, worker, 'bright-parts')
    await expect.poll(() => page.getByRole('button', { name: 'Run', exact: true }).isEnabled()).toBe(true)
    await answerTo(page)
    await shots(page, 'media-background-example')
    await choose(page, 'Choose a picture', await halves())
    await answerTo(page)
    await expect.poll(() => page.locator('.media-best').innerText()).toBe('The background is removed: 120 × 80 pixels.')
    const bright = await page.evaluate<number[]>(PIXEL('.map-chequered', 10, 10))
    const dark = await page.evaluate<number[]>(PIXEL('.map-chequered', 10, 70))
    // A third of 240, as the mean of the three colours.
    expect(Math.abs((bright[3] ?? 0) - 80)).toBeLessThanOrEqual(1)
    expect(dark[3]).toBe(0)
    await accessible(page)
    await shots(page, 'media-background')
  })

  it('show the depth beside the picture', async () => {
    const page = await openModel(browser, worker, 'bright-near')
    await expect.poll(() => page.getByRole('button', { name: 'Run', exact: true }).isEnabled()).toBe(true)
    expect(await answerTo(page)).toMatch(/^Black is 0\.\d+, white is 0\.\d+\.$/)
    await shots(page, 'media-depth-example')
    await choose(page, 'Choose a picture', await halves())
    expect(await answerTo(page)).toBe('Black is 0, white is 0.3137.')
    expect(await page.evaluate(PIXEL('.map-beside .media-made', 10, 10))).toEqual([255, 255, 255, 255])
    expect(await page.evaluate(PIXEL('.map-beside .media-made', 10, 70))).toEqual([0, 0, 0, 255])
    await accessible(page)
    await shots(page, 'media-depth')
  })
})
