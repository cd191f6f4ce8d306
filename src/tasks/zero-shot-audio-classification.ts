import * as z from 'zod'
import type { Limits } from '../core/limits.ts'
import { refuseManyItems } from '../core/validation.ts'
import { candidateLabelsSchema, hypothesesOf, labelsOf, templateSchema } from './shared/labels.ts'
import { classificationSchema, rankedLabels } from './shared/scores.ts'
import { AUDIO_MEDIA_TYPES, audioRequestSchema, EXAMPLE_WAV, readAudioBody } from './sounds/audio-body.ts'
import type { BoundTask } from './task.ts'
import { TextReader } from './text/reading.ts'
import { checkTexts, fieldIn } from './text/texts.ts'
import { soundSide } from './two-encoders/sound.ts'
import { scorePairs } from './two-encoders/two-encoders.ts'

/** As Hugging Face's pipeline has it. */
const DEFAULT_TEMPLATE = 'This is a sound of {}.'

const parametersSchema = z.strictObject({
  candidate_labels: candidateLabelsSchema,
  hypothesis_template: templateSchema(DEFAULT_TEMPLATE),
})

const requestSchema = audioRequestSchema(parametersSchema, 'ZeroShotAudioClassificationRequest').required()

/** Labels for a sound that the model was never trained for, by an encoder of sounds and one of texts. */
export function zeroShotAudioClassification(limits: Limits): BoundTask {
  return {
    name: 'zero-shot-audio-classification',
    mediaTypes: AUDIO_MEDIA_TYPES,
    files: TextReader.files,
    request: requestSchema,
    response: classificationSchema,
    example: { inputs: EXAMPLE_WAV, parameters: { candidate_labels: ['a dog', 'a tone', 'rain'] } },

    async execute(body, model, run) {
      refuseManyItems(body.kind === 'json' ? body.value : body.parameters, limits.requestItems)
      const { bytes, parameters } = readAudioBody(body, parametersSchema, limits)
      const labels = labelsOf(parameters.candidate_labels, limits)
      const texts = hypothesesOf(labels, parameters.hypothesis_template ?? DEFAULT_TEMPLATE)
      const field = fieldIn('parameters.candidate_labels', true)
      checkTexts(texts, field, limits)
      const side = soundSide(bytes, model, limits)
      const [logits] = await scorePairs({ texts, field }, side, 'logits', { model, limits, run })
      return rankedLabels(labels, logits ?? new Float32Array(), 'softmax')
    },
  }
}
