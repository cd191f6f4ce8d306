import * as z from 'zod'

const tensorName = z.string().min(1).max(256)

/** A tensor that a model hands from one window to the next: zeros at first, then what `output` held. */
const carriedStateSchema = z.object({
  input: tensorName,
  output: tensorName,
  /** As it goes in, for one sound: `[2, 1, 128]`. */
  shape: z.array(z.number().int().positive().max(65_536)).min(1).max(8),
})

/** How a model hears a sound piece by piece. Lengths are in samples at the model's rate. */
export const windowSettingsSchema = z
  .object({
    /** New samples in each run. */
    length: z.number().int().positive().max(65_536),
    /** Samples that came just before, put in front of them; zeros before the beginning. */
    context: z.number().int().nonnegative().max(65_536).default(0),
    /** Names of the model's input for samples, FP32 [1, context + length], and of its output, the probability. */
    input: tensorName,
    output: tensorName,
    /** Name of an INT64 input that wants the rate, if there is one. */
    rate: tensorName.optional(),
    state: z.array(carriedStateSchema).max(8).default([]),
  })
  .refine(({ state }) => carriedElements(state) <= MAX_CARRIED_ELEMENTS, {
    path: ['state'],
    message: `may have at most 65536 elements together`,
  })

/** Where speech begins and ends, unless a request says otherwise. Times in milliseconds, as silero-vad names them. */
export const speechSettingsSchema = z
  .object({
    /** A window with at least this probability is speech. */
    threshold: z.number().min(0).max(1).default(0.5),
    /** Speech continues until a window is below this; default: 0.15 below `threshold`. */
    neg_threshold: z.number().min(0).max(1).optional(),
    min_speech_duration_ms: z.number().nonnegative().max(60_000).default(250),
    min_silence_duration_ms: z.number().nonnegative().max(60_000).default(100),
    speech_pad_ms: z.number().nonnegative().max(10_000).default(30),
  })
  .refine(({ threshold, neg_threshold }) => neg_threshold === undefined || neg_threshold <= threshold, {
    path: ['neg_threshold'],
    message: 'may not be above threshold',
  })

/** How a sound becomes a picture of its frequencies: bands of Slaney's mel scale, in decibels, as CLAP takes them. */
export const spectrogramSettingsSchema = z
  .object({
    /** Samples of a frame, a power of two. */
    fft: z
      .number()
      .int()
      .min(2)
      .max(16_384)
      .refine((size) => Number.isInteger(Math.log2(size)), 'must be a power of two'),
    /** Samples from one frame to the next. */
    hop: z.number().int().positive().max(16_384),
    /** Bands. */
    mels: z.number().int().positive().max(512),
    /** In Hz. */
    minFrequency: z.number().nonnegative().default(0),
    maxFrequency: z.number().positive(),
    /** What follows a sound that is shorter than `samples`: itself as often as it fits whole, itself, or silence. */
    padding: z.enum(['repeatpad', 'repeat', 'pad']).default('repeatpad'),
  })
  .refine(({ maxFrequency, minFrequency }) => minFrequency < maxFrequency, {
    path: ['minFrequency'],
    message: 'must be below maxFrequency',
  })

/** How a sound becomes a tensor. */
export const audioSettingsSchema = z.object({
  /** Samples a second that the model was trained on; sounds of other rates are resampled. */
  sampleRate: z.number().int().min(1000).max(192_000),
  /** To zero mean and unit variance, as transformers' `do_normalize` has it. */
  normalize: z.boolean().default(false),
  /** Samples that the model takes, no more and no fewer: longer sounds are cut, shorter ones end in silence. */
  samples: z.number().int().positive().max(8_388_608).optional(),
  window: windowSettingsSchema.optional(),
  spectrogram: spectrogramSettingsSchema.optional(),
  speech: speechSettingsSchema.optional(),
})

/** A quarter of a megabyte of floats: far above any published model of this kind. */
const MAX_CARRIED_ELEMENTS = 65_536

function carriedElements(state: readonly { readonly shape: readonly number[] }[]): number {
  return state.reduce((sum, { shape }) => sum + shape.reduce((product, dimension) => product * dimension, 1), 0)
}

export type SpectrogramSettings = z.infer<typeof spectrogramSettingsSchema>
export type WindowSettings = z.infer<typeof windowSettingsSchema>
export type AudioSettings = z.infer<typeof audioSettingsSchema>
