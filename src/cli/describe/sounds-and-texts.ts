import type { AudioSettings } from '../../catalog/settings/audio.ts'
import { type DescribeContext, type Guess, taskNote } from './context.ts'
import { checkKeys, type KeyRules, only } from './keys.ts'
import type { LabelOutcome } from './labels.ts'
import { numberOf, type Settings, sizeOf, stringOf } from './settings.ts'
import { lackingOutputs, textSide } from './two-encoders.ts'

/** Keys of CLAP's feature extractor. */
const KEYS: KeyRules = {
  feature_extractor_type: 'read',
  processor_class: 'read',
  sampling_rate: 'read',
  feature_size: 'read',
  fft_window_size: 'read',
  hop_length: 'read',
  frequency_min: 'read',
  frequency_max: 'read',
  nb_max_samples: 'read',
  max_length_s: 'read',
  padding: 'read',
  truncation: (value) =>
    value === 'rand_trunc'
      ? { note: 'of a longer sound the beginning is used, where transformers takes a piece at random' }
      : { problem: `its truncation is ${JSON.stringify(value)}; models that fuse several pieces are not supported` },
  top_db: only(null, { problem: 'its spectrogram is cut at a distance from the loudest (top_db)' }),
  nb_frequency_bins: 'irrelevant',
  nb_max_frames: 'irrelevant',
  n_fft: 'irrelevant',
  chunk_length_s: 'irrelevant',
  overlap: 'irrelevant',
  padding_side: 'irrelevant',
  padding_value: 'irrelevant',
  return_attention_mask: 'irrelevant',
}

/** A model with an encoder of sounds and one of texts in one graph: CLAP. */
export async function describeSoundsAndTexts(context: DescribeContext): Promise<LabelOutcome<Guess>> {
  const lacking = lackingOutputs(context.signature, 'audio')
  if (lacking !== undefined) return { problem: lacking }
  const { processor, said } = context
  const keys = checkKeys('preprocessor_config.json', said.preprocess?.audio ? {} : (processor ?? {}), KEYS)
  if ('problem' in keys) return keys
  const audio = said.preprocess?.audio ?? settingsOf(processor)
  if (audio === undefined) {
    return { problem: 'the folder has no preprocessor_config.json of a ClapFeatureExtractor' }
  }
  const text = await textSide(context)
  if ('problem' in text) return text
  return {
    value: {
      fields: {
        task: context.task,
        tokenizer: text.value.tokenizer,
        preprocess: { audio, ...text.value.preprocess },
      },
      notes: [
        taskNote(context),
        `audio at ${audio.sampleRate} Hz, as a spectrogram`,
        ...keys.value,
        ...text.value.notes,
      ],
    },
  }
}

const PADDINGS = ['repeatpad', 'repeat', 'pad'] as const

/** The extractor's own defaults are those of laion's models. */
function settingsOf(processor: Settings | undefined): AudioSettings | undefined {
  if (processor === undefined || stringOf(processor.feature_extractor_type) !== 'ClapFeatureExtractor') return undefined
  const sampleRate = sizeOf(processor.sampling_rate) ?? 48_000
  return {
    sampleRate,
    normalize: false,
    samples: sizeOf(processor.nb_max_samples) ?? (sizeOf(processor.max_length_s) ?? 10) * sampleRate,
    spectrogram: {
      fft: sizeOf(processor.fft_window_size) ?? 1_024,
      hop: sizeOf(processor.hop_length) ?? 480,
      mels: sizeOf(processor.feature_size) ?? 64,
      minFrequency: numberOf(processor.frequency_min) ?? 0,
      maxFrequency: numberOf(processor.frequency_max) ?? 14_000,
      padding: PADDINGS.find((name) => name === processor.padding) ?? 'repeatpad',
    },
  }
}
