import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { percentage } from '../../page/media/percentage.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { sine, wav } from '../../synthetic/wav.ts'
import { accessible, describeInChromium, shots } from '../fixtures/node/chromium.ts'
import { builtAssets, type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { answerTo, choose, given, openModel } from '../fixtures/node/media-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'
import { CLAP_SETTINGS, CLIP_SETTINGS, clapFiles, clipFiles } from '../fixtures/two-encoder-models.ts'

let worker: LiveWorker
beforeAll(async () => {
  worker = await startLiveWorker({}, [], await builtAssets())
  const writer = await writerFor(worker)
  const words = readFileSync(join(ROOT, 'models/abacus/tokenizer.json'), 'utf8')
  const clip = { files: clipFiles(words), settings: CLIP_SETTINGS }
  const clap = { files: clapFiles(words), settings: CLAP_SETTINGS }
  for (const [name, task, { files, settings }] of [
    ['clip', 'zero-shot-image-classification', clip],
    ['pairs', 'image-text-similarity', clip],
    ['clap', 'zero-shot-audio-classification', clap],
  ] as const) {
    const artifacts = [{ file: 'model.onnx', dtype: 'fp32', places: ['edge'] }]
    const common = { version: '1', visibility: 'public', licence: 'MIT', artifacts }
    await publish(writer, await pack(descriptionSchema.parse({ name, task, ...common, ...settings }), '.', files))
  }
}, 300_000)
afterAll(() => worker?.dispose())

const SEVEN = readFileSync(join(ROOT, 'models/digits/samples/seven.png'))

async function asked(path: string): Promise<unknown> {
  const response = await fetch(worker.url + path, {
    method: 'POST',
    body: new Uint8Array(SEVEN),
    headers: { 'content-type': 'image/png' },
  })
  expect(response.status).toBe(200)
  return response.json()
}

describeInChromium('panels of pictures and texts', (browser) => {
  const bars = (page: Awaited<ReturnType<typeof openModel>>): Promise<string[][]> =>
    page.evaluate(
      `[...document.querySelectorAll('.bars li')].map((row) =>
        ['.bars-label', '.bars-value'].map((part) => row.querySelector(part).textContent))`,
    )

  it('sort a picture by labels of the visitor', async () => {
    const page = await openModel(browser, worker, 'clip')
    await choose(page, 'Choose a picture', given('seven.png', 'image/png', SEVEN))
    await page.getByRole('button', { name: 'Remove the label a cat' }).click()
    await page.getByLabel('New label').fill('a number')
    await page.keyboard.press('Enter')
    await answerTo(page)
    const query = ['a drawing', 'a street', 'a number'].map((label) => `candidate_labels=${encodeURIComponent(label)}`)
    const scores = (await asked(`/run/clip?${query.join('&')}`)) as { label: string; score: number }[]
    await expect.poll(() => bars(page)).toEqual(scores.map(({ label, score }) => [label, percentage(score)]))
    await shots(page, 'zero-shot-image')
    await accessible(page)
    // Other labels have no answer yet.
    await page.getByRole('button', { name: 'Remove the label a number' }).click()
    await expect.poll(() => bars(page)).toEqual([])
  })

  it('compare a picture with texts', async () => {
    const page = await openModel(browser, worker, 'pairs')
    await choose(page, 'Choose a picture', given('seven.png', 'image/png', SEVEN))
    const texts = ['a drawing', 'two dogs in the snow']
    await page.getByLabel('Texts').fill(texts.join('\n'))
    await answerTo(page)
    const [row = []] = (await asked(
      `/run/pairs?${texts.map((text) => `texts=${encodeURIComponent(text)}`).join('&')}`,
    )) as number[][]
    const expected = texts.map((text, i) => [text, row[i] ?? 0] as const).sort((a, b) => b[1] - a[1])
    await expect.poll(() => bars(page)).toEqual(expected.map(([text, cosine]) => [text, cosine.toFixed(3)]))
    await shots(page, 'image-text-similarity')
    await accessible(page)
  })

  it('sort a sound by labels of the visitor', async () => {
    const page = await openModel(browser, worker, 'clap')
    const tone = wav({ samples: sine(440, 0.5, 48_000), sampleRate: 48_000 })
    await choose(page, 'Choose a sound', given('tone.wav', 'audio/wav', tone))
    await answerTo(page)
    const shown = await bars(page)
    expect(shown.map(([label]) => label).sort()).toEqual(['a dog', 'a tone', 'rain'])
    const total = shown.reduce((sum, [, share = '']) => sum + Number.parseFloat(share), 0)
    expect(Math.abs(total - 100)).toBeLessThan(0.5)
    await shots(page, 'zero-shot-audio')
    await accessible(page)
  })
})
