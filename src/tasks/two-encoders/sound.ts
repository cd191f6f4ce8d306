import type { SpectrogramSettings } from '../../catalog/settings/audio.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { elementCount, halfBits, tensor } from '../../core/tensors.ts'
import { StepMeter, type Work } from '../../core/work.ts'
import { decodingAudio, soundLength } from '../../media/audio/decode.ts'
import { framesOf, melSpectrogram } from '../../media/audio/spectrogram.ts'
import { audioSettings } from '../sounds/audio-body.ts'
import { performed, type TaskModel, wrongInput } from '../task.ts'
import { type OtherSide, otherInput } from './two-encoders.ts'

/**
 * A sound beside texts, as a spectrogram of a fixed length.
 * @throws manifest_invalid, invalid_audio, empty_input, input_too_large
 */
export function soundSide(bytes: Uint8Array, model: TaskModel, limits: Limits): OtherSide {
  const { manifest } = model
  const spec = otherInput(manifest)
  const settings = audioSettings(manifest)
  const { samples, sampleRate, spectrogram } = settings
  if (spectrogram === undefined || samples === undefined) {
    throw new VergeError(
      'manifest_invalid',
      `Model "${manifest.model}" version "${manifest.version}" has no settings of a spectrogram. Set "preprocess.audio.spectrogram" and "preprocess.audio.samples" in its verge.json and push it again.`,
    )
  }
  const shape = [1, 1, framesOf(samples, spectrogram), spectrogram.mels]
  if (elementCount(shape) > limits.inputElements) {
    throw new VergeError(
      'manifest_invalid',
      `Model "${manifest.model}" version "${manifest.version}" has spectrograms of ${elementCount(shape)} numbers; the limit is ${limits.inputElements}. Correct "preprocess.audio.samples" and "preprocess.audio.spectrogram" in its verge.json and push it again.`,
    )
  }
  const wanted = { sampleRate, samples, normalize: false }
  const length = soundLength(bytes, wanted, limits)
  function* reading(meter: StepMeter, of: SpectrogramSettings): Work<Float32Array> {
    const sound = yield* decodingAudio(bytes, wanted, limits, meter)
    fill(sound, length, of.padding)
    return yield* melSpectrogram(sound, sampleRate, of, meter)
  }
  return {
    kind: 'audio',
    shape,
    async read() {
      const meter = new StepMeter(limits.decodeSteps)
      const values = await performed(model, reading(meter, spectrogram), meter)
      if (spec.datatype === 'FP32') return tensor('FP32', shape, values)
      if (spec.datatype === 'FP16') return tensor('FP16', shape, halfBits(values))
      throw wrongInput(manifest, spec)
    },
  }
}

/** Fills the silence behind a sound with the sound itself, as transformers' extractor for CLAP does. */
function fill(samples: Float32Array, length: number, padding: SpectrogramSettings['padding']): void {
  if (padding === 'pad') return
  // `repeatpad` adds whole repetitions only.
  const end = padding === 'repeat' ? samples.length : Math.floor(samples.length / length) * length
  for (let at = length; at < end; at += length) samples.copyWithin(at, 0, Math.min(length, end - at))
}
