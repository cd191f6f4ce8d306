import type * as z from 'zod'
import type { ImageSettings, Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { halfBits, type Tensor, type TensorSpec, type Tensors, tensor } from '../../core/tensors.ts'
import { StepMeter, type Work } from '../../core/work.ts'
import { type DecodedImage, decodingImage } from '../../media/image/decode.ts'
import { preprocessing } from '../../media/image/preprocess.ts'
import { type FileKind, fileRequestSchema, readFileBody } from '../shared/file-body.ts'
import { performed, type Task, type TaskBody, type TaskModel, wrongInput } from '../task.ts'

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
 * @param ifTooManyPixels what to do then, beside a smaller picture
 * @throws invalid_image, input_too_large, unsupported_media_type, and what `use` throws
 */
export function* pictureWork<T>(
  bytes: Uint8Array,
  limits: Limits,
  use: (image: DecodedImage, meter: StepMeter) => Work<T>,
  meter = new StepMeter(limits.decodeSteps),
  ifTooManyPixels?: string,
): Work<T> {
  const options = {
    maxPixels: limits.imagePixels,
    maxFullPixels: limits.fullImagePixels,
    maxScans: limits.jpegScans,
    ...(ifTooManyPixels !== undefined && { advice: ifTooManyPixels }),
  }
  return yield* use(yield* decodingImage(bytes, options, meter), meter)
}

/**
 * Inputs beside the picture that are known by their names: `pixel_mask` says which pixels are of the picture and not
 * padding (transformers' DETR), `orig_target_sizes` the size in which boxes are answered (RT-DETR, D-FINE).
 */
export const PICTURE_INPUTS: readonly string[] = ['pixel_mask', 'orig_target_sizes']

/**
 * The tensors for what an image model takes: its input of a picture, filled with samples in the order of `shape`, and what
 * `PICTURE_INPUTS` names.
 * @throws manifest_invalid
 */
export function imageTensors(samples: Float32Array, shape: readonly number[], manifest: Manifest): Tensors {
  const others = manifest.inputs.filter(({ name }) => PICTURE_INPUTS.includes(name))
  const [spec, more] = manifest.inputs.filter((input) => !others.includes(input))
  if (spec === undefined || more !== undefined) throw wrongInput(manifest, more)
  const picture = pictureTensor(spec, samples, shape)
  if (picture === undefined) throw wrongInput(manifest, spec)
  const size = manifest.image?.layout === 'NHWC' ? shape.slice(1, 3) : shape.slice(2, 4)
  const [height = 1, width = 1] = size
  const tensors = new Map([[spec.name, picture]])
  for (const other of others) {
    const made = other.name === 'pixel_mask' ? wholeMask(other, [1, height, width]) : sizeTensor(other, width, height)
    if (made === undefined) throw wrongInput(manifest, other)
    tensors.set(other.name, made)
  }
  return tensors
}

function pictureTensor({ datatype }: TensorSpec, samples: Float32Array, shape: readonly number[]): Tensor | undefined {
  switch (datatype) {
    case 'FP32':
      return tensor('FP32', shape, samples)
    case 'FP16':
      return tensor('FP16', shape, halfBits(samples))
    case 'UINT8':
      return tensor('UINT8', shape, new Uint8Array(Uint8ClampedArray.from(samples)))
    case 'INT32':
      return tensor('INT32', shape, Int32Array.from(samples, Math.round))
    default:
      return undefined
  }
}

/** A mask of ones: in a request alone, no picture is padded. @param size of the picture, where the model takes any */
function wholeMask({ datatype, shape }: TensorSpec, size: readonly number[]): Tensor | undefined {
  const own = size.map((side, axis) => {
    const fixed = shape[axis]
    return typeof fixed === 'number' && fixed > 0 ? fixed : side
  })
  const count = own.reduce((product, side) => product * side, 1)
  if (shape.length !== 3 || count > MOST_MASK) return undefined
  if (datatype === 'INT64') return tensor('INT64', own, new BigInt64Array(count).fill(1n))
  if (datatype === 'BOOL') return tensor('BOOL', own, new Uint8Array(count).fill(1))
  return datatype === 'FP32' ? tensor('FP32', own, new Float32Array(count).fill(1)) : undefined
}

/** Pixels that a picture of a model's size may have, and so its mask. */
const MOST_MASK = 4 * 1024 * 1024

function sizeTensor({ datatype }: TensorSpec, width: number, height: number): Tensor | undefined {
  if (datatype === 'INT64') return tensor('INT64', [1, 2], BigInt64Array.from([BigInt(width), BigInt(height)]))
  return datatype === 'FP32' ? tensor('FP32', [1, 2], Float32Array.from([width, height])) : undefined
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
