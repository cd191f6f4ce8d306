import * as z from 'zod'
import type { Limits } from '../core/limits.ts'
import { isObject } from '../core/objects.ts'
import { refuseManyItems } from '../core/validation.ts'
import { EXAMPLE_PNG, IMAGE_TYPES, readImageRequest } from './pictures/input.ts'
import { candidateLabelsSchema, hypothesesOf, labelsOf, templateSchema } from './shared/labels.ts'
import { classificationSchema, rankedLabels } from './shared/scores.ts'
import type { BoundTask, TaskBody } from './task.ts'
import { TextReader } from './text/reading.ts'
import { checkTexts, fieldIn } from './text/texts.ts'
import { picturesSide } from './two-encoders/pictures.ts'
import { scorePairs } from './two-encoders/two-encoders.ts'

/** As Hugging Face's pipeline has it. */
const DEFAULT_TEMPLATE = 'This is a photo of {}.'

const parametersSchema = z.strictObject({
  candidate_labels: candidateLabelsSchema,
  hypothesis_template: templateSchema(DEFAULT_TEMPLATE),
  multi_label: z
    .boolean()
    .optional()
    .meta({ description: 'Whether each label has a probability of its own; by default as the model was trained' }),
})

const picture = z.string().meta({ description: 'A PNG, JPEG or WebP in base64, or as a data: URL' })
const requestSchema = z
  .strictObject({ inputs: z.union([picture, z.strictObject({ image: picture })]), parameters: parametersSchema })
  .meta({ id: 'ZeroShotImageClassificationRequest' })

/** Labels for a picture that the model was never trained for, by an encoder of pictures and one of texts. */
export function zeroShotImageClassification(limits: Limits): BoundTask {
  return {
    name: 'zero-shot-image-classification',
    mediaTypes: IMAGE_TYPES,
    files: TextReader.files,
    request: requestSchema,
    response: classificationSchema,
    example: { inputs: EXAMPLE_PNG, parameters: { candidate_labels: ['a drawing', 'a cat', 'a street'] } },

    async execute(body, model, run) {
      refuseManyItems(body.kind === 'json' ? body.value : body.parameters, limits.requestItems)
      const { bytes, parameters } = readImageRequest(withPlainInput(body), parametersSchema, limits)
      const labels = labelsOf(parameters.candidate_labels, limits)
      const texts = hypothesesOf(labels, parameters.hypothesis_template ?? DEFAULT_TEMPLATE)
      const field = fieldIn('parameters.candidate_labels', true)
      checkTexts(texts, field, limits)
      const side = picturesSide([bytes], model, limits)
      const [logits] = await scorePairs({ texts, field }, side, 'logits', { model, limits, run })
      return rankedLabels(labels, logits ?? new Float32Array(), activationOf(parameters.multi_label, model))
    },
  }
}

function activationOf(several: boolean | undefined, { manifest }: { manifest: { activation?: string | undefined } }) {
  const own = manifest.activation === 'sigmoid' ? 'sigmoid' : 'softmax'
  return several === undefined ? own : several ? 'sigmoid' : 'softmax'
}

/** `@huggingface/inference` puts the picture into an object. */
function withPlainInput(body: TaskBody): TaskBody {
  if (body.kind !== 'json' || !isObject(body.value) || !isObject(body.value.inputs)) return body
  const { image, ...others } = body.value.inputs
  if (typeof image !== 'string' || Object.keys(others).length > 0) return body
  return { kind: 'json', value: { ...body.value, inputs: image } }
}
