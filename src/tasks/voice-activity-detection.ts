import * as z from 'zod'
import type { Limits } from '../core/limits.ts'
import { StepMeter } from '../core/work.ts'
import { audioLength, decodingAudio } from '../media/audio/decode.ts'
import { speechSpans } from '../media/audio/speech.ts'
import {
  AUDIO_MEDIA_TYPES,
  audioRequestSchema,
  audioSettings,
  EXAMPLE_WAV,
  readAudioBody,
} from './sounds/audio-body.ts'
import { speechFields, speechRules } from './sounds/speech-parameters.ts'
import { initialWindowState, runWindow, windowSettings, windowShapes } from './sounds/windows.ts'
import { type BoundTask, performed } from './task.ts'

const parametersSchema = z
  .strictObject({
    ...speechFields,
    return_probabilities: z.boolean().optional().meta({ description: 'Whether to answer with each window, too' }),
  })
  .meta({ id: 'VoiceActivityDetectionParameters' })

const requestSchema = audioRequestSchema(parametersSchema, 'VoiceActivityDetectionRequest')

const responseSchema = z
  .object({
    segments: z
      .array(z.object({ start: z.number(), end: z.number(), score: z.number() }))
      .meta({ description: 'Speech in seconds, in order, with the mean probability of its windows' }),
    window: z.number().optional().meta({ description: 'Seconds from one probability to the next' }),
    probabilities: z.array(z.number()).optional(),
  })
  .meta({ id: 'VoiceActivity' })

/** Where in a sound somebody speaks, by models that hear it window by window and remember. */
export function voiceActivityDetection(limits: Limits): BoundTask {
  return {
    name: 'voice-activity-detection',
    mediaTypes: AUDIO_MEDIA_TYPES,
    request: requestSchema,
    response: responseSchema,
    example: { inputs: EXAMPLE_WAV, parameters: { threshold: 0.5, return_probabilities: true } },

    async execute(body, model, run): Promise<z.infer<typeof responseSchema>> {
      const { manifest } = model
      const { bytes, parameters } = readAudioBody(body, parametersSchema, limits)
      const { return_probabilities: withProbabilities, ...asked } = parameters
      const audio = audioSettings(manifest)
      const settings = windowSettings(manifest, audio)
      const rules = speechRules(asked, audio)
      const windows = Math.ceil(audioLength(bytes, audio, limits) / settings.length)
      model.checkCost?.(windowShapes(windows, settings))
      const meter = new StepMeter(limits.decodeSteps)
      const samples = await performed(model, decodingAudio(bytes, audio, limits, meter), meter)
      const probabilities: number[] = []
      let state = initialWindowState(settings)
      for (let at = 0; at < samples.length; at += settings.length) {
        // The last window ends in silence.
        const window = new Float32Array(settings.length)
        window.set(samples.subarray(at, at + settings.length))
        const result = await runWindow(window, state, manifest, audio, settings, run)
        probabilities.push(result.probability)
        state = result.carried
      }
      const seconds = (position: number): number => position / audio.sampleRate
      const segments = speechSpans(probabilities, settings.length, samples.length, rules).map(
        ({ start, end, score }) => ({ start: seconds(start), end: seconds(end), score }),
      )
      return { segments, ...(withProbabilities && { window: seconds(settings.length), probabilities }) }
    },
  }
}
