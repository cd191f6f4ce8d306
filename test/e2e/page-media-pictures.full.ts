import { randomFillSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { encodePng } from '../../src/media/image/png-encode.ts'
import { encodeJpeg } from '../../synthetic/node/jpeg.ts'
import { CELLS } from '../fixtures/media-models.ts'
import { accessible, describeInChromium, shots } from '../fixtures/node/chromium.ts'
import type { LiveWorker } from '../fixtures/node/live-worker.ts'
import {
  answerTo,
  bring,
  choose,
  given,
  openModel,
  startMediaWorker,
  workersAnswer,
} from '../fixtures/node/media-worker.ts'

let worker: LiveWorker
beforeAll(async () => {
  worker = await startMediaWorker()
}, 300_000)
afterAll(() => worker?.dispose())

const sample = (name: string) => given(name, 'image/png', readFileSync(join(ROOT, 'models/digits/samples', name)))

type Colour = readonly [red: number, green: number, blue: number]
const RED: Colour = [230, 20, 20]
const GREEN: Colour = [20, 230, 20]

/** A picture of `colourAt`, pixel by pixel. */
function raster(width: number, height: number, colourAt: (x: number, y: number) => Colour) {
  const data = new Uint8Array(width * height * 3)
  for (let i = 0; i < width * height; i++) data.set(colourAt(i % width, Math.floor(i / width)), 3 * i)
  return { width, height, channels: 3 as const, data }
}

/** Red in some of 8 by 8 cells, and green elsewhere. */
function squares(width: number, height: number, red: readonly (readonly [column: number, row: number])[]) {
  return raster(width, height, (x, y) => {
    const [column, row] = [Math.floor((x * CELLS) / width), Math.floor((y * CELLS) / height)]
    return red.some(([c, r]) => c === column && r === row) ? RED : GREEN
  })
}

/** A JPEG that has to be turned by a quarter to the right. */
async function turnedJpeg(picture: ReturnType<typeof raster>): Promise<Buffer> {
  const data = new Uint8ClampedArray(picture.width * picture.height * 4).fill(255)
  for (let i = 0; i < picture.width * picture.height; i++) data.set(picture.data.subarray(3 * i, 3 * i + 3), 4 * i)
  const jpeg = Buffer.from(await encodeJpeg({ ...picture, data }, { quality: 95, progressive: false }))
  const tiff = Buffer.from('4d4d002a00000008000101120003000000010006000000000000', 'hex')
  const exif = Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), tiff])
  const segment = Buffer.from([0xff, 0xe1, 0, exif.length + 2])
  return Buffer.concat([jpeg.subarray(0, 2), segment, exif, jpeg.subarray(2)])
}

/** Where the boxes are on the page, in cells of the picture as it is shown. */
async function boxesInCells(page: Page): Promise<number[][]> {
  const picture = await page.locator('.media-picture img').boundingBox()
  if (picture === null) throw new Error('The picture is not shown.')
  const boxes = await page.locator('.box').all()
  return Promise.all(
    boxes.map(async (box) => {
      const place = await box.boundingBox()
      if (place === null) throw new Error('A box is not shown.')
      const across = (value: number): number => Math.round(((value - picture.x) * CELLS * 10) / picture.width) / 10
      const down = (value: number): number => Math.round(((value - picture.y) * CELLS * 10) / picture.height) / 10
      return [across(place.x), down(place.y), across(place.x + place.width), down(place.y + place.height)]
    }),
  )
}

