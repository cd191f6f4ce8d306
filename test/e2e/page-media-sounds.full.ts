import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { VOICE_SECONDS, voice } from '../../page/media/voice.ts'
import { wavFile } from '../../page/media/wav.ts'
import { sine, wav } from '../../synthetic/wav.ts'
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

const folder = mkdtempSync(join(tmpdir(), 'verge-sounds-'))
const SPOKEN = join(folder, 'spoken.wav')
let worker: LiveWorker
beforeAll(async () => {
  writeFileSync(SPOKEN, wavFile(voice(48_000), 48_000))
  worker = await startMediaWorker()
}, 300_000)
afterAll(async () => {
  rmSync(folder, { recursive: true })
  await worker?.dispose()
})

/** A tone between two silences of a second. */
const tone = (seconds: number, sampleRate: number) =>
  wav({
    samples: [...new Float64Array(sampleRate), ...sine(300, seconds, sampleRate), ...new Float64Array(sampleRate)],
    sampleRate,
  })

const slider = (page: Page) => page.getByRole('slider', { name: 'Place in the sound' })
const place = async (page: Page): Promise<number> => Number(await slider(page).getAttribute('aria-valuenow'))

interface Speech {
  readonly segments: readonly { readonly start: number; readonly end: number }[]
}

describeInChromium(
  'panels of sounds',
  (browser) => {
    it('find the speech of the example at once, and show it in its place', async () => {
      const page = await openModel(browser, worker, 'hearing')
      await page.getByText('example.wav, 0:04.4').waitFor()
      expect(await answerTo(page)).toMatch(/^Speech in 2 parts: 2\.\d seconds, 5\d % of the sound\.$/)
      const sound = wavFile(voice(16_000), 16_000)
      const { segments } = (await workersAnswer(worker, 'hearing', sound, 'audio/wav')) as Speech
      const shown = await page.locator('.segments .finding-label').allInnerTexts()
      expect(shown).toEqual(segments.map(({ end, start }) => `${start.toFixed(2)} s to ${end.toFixed(2)} s`))
      const track = await slider(page).boundingBox()
      for (const [i, { end, start }] of segments.entries()) {
        const box = await page.locator('.timeline-speech').nth(i).boundingBox()
        const share = (value = 0) => (value - (track?.x ?? 0)) / (track?.width ?? 1)
        expect(share(box?.x)).toBeCloseTo(start / VOICE_SECONDS, 2)
        expect(share((box?.x ?? 0) + (box?.width ?? 0))).toBeCloseTo(end / VOICE_SECONDS, 2)
      }
      await shots(page, 'media-speech')
      await accessible(page)
      await page.getByLabel('Least probability of speech').fill('high')
      await page
        .getByText(/^Write a number from 0 to 1/)
        .first()
        .waitFor()
      await expect.poll(() => page.getByRole('button', { name: 'Run', exact: true }).isDisabled()).toBe(true)
    })

    it('have a timeline that the keyboard moves and plays', async () => {
      const page = await openModel(browser, worker, 'hearing')
      await page.getByText('example.wav, 0:04.4').waitFor()
      await answerTo(page)
      await slider(page).focus()
      for (const [key, seconds] of [
        ['End', 4.4],
        ['Home', 0],
        ['PageUp', 1],
        ['ArrowRight', 1.1],
        ['ArrowLeft', 1],
      ] as const) {
        await page.keyboard.press(key)
        await expect.poll(() => place(page)).toBe(seconds)
      }
      await expect.poll(() => slider(page).getAttribute('aria-valuetext')).toBe('1 second, speech')
      await expect.poll(() => page.locator('.timeline-speech-now').count()).toBe(1)
      await page.keyboard.press('Space')
      await page.getByRole('button', { name: 'Pause' }).waitFor()
      await expect.poll(() => place(page)).toBeGreaterThan(1)
      await page.keyboard.press('Space')
      await page.getByRole('button', { name: 'Play', exact: true }).waitFor()
      // A part is played to its end, and not to that of the sound.
      await page.getByRole('list', { name: 'Speech' }).getByRole('button').nth(1).click()
      await page.getByRole('button', { name: 'Pause' }).waitFor()
      await page.getByRole('button', { name: 'Play', exact: true }).waitFor()
      await expect.poll(() => place(page)).toBe(3.7)
    })

    it('take a sound that is chosen or dropped', async () => {
      const page = await openModel(browser, worker, 'hearing')
      const file = tone(2, 22_050)
      await choose(page, 'Choose a sound', given('tone.wav', 'audio/x-wav', file))
      await page.getByText('tone.wav, 0:04.0').waitFor()
      expect(await answerTo(page)).toMatch(/^Speech in one part: 2\.\d seconds, 5\d % of the sound\.$/)
      const direct = (await workersAnswer(worker, 'hearing', file, 'audio/wav')) as Speech
      await expect
        .poll(() => page.locator('.segments .finding-label').allInnerTexts())
        .toEqual(direct.segments.map(({ end, start }) => `${start.toFixed(2)} s to ${end.toFixed(2)} s`))
      await bring(page, 'drop', given('short.wav', 'audio/wav', tone(1, 8000)))
      await page.getByText('short.wav, 0:03.0').waitFor()
      await expect.poll(() => page.locator('.segments').count()).toBe(0)
      expect(await answerTo(page)).toMatch(/^Speech in one part: 1\.\d seconds/)
    })

    it('record by the microphone, and send what was recorded as WAV', async () => {
      const page = await openModel(browser, worker, 'hearing')
      await page.getByRole('button', { name: 'Record' }).click()
      await page.getByText('Recording. Press Stop when you are done.').waitFor()
      await expect
        .poll(() => page.locator('.sound-seconds').innerText(), { timeout: 60_000 })
        .toMatch(/^0:(0[4-9]|[1-5])/)
      await expect.poll(() => page.getByRole('button', { name: 'Run', exact: true }).isDisabled()).toBe(true)
      await shots(page, 'media-recording')
      await page.getByRole('button', { name: 'Stop' }).click()
      await page.getByText(/^recording.wav, 0:\d\d/).waitFor()
      const sent = page.waitForRequest((request) => request.url().includes('/run/hearing'))
      expect(await answerTo(page)).toMatch(/^Speech in /)
      expect((await sent).headers()['content-type']).toBe('audio/wav')
      await expect.poll(() => page.locator('.segments li').count()).toBeGreaterThan(0)
    })

    it.each([
      ['nothing', ''],
      [
        'a header without a sound',
        'this.ondataavailable({ data: new Blob([Uint8Array.of(0x1a, 0x45, 0xdf, 0xa3)]) });',
      ],
    ])('say that a recording is empty: %s', async (_, written) => {
      const page = await browser.open()
      // How soon somebody presses Stop after Record is not for a test to time.
      await page.addInitScript({
        content: `window.MediaRecorder = class {
          state = 'recording'
          mimeType = 'audio/webm'
          start() {}
          stop() { this.state = 'inactive'; ${written} this.onstop() }
        }`,
      })
      await page.goto(`${worker.url}/#/hearing`)
      await page.getByRole('button', { name: 'Record' }).click()
      await page.getByRole('button', { name: 'Stop' }).click()
      await page.getByRole('alert').filter({ hasText: 'The recording is empty. Press Record, speak for' }).waitFor()
      expect(await answerTo(page)).toMatch(/^Speech in 2 parts/)
    })

    it('classify a sound', async () => {
      const page = await openModel(browser, worker, 'loudness')
      await page.getByText('example.wav, 0:04.4').waitFor()
      expect(await answerTo(page)).toMatch(/^quiet, /)
      await shots(page, 'media-sound-labels')
      await accessible(page)
      const square = wav({
        samples: Float64Array.from({ length: 8000 }, (_, i) => (i % 40 < 20 ? 0.9 : -0.9)),
        sampleRate: 8000,
      })
      await choose(page, 'Choose a sound', given('loud.wav', 'audio/wav', square))
      await page.getByText('loud.wav, 0:01.0').waitFor()
      expect(await answerTo(page)).toBe('loud, 90.0 %')
    })

    it('say what is wrong with a file, keep the sound before it, and go on', async () => {
      const page = await openModel(browser, worker, 'hearing')
      await page.getByText('example.wav, 0:04.4').waitFor()
      const files = [
        [given('letter.txt', 'text/plain', 'Dear all,'), /"letter.txt" is not a sound that this browser can play/],
        [given('nothing.wav', 'audio/wav', ''), /"nothing.wav" is empty/],
        [given('silent.wav', 'audio/wav', wav({ samples: [] })), /"silent.wav" has no samples/],
        [
          given('law.wav', 'audio/wav', wav({ samples: sine(9, 1, 8000), header: (v) => v.setUint16(20, 99, true) })),
          /"law.wav" is damaged, or of a kind/,
        ],
      ] as const
      for (const [file, message] of files) {
        await choose(page, 'Choose a sound', file)
        await page.getByRole('alert').filter({ hasText: message }).waitFor()
      }
      await page.getByText('example.wav, 0:04.4').waitFor()
      expect(await answerTo(page)).toMatch(/^Speech in 2 parts/)

      await choose(page, 'Choose a sound', given('quiet.wav', 'audio/wav', wav({ samples: new Float64Array(16_000) })))
      await page.getByText(/^The sound is silent\./).waitFor()
      expect(await answerTo(page)).toBe('The model found no speech in this sound.')

      const long = wav({ samples: new Float64Array(250 * 8000), sampleRate: 8000, encoding: 'u8' })
      await choose(page, 'Choose a sound', given('long.wav', 'audio/wav', long))
      await page
        .getByText(/^The sound lasts 4 minutes 10 seconds; a request may have 4 minutes\. Only the first 4:00\.0/)
        .waitFor()
      expect(await answerTo(page)).toBe('The model found no speech in this sound.')
    })
  },
  {
    args: [
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      `--use-file-for-fake-audio-capture=${SPOKEN}`,
      '--autoplay-policy=no-user-gesture-required',
    ],
  },
)

