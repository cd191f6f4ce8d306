import { expect, it } from 'vitest'
import { LIMITS } from '../../../src/core/limits.ts'
import { EXAMPLE_WAV } from '../../../src/tasks/sounds/audio-body.ts'
import { soundSide } from '../../../src/tasks/two-encoders/sound.ts'
import { TASK_CASES } from '../../contract/task-cases.ts'
import { fromBase64 } from '../../fixtures/base64.ts'

const { manifest } = TASK_CASES['zero-shot-audio-classification']
const { audio } = manifest
const side = (hop: number) => {
  if (audio?.spectrogram === undefined) throw new Error('The case has no spectrogram.')
  const own = { ...manifest, audio: { ...audio, spectrogram: { ...audio.spectrogram, hop } } }
  const model = { manifest: own, file: () => Promise.reject(new Error('no files')) }
  return soundSide(fromBase64(EXAMPLE_WAV), model, { ...LIMITS, inputElements: 2_000 })
}

it('refuses a spectrogram that is larger than an input may be, before it is made', () => {
  expect(side(400).shape).toEqual([1, 1, 5, 4])
  // A frame for each of 1,600 samples, with four bands.
  expect(() => side(1)).toThrow(/has spectrograms of 6404 numbers; the limit is 2000/)
})
