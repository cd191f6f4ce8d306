import type { AudioSettings } from '../../catalog/settings/audio.ts'
import type { Signature } from '../../core/tensors.ts'
import type { Guess, TaskFields } from './context.ts'
import { checkKeys, type KeyRules, only } from './keys.ts'
import { activationFor, type LabelOutcome, labelsFor } from './labels.ts'
import { readSettings, type Settings, sizeOf, stringOf } from './settings.ts'

type Said = { readonly [K in keyof TaskFields]?: TaskFields[K] | undefined }

/** Architectures of transformers that classify a sound from its samples; others want a spectrogram. */
const CLASSIFIERS =
  /^(?:Wav2Vec2|Wav2Vec2Conformer|Hubert|WavLM|UniSpeech|UniSpeechSat|Data2VecAudio|SEW|SEWD)ForSequenceClassification$/

/** Whose `preprocessor_config.json` says no more than the rate and whether samples are normalized. */
const EXTRACTOR = 'Wav2Vec2FeatureExtractor'

/**
 * Keys of Wav2Vec2's feature extractor. Padding and masks concern sounds of one batch; the server sends one at a time, with
 * a mask of ones where a model takes one.
 */
const KEYS: KeyRules = {
  feature_extractor_type: 'read',
  processor_class: 'read',
  sampling_rate: 'read',
  do_normalize: 'read',
  feature_size: only(1, { problem: 'its feature extractor computes several values per sample (feature_size)' }),
  padding_side: 'irrelevant',
  padding_value: 'irrelevant',
  padding: 'irrelevant',
  return_attention_mask: 'irrelevant',
  return_tensors: 'irrelevant',
  tokenizer_class: 'irrelevant',
  auto_map: 'irrelevant',
  transformers_version: 'irrelevant',
  max_length: () => ({
    note: 'max_length is ignored: audio is truncated only if the model takes a fixed number of samples',
  }),
  truncation: only(false, {
    note: 'truncation is ignored: audio is truncated only if the model takes a fixed number of samples',
  }),
}

/**
 * Recognises an audio model: a transformers classifier of raw samples, or silero-vad by its tensor names. Undefined for
 * other models, or if another task is set.
 * @throws UsageError if a file beside it is not JSON
 */
export async function guessAudio(
  files: ReadonlyMap<string, string>,
  config: Settings,
  signature: Signature,
  said: Said,
): Promise<LabelOutcome<Guess> | undefined> {
  if (said.task === 'voice-activity-detection' || (said.task === undefined && isSilero(signature))) {
    return voiceActivity(signature, said)
  }
  const architecture = Array.isArray(config.architectures) ? stringOf(config.architectures[0] as unknown) : undefined
  const known = architecture !== undefined && CLASSIFIERS.test(architecture)
  if (said.task !== 'audio-classification' && (said.task !== undefined || !known)) return undefined
  const written = said.preprocess?.audio ? undefined : await readSettings(files, 'preprocessor_config.json')
  const audio = said.preprocess?.audio ?? settingsOf(written, signature)
  if (audio === undefined) {
    return {
      problem: `the folder has no preprocessor_config.json of a ${EXTRACTOR}, which describes the audio preprocessing`,
    }
  }
  const keys = checkKeys('preprocessor_config.json', written ?? {}, KEYS)
  if ('problem' in keys) return keys
  const labels = labelsFor(said.labels, config, signature)
  if ('problem' in labels) return labels
  const activation = said.activation ?? activationFor(config, labels.value.labels.length, signature)
  return {
    value: {
      fields: { task: 'audio-classification', labels: labels.value.labels, activation, preprocess: { audio } },
      notes: [
        `task audio-classification, ${known && said.task === undefined ? `by its architecture ${architecture}` : 'as requested'}`,
        `scores by ${activation}`,
        ...labels.value.notes,
        `audio at ${audio.sampleRate} Hz${audio.normalize ? ', normalized' : ''}`,
        ...keys.value,
      ],
    },
  }
}

function settingsOf(processor: Settings | undefined, { inputs }: Signature): AudioSettings | undefined {
  const type = stringOf(processor?.feature_extractor_type) ?? stringOf(processor?.processor_class)
  if (processor === undefined || (type !== EXTRACTOR && type !== 'Wav2Vec2Processor')) return undefined
  const samples = sizeOf(inputs[0]?.shape.at(-1))
  return {
    sampleRate: sizeOf(processor.sampling_rate) ?? 16_000,
    // The extractor's own default.
    normalize: processor.do_normalize !== false,
    ...(samples !== undefined && { samples }),
  }
}

/** Tensors of silero-vad from version 5 on. */
function isSilero({ inputs, outputs }: Signature): boolean {
  const names = (specs: Signature['inputs']): string =>
    specs
      .map(({ name }) => name)
      .sort()
      .join(' ')
  return names(inputs) === 'input sr state' && names(outputs) === 'output stateN'
}

function voiceActivity(signature: Signature, said: Said): LabelOutcome<Guess> {
  const audio = said.preprocess?.audio ?? (isSilero(signature) ? SILERO : undefined)
  if (audio?.window === undefined) {
    return { problem: 'no file describes its audio windows, and its tensors are not those of silero-vad' }
  }
  return {
    value: {
      fields: { task: 'voice-activity-detection', preprocess: { audio } },
      notes: [
        `task voice-activity-detection, ${said.task === undefined ? 'by the tensors of silero-vad' : 'as requested'}`,
      ],
    },
  }
}

/** By silero-vad's own `OnnxWrapper` at 16 kHz: 512 new samples with the 64 before them. */
const SILERO: AudioSettings = {
  sampleRate: 16_000,
  normalize: false,
  window: {
    length: 512,
    context: 64,
    input: 'input',
    output: 'output',
    rate: 'sr',
    state: [{ input: 'state', output: 'stateN', shape: [2, 1, 128] }],
  },
}