describeInChromium('panels of pictures', (browser) => {
  it('classify a digit that is drawn already, at once, and each of the other nine', async () => {
    const page = await openModel(browser, worker, 'digits')
    expect(await answerTo(page)).toMatch(/^3, \d/)
    await shots(page, 'media-digits')
    await accessible(page)
    for (let digit = 0; digit < 10; digit++) {
      await page.getByRole('button', { name: `Draw a ${digit}` }).click()
      // What was said of another drawing is not said of this one.
      await expect.poll(() => page.locator('.media-best').count()).toBe(0)
      expect(await answerTo(page)).toMatch(new RegExp(`^${digit}, `))
    }
  })

  it('classify a digit that a hand or the arrow keys draw', async () => {
    const page = await openModel(browser, worker, 'digits')
    const paper = page.getByRole('application')
    await page.getByRole('button', { name: 'Clear' }).click()
    await page.getByText('Draw a digit first.').waitFor()
    await expect.poll(() => page.getByRole('button', { name: 'Run', exact: true }).isDisabled()).toBe(true)
    const { height = 0, width = 0, x = 0, y = 0 } = (await paper.boundingBox()) ?? {}
    const at = (across: number, down: number) => [x + across * width, y + down * height] as const
    // A seven in two lines.
    await page.mouse.move(...at(0.3, 0.2))
    await page.mouse.down()
    await page.mouse.move(...at(0.7, 0.2), { steps: 5 })
    await page.mouse.move(...at(0.45, 0.85), { steps: 8 })
    await page.mouse.up()
    expect(await answerTo(page)).toMatch(/^7, /)

    await page.getByRole('button', { name: 'Undo' }).click()
    await paper.focus()
    await page.keyboard.press('Space')
    for (let i = 0; i < 16; i++) await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Space')
    await expect.poll(() => paper.getAttribute('aria-label')).toBe('Paper, 1 line drawn')
    expect(await answerTo(page)).toMatch(/^1, /)
  })

  it('take a picture that is chosen, dropped or pasted', async () => {
    const page = await openModel(browser, worker, 'digits')
    await page.getByText('A picture', { exact: true }).click()
    await choose(page, 'Choose a picture', sample('photo.png'))
    await page.getByText('photo.png, 280 × 280 pixels').waitFor()
    expect(await answerTo(page)).toMatch(/^3, /)
    await bring(page, 'drop', sample('seven.png'))
    await page.getByText('seven.png, 28 × 28 pixels').waitFor()
    expect(await answerTo(page)).toMatch(/^7, /)
    await bring(page, 'paste', sample('two.png'))
    await page.getByText('two.png, 28 × 28 pixels').waitFor()
    expect(await answerTo(page)).toMatch(/^2, /)
    await page.getByLabel('Labels in the answer').fill('2')
    await answerTo(page)
    await expect.poll(() => page.locator('.media-answer .bars li').count()).toBe(2)
    await page.getByLabel('Labels in the answer').fill('many')
    await expect.poll(() => page.getByRole('button', { name: 'Run', exact: true }).isDisabled()).toBe(true)
  })

  it('take a picture that is dropped on the paper, and keep the drawing', async () => {
    const page = await openModel(browser, worker, 'digits')
    await page.getByRole('button', { name: 'Draw a 8' }).click()
    await bring(page, 'drop', sample('five.png'))
    await page.getByText('five.png, 28 × 28 pixels').waitFor()
    expect(await answerTo(page)).toMatch(/^5, /)
    await page.getByText('A drawing', { exact: true }).click()
    expect(await answerTo(page)).toMatch(/^8, /)
  })

  it('draw boxes where the things are, in every size of the page, and name them', async () => {
    const page = await openModel(browser, worker, 'squares')
    const picture = await encodePng(
      squares(400, 240, [
        [1, 1],
        [6, 5],
      ]),
    )
    await choose(page, 'Choose a picture', given('squares.png', 'image/png', picture))
    await page.getByText('squares.png, 400 × 240 pixels').waitFor()
    expect(await answerTo(page)).toBe('Found: red square × 2.')
    const expected = [
      [1, 1, 2, 2],
      [6, 5, 7, 6],
    ]
    const sorted = async () => (await boxesInCells(page)).sort(([a = 0], [b = 0]) => a - b)
    expect(await sorted()).toEqual(expected)
    await page.setViewportSize({ width: 360, height: 800 })
    expect(await sorted()).toEqual(expected)
    await page.setViewportSize({ width: 1280, height: 800 })
    const direct = (await workersAnswer(worker, 'squares', picture, 'image/png')) as { box: { xmin: number } }[]
    const findings = page.locator('.finding')
    await expect.poll(() => findings.count()).toBe(direct.length)
    const second = await findings.nth(1).innerText()
    expect(second).toContain(`50 × 30 pixels from ${direct[1]?.box.xmin}, `)
    await findings.nth(1).focus()
    await expect.poll(() => page.locator('.box').nth(1).getAttribute('class')).toContain('box-active')
    await expect.poll(() => page.locator('.box-active').count()).toBe(1)
    await shots(page, 'media-boxes')
    await accessible(page)
    await page.getByLabel('Least score of a finding').fill('1')
    expect(await answerTo(page)).toMatch(/^The model found nothing/)
  })

  it('draw boxes on a picture that is turned by its EXIF', async () => {
    const page = await openModel(browser, worker, 'squares')
    // Stored on its side: what is at the bottom left is seen at the top left.
    const jpeg = await turnedJpeg(squares(240, 400, [[0, 7]]))
    await choose(page, 'Choose a picture', given('phone.jpg', 'image/jpeg', jpeg))
    await page.getByText('phone.jpg, 400 × 240 pixels').waitFor()
    expect(await answerTo(page)).toBe('Found: red square.')
    await expect.poll(() => boxesInCells(page)).toEqual([[0, 0, 1, 1]])
    await expect.poll(() => page.locator('.finding').innerText()).toContain('at the top left, 50 × 30 pixels from 0, 0')
  })

  it('draw points on the picture, with lines between them', async () => {
    const page = await openModel(browser, worker, 'lights')
    await page.getByText('example.png, 480 × 320 pixels').waitFor()
    expect(await answerTo(page)).toMatch(/^Found: one pose, \d points\.$/)
    const dots: readonly (readonly [number, number, Colour])[] = [
      [60, 40, [255, 40, 40]],
      [200, 150, [40, 255, 40]],
      [340, 60, [40, 40, 255]],
    ]
    const at = (x: number, y: number): Colour =>
      dots.find(([left, top]) => Math.hypot(x - left, y - top) < 10)?.[2] ?? [120, 120, 120]
    const png = await encodePng(raster(400, 200, at))
    await choose(page, 'Choose a picture', given('dots.png', 'image/png', png))
    await page.getByText('dots.png, 400 × 200 pixels').waitFor()
    expect(await answerTo(page)).toBe('Found: one pose, 3 points.')
    await expect.poll(() => page.locator('.pose-bone').count()).toBe(2)
    const picture = await page.locator('.media-picture img').boundingBox()
    for (const [i, [x, y]] of dots.entries()) {
      const point = await page.locator('.pose-point').nth(i).boundingBox()
      if (picture === null || point === null) throw new Error('A point is not shown.')
      const across = ((point.x + point.width / 2 - picture.x) * 400) / picture.width
      const down = ((point.y + point.height / 2 - picture.y) * 200) / picture.height
      expect(Math.abs(across - x), `point ${i} across`).toBeLessThan(14)
      expect(Math.abs(down - y), `point ${i} down`).toBeLessThan(14)
    }
    await page.locator('.finding').hover()
    await expect.poll(() => page.locator('.finding').innerText()).toMatch(/red \d+, \d+, green \d+, \d+, blue \d+, \d+/)
    await shots(page, 'media-points')
    await accessible(page)
  })

  it('show the picture that a model makes', async () => {
    const page = await openModel(browser, worker, 'negative')
    const picture = await encodePng(raster(64, 64, () => [250, 100, 0]))
    await choose(page, 'Choose a picture', given('orange.png', 'image/png', picture))
    await page.getByText('orange.png, 64 × 64 pixels').waitFor()
    await answerTo(page)
    await page.getByText('The picture is made: 64 × 64 pixels.').waitFor()
    const pixel = await page.evaluate(`{
      const canvas = document.createElement('canvas')
      const pen = canvas.getContext('2d')
      pen.drawImage(document.querySelector('.media-made'), 0, 0)
      ;[...pen.getImageData(30, 30, 1, 1).data].join()
    }`)
    expect(pixel).toBe('5,155,255,255')
    await page.getByText('Use the example').click()
    await page.getByText('example.png, 480 × 320 pixels').waitFor()
    await page.getByText('Answer in the size of my picture').click()
    await answerTo(page)
    await page.getByText('The picture is made: 480 × 320 pixels.').waitFor()
    const saved = page.waitForEvent('download')
    await page.getByText('Save the picture').click()
    expect((await saved).suggestedFilename()).toBe('answer.png')
    await shots(page, 'media-made')
    await accessible(page)
  })

  it('show vectors, and how near two pictures are', async () => {
    const page = await openModel(browser, worker, 'colour-vector')
    const colour = async (name: string, of: Colour) => {
      await choose(page, 'Choose a picture', given(name, 'image/png', await encodePng(raster(32, 32, () => of))))
      await page.getByText(`${name}, 32 × 32 pixels`).waitFor()
      return answerTo(page)
    }
    expect(await colour('red.png', [255, 0, 0])).toBe('3 numbers, from 0.000 to 1.000; length 1.000.')
    await page.getByRole('button', { name: 'Keep this vector to compare with' }).click()
    await colour('purple.png', [255, 0, 255])
    await page.getByText('Cosine to the vector of red.png: 0.7071.').waitFor()
    await shots(page, 'media-vector')
    await accessible(page)
  })

  it('scale a huge picture down, and say so', async () => {
    const page = await openModel(browser, worker, 'colours')
    // Noise cannot be compressed.
    const data = randomFillSync(new Uint8Array(2600 * 2600 * 3))
    const noise = await encodePng({ width: 2600, height: 2600, channels: 3, data })
    await choose(page, 'Choose a picture', given('noise.png', 'image/png', noise))
    await page
      .getByText(/^The file has 19 MiB, and a request may have 8 MiB\. It was scaled down from 2600 × 2600/)
      .waitFor()
    await page.getByText('noise.png, 2048 × 2048 pixels').waitFor()
    expect(await answerTo(page)).toMatch(/^(red|green|blue), (49|50)\./)
    await shots(page, 'media-scaled')
  })

  it('convert a picture that models do not take, and say so', async () => {
    const page = await openModel(browser, worker, 'colours')
    const gif = Buffer.from('R0lGODlhAgACAIAAAP8AAAAAACwAAAAAAgACAAACAoRRADs=', 'base64')
    // Its name lies; its bytes do not.
    await choose(page, 'Choose a picture', given('dot.png', 'image/png', gif))
    await page.getByText('Models take no GIF pictures. It was converted, and is sent as PNG.').waitFor()
    expect(await answerTo(page)).toMatch(/^red, /)
  })

  it('say what is wrong with a file, keep the picture before it, and go on', async () => {
    const page = await openModel(browser, worker, 'colours')
    await page.getByText('example.png, 480 × 320 pixels').waitFor()
    const huge = await encodePng(raster(2, 2, () => RED))
    new DataView(huge.buffer).setUint32(16, 20_000)
    new DataView(huge.buffer).setUint32(20, 20_000)
    const broken = (await encodePng(raster(64, 64, () => RED))).slice(0, 60)
    const files = [
      [
        given('letter.txt', 'text/plain', 'Dear all,'),
        /"letter.txt" is not a picture. Choose a PNG, JPEG or WebP picture/,
      ],
      [
        given('plan.svg', 'image/svg+xml', '<svg xmlns="http://www.w3.org/2000/svg"/>'),
        /SVG pictures cannot be read here/,
      ],
      [given('broken.png', 'image/png', broken), /"broken.png" is damaged or incomplete/],
      [given('empty.png', 'image/png', ''), /"empty.png" is empty/],
      [given('huge.png', 'image/png', huge), /20000 × 20000 pixels; this page opens pictures of at most 134.2 million/],
      [given('scan.tif', 'image/tiff', 'II*\0........'), /TIFF pictures cannot be read here/],
    ] as const
    for (const [file, message] of files) {
      await choose(page, 'Choose a picture', file)
      await page.getByRole('alert').filter({ hasText: message }).waitFor()
    }
    await shots(page, 'media-refused')
    await accessible(page)
    await page.getByText('example.png, 480 × 320 pixels').waitFor()
    expect(await answerTo(page)).toMatch(/^(green|blue|red), \d/)
    await bring(page, 'drop', given('red.png', 'image/png', await encodePng(raster(8, 8, () => RED))))
    await page.getByText('red.png, 8 × 8 pixels').waitFor()
    await expect.poll(() => page.getByRole('alert').count()).toBe(0)
    expect(await answerTo(page)).toMatch(/^red, 90/)
  })
})
