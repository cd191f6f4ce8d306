import type { Manifest } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { type Tensor, type Tensors, tensor } from '../core/tensors.ts'
import { StepMeter } from '../core/work.ts'
import { decodingAudio } from '../media/audio/decode.ts'
import {
  type Classification,
  type ClassificationParameters,
  classificationParametersSchema,
  classificationSchema,
  classifications,
} from './shared/scores.ts'
import {
  AUDIO_MEDIA_TYPES,
  audioRequestSchema,
  audioSettings,
  EXAMPLE_WAV,
  readAudioBody,
} from './sounds/audio-body.ts'
import { performed, type Task } from './task.ts'

/** Labels answered where the request does not say, as Hugging Face's pipeline has it. */
const DEFAULT_TOP_K = 5

const requestSchema = audioRequestSchema(classificationParametersSchema, 'AudioClassificationRequest')

/** What can be heard in a sound, by models that take its samples. */
export function audioClassification(limits: Limits): Task<Uint8Array, ClassificationParameters, Classification> {
  return {
    name: 'audio-classification',
    mediaTypes: AUDIO_MEDIA_TYPES,
    request: requestSchema,
    response: classificationSchema,
    example: { inputs: EXAMPLE_WAV, parameters: { top_k: 3 } },

    parse(body) {
      const { bytes, parameters } = readAudioBody(body, classificationParametersSchema, limits)
      return { input: bytes, parameters }
    },

    async toTensors(bytes, _parameters, model) {
      const { manifest } = model
      const meter = new StepMeter(limits.decodeSteps)
      const work = decodingAudio(bytes, audioSettings(manifest), limits, meter)
      return soundTensors(await performed(model, work, meter), manifest)
    },

    fromTensors(outputs, parameters, manifest) {
      return classifications(outputs, parameters, manifest, DEFAULT_TOP_K)[0] ?? []
    },
  }
}

/**
 * A sound's samples as FP32 of the rank that the model's input has, [samples], [1, samples] or [1, 1, samples]; and, where
 * the model has a second input for it, the mask that says that all of them count.
 * @throws manifest_invalid
 */
function soundTensors(samples: Float32Array, manifest: Manifest): Tensors {
  const tensors = new Map<string, Tensor>()
  for (const { name, datatype, shape } of manifest.inputs) {
    const dimensions = [...new Array<number>(Math.max(0, shape.length - 1)).fill(1), samples.length]
    if (datatype === 'FP32' && shape.length >= 1 && shape.length <= 3 && tensors.size === 0) {
      tensors.set(name, tensor('FP32', dimensions, samples))
    } else if (name === 'attention_mask' && datatype === 'INT64' && shape.length === 2) {
      tensors.set(name, tensor('INT64', dimensions, new BigInt64Array(samples.length).fill(1n)))
    } else if (name === 'attention_mask' && datatype === 'INT32' && shape.length === 2) {
      tensors.set(name, tensor('INT32', dimensions, new Int32Array(samples.length).fill(1)))
    } else {
      throw new VergeError(
        'manifest_invalid',
        `Model "${manifest.model}" version "${manifest.version}" has an input "${name}" that its task cannot use. Push the model again without a task, or with the right task.`,
      )
    }
  }
  return tensors
}