const recordRefused = async (page: Page, message: RegExp): Promise<void> => {
  await page.getByRole('button', { name: 'Record' }).click()
  await page.getByRole('alert').filter({ hasText: message }).waitFor()
  await accessible(page)
  // The example is still there.
  expect(await answerTo(page)).toMatch(/^Speech in 2 parts/)
}

describeInChromium(
  'the microphone of a visitor who does not allow it',
  (browser) => {
    it('is refused in words', async () => {
      const page = await openModel(browser, worker, 'hearing')
      await recordRefused(page, /^There is no new sound\s*The microphone is not allowed on this page\. Allow it/)
      await shots(page, 'media-microphone-refused')
    })
  },
  { args: ['--use-fake-device-for-media-stream', '--deny-permission-prompts'] },
)

describeInChromium('a device without a microphone, or a browser that cannot record', (browser) => {
  // Doubles: whether this machine has a microphone is not for the test to say.
  it.each([
    [
      'navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("none", "NotFoundError"))',
      /This device has no microphone\. Connect one/,
    ],
    ['delete window.MediaRecorder', /This browser cannot record\. Choose a sound file instead\./],
  ])('is told so in words: %s', async (content, message) => {
    const page = await browser.open()
    await page.addInitScript({ content })
    await page.goto(`${worker.url}/#/hearing`)
    await recordRefused(page, message)
  })
})
