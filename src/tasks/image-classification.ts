import type { Manifest } from '../catalog/manifest.ts'
import type { Limits } from '../core/limits.ts'
import type { Tensors } from '../core/tensors.ts'
import { EXAMPLE_PNG, imageRequestSchema, pictureInput } from './pictures/input.ts'
import {
  type Classification,
  type ClassificationParameters,
  classificationParametersSchema,
  classificationSchema,
  classifications,
} from './shared/scores.ts'
import type { Task } from './task.ts'

/** Labels answered where the request does not say, as Hugging Face's pipeline has it. */
const DEFAULT_TOP_K = 5

const requestSchema = imageRequestSchema(classificationParametersSchema, 'ImageClassificationRequest')

/** What a picture shows. */
export function imageClassification(limits: Limits): Task<Uint8Array, ClassificationParameters, Classification> {
  return {
    name: 'image-classification',
    ...pictureInput(classificationParametersSchema, limits),
    request: requestSchema,
    response: classificationSchema,
    example: { inputs: EXAMPLE_PNG, parameters: { top_k: 3 } },

    fromTensors(outputs: Tensors, parameters: ClassificationParameters, manifest: Manifest) {
      return classifications(outputs, parameters, manifest, DEFAULT_TOP_K)[0] ?? []
    },
  }
}
