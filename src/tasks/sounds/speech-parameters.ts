import * as z from 'zod'
import type { AudioSettings } from '../../catalog/settings/audio.ts'
import { VergeError } from '../../core/errors.ts'
import type { SpeechRules } from '../../media/audio/speech.ts'

const duration = (description: string) => z.number().nonnegative().max(60_000).optional().meta({ description })

/** Where speech begins and ends, by the names of silero-vad; what is left out is as the manifest says. */
export const speechFields = {
  threshold: z.number().min(0).max(1).optional().meta({ description: 'Probability from which a window is speech' }),
  neg_threshold: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .meta({ description: 'Probability below which speech may end; by default 0.15 below the threshold' }),
  min_speech_duration_ms: duration('Shorter speech is left out'),
  min_silence_duration_ms: duration('Silence that ends a segment'),
  speech_pad_ms: duration('Added to a segment on both sides'),
}

const speechParametersSchema = z.strictObject(speechFields)
export type SpeechParameters = z.infer<typeof speechParametersSchema>

const DEFAULTS = { threshold: 0.5, min_speech_duration_ms: 250, min_silence_duration_ms: 100, speech_pad_ms: 30 }

/** The rules of a request over those of the manifest, in samples. @throws invalid_request */
export function speechRules(asked: SpeechParameters, { sampleRate, speech }: AudioSettings): SpeechRules {
  const set = { ...DEFAULTS, ...speech, ...defined(asked) }
  const samples = (ms: number): number => (ms * sampleRate) / 1000
  // One that was set for another threshold says nothing about this one.
  const given = asked.neg_threshold ?? (asked.threshold === undefined ? speech?.neg_threshold : undefined)
  const negThreshold = given ?? Math.min(set.threshold, Math.max(set.threshold - 0.15, 0.01))
  if (negThreshold > set.threshold) {
    throw new VergeError(
      'invalid_request',
      `The parameters, field "neg_threshold": may not be above "threshold", which is ${set.threshold}.`,
      { details: { field: 'neg_threshold' } },
    )
  }
  return {
    threshold: set.threshold,
    negThreshold,
    minSpeech: samples(set.min_speech_duration_ms),
    minSilence: samples(set.min_silence_duration_ms),
    pad: samples(set.speech_pad_ms),
  }
}

function defined<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }
}
