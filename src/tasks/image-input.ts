import type * as z from 'zod'
import type { ImageSettings, Manifest } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { halfBits, type Tensors, tensor } from '../core/tensors.ts'
import { StepMeter, type Work } from '../core/work.ts'
import { type DecodedImage, decodingImage } from '../media/image/decode.ts'
import { preprocessing } from '../media/image/preprocess.ts'
import { type FileKind, fileRequestSchema, readFileBody } from './file-body.ts'
import { performed, type Task, type TaskBody, type TaskModel, wrongInput } from './task.ts'

/** What every task on pictures takes: one picture, as it is or in base64. */

export const IMAGE_TYPES: readonly string[] = ['image/png', 'image/jpeg', 'image/webp', 'application/octet-stream']

/** A 28x28 greyscale drawing of a seven, so that the document's examples can be sent as they stand. */
export const EXAMPLE_PNG =
  'iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAAAoElEQVR42mNgGEqAEUqzx6p+hzL/31z/E1WRyoP/cPBIHSrIAqWf' +
  'TTeDCliKPnyDbj4TKwToP/yZyojDDUwNf89L4XKgwtXfpUy4HF/4+6YyLo0Sp/+2MOPSmPjjoQ4ujYIH/k1hxSUZ/PWlOS453s3/' +
  'F7LjknT98N4ZlxzH0v8beXBJ2r764o8z9lr/7RNEEUH28WemaTdwxzwz48CnPgBzTTajIV184gAAAABJRU5ErkJggg=='

const IMAGE_FILE: FileKind = {
  noun: 'image',
  one: 'An image',
  ifTooLarge: 'Send a smaller image.',
  ifEmpty: 'The request has no image. Send a PNG, JPEG or WebP image.',
  types: {
    accepted: IMAGE_TYPES,
    ifOther:
      'This model takes an image. Send image/png, image/jpeg or image/webp, or application/json with {"inputs": "<base64>"}.',
  },
}

/** The JSON body of a task on pictures, with the task's own parameters. @param id its name in the document */
export function imageRequestSchema<Parameters extends z.ZodType>(parameters: Parameters, id: string) {
  return fileRequestSchema('A PNG, JPEG or WebP in base64, or as a data: URL', parameters, id)
}

/**
 * The picture's bytes and the parameters of a request.
 * @throws invalid_request, unsupported_media_type, empty_input, input_too_large
 */
export function readImageRequest<Parameters>(
  body: TaskBody,
  parametersSchema: z.ZodType<Parameters>,
  limits: Limits,
): { readonly bytes: Uint8Array; readonly parameters: Parameters } {
  return readFileBody(body, parametersSchema, IMAGE_FILE, limits.imageBytes)
}

/** How the model's manifest makes a tensor of a picture. @throws manifest_invalid */
export function imageSettingsOf(manifest: Manifest): ImageSettings {
  if (manifest.image !== undefined) return manifest.image
  throw new VergeError(
    'manifest_invalid',
    `Model "${manifest.model}" version "${manifest.version}" has no image settings. Set "preprocess.image" in its verge.json and push it again.`,
  )
}

/**
 * Decodes a picture and goes on with it, as `pictureWork` says, when it has its turn.
 * @throws overloaded, cancelled, deadline_exceeded, and what `pictureWork` throws
 */
export function readPicture<T>(
  model: Pick<TaskModel, 'perform'>,
  bytes: Uint8Array,
  limits: Limits,
  use: (image: DecodedImage, meter: StepMeter) => Work<T>,
): Promise<T> {
  const meter = new StepMeter(limits.decodeSteps)
  return performed(model, pictureWork(bytes, limits, use, meter), meter)
}

/**
 * Decodes a picture and goes on with it, in pieces that `TaskModel.perform` takes, within one budget of steps.
 * @param use what is made of the picture, from which nothing of it should be kept: it is larger than a model's input
 * @throws invalid_image, input_too_large, unsupported_media_type, and what `use` throws
 */
export function* pictureWork<T>(
  bytes: Uint8Array,
  limits: Limits,
  use: (image: DecodedImage, meter: StepMeter) => Work<T>,
  meter = new StepMeter(limits.decodeSteps),
): Work<T> {
  const options = {
    maxPixels: limits.imagePixels,
    maxFullPixels: limits.fullImagePixels,
    maxScans: limits.jpegScans,
  }
  return yield* use(yield* decodingImage(bytes, options, meter), meter)
}

/**
 * The tensor for what an image model takes: its only input, filled with samples in the order of `shape`.
 * @throws manifest_invalid
 */
export function imageTensors(samples: Float32Array, shape: readonly number[], manifest: Manifest): Tensors {
  const [spec, ...others] = manifest.inputs
  if (spec === undefined || others.length > 0) throw wrongInput(manifest, others[0])
  switch (spec.datatype) {
    case 'FP32':
      return new Map([[spec.name, tensor('FP32', shape, samples)]])
    case 'FP16':
      return new Map([[spec.name, tensor('FP16', shape, halfBits(samples))]])
    case 'UINT8':
      return new Map([[spec.name, tensor('UINT8', shape, new Uint8Array(Uint8ClampedArray.from(samples)))]])
    default:
      throw wrongInput(manifest, spec)
  }
}

type PictureInput<Parameters> = Pick<Task<Uint8Array, Parameters, unknown>, 'mediaTypes' | 'parse' | 'toTensors'>

/** How a task of one picture and one run reads its request: what it makes of the outputs is its own. */
export function pictureInput<Parameters>(
  parametersSchema: z.ZodType<Parameters>,
  limits: Limits,
): PictureInput<Parameters> {
  return {
    mediaTypes: IMAGE_TYPES,
    parse(body) {
      const { bytes, parameters } = readImageRequest(body, parametersSchema, limits)
      return { input: bytes, parameters }
    },
    async toTensors(bytes, _parameters, model) {
      const { manifest } = model
      const settings = imageSettingsOf(manifest)
      const { samples, shape } = await readPicture(model, bytes, limits, (image, meter) =>
        preprocessing(image, settings, meter),
      )
      return imageTensors(samples, shape, manifest)
    },
  }
}
