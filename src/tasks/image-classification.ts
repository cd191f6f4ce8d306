import { z } from 'zod'
import type { Manifest } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { Tensors } from '../core/tensors.ts'
import { validate } from '../core/validation.ts'
import { bytesFromBase64 } from '../media/base64.ts'
import { decodeImage } from '../media/image/decode.ts'
import { preprocess } from '../media/image/preprocess.ts'
import { imageTensors } from './inputs.ts'
import {
  type Classification,
  type ClassificationParameters,
  classificationParametersSchema,
  classificationSchema,
  classifications,
} from './scores.ts'
import type { Task, TaskBody } from './task.ts'

/** Labels answered where the request does not say, as Hugging Face's pipeline has it. */
const DEFAULT_TOP_K = 5

const MEDIA_TYPES = ['image/png', 'image/jpeg', 'application/octet-stream']

const requestSchema = z
  .strictObject({
    inputs: z.string().meta({ description: 'A PNG or JPEG in base64, or as a data: URL' }),
    parameters: classificationParametersSchema.optional(),
  })
  .meta({ id: 'ImageClassificationRequest' })

/** A 28x28 greyscale drawing of a seven, so that the document's example can be sent as it stands. */
const EXAMPLE_PNG =
  'iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAAAoElEQVR42mNgGEqAEUqzx6p+hzL/31z/E1WRyoP/cPBIHSrIAqWf' +
  'TTeDCliKPnyDbj4TKwToP/yZyojDDUwNf89L4XKgwtXfpUy4HF/4+6YyLo0Sp/+2MOPSmPjjoQ4ujYIH/k1hxSUZ/PWlOS453s3/' +
  'F7LjknT98N4ZlxzH0v8beXBJ2r764o8z9lr/7RNEEUH28WemaTdwxzwz48CnPgBzTTajIV184gAAAABJRU5ErkJggg=='

/** What a picture shows. */
export function imageClassification(limits: Limits): Task<Uint8Array, ClassificationParameters, Classification> {
  return {
    name: 'image-classification',
    mediaTypes: MEDIA_TYPES,
    request: requestSchema,
    response: classificationSchema,
    example: { inputs: EXAMPLE_PNG, parameters: { top_k: 3 } },

    parse(body) {
      const { bytes, parameters } = readBody(body, limits.imageBytes)
      if (bytes.length === 0) throw new VergeError('empty_input', 'The request has no image. Send a PNG or a JPEG.')
      if (bytes.length > limits.imageBytes) throw tooLarge(limits.imageBytes)
      return { input: bytes, parameters }
    },

    async toTensors(bytes, _parameters, { manifest }) {
      if (manifest.image === undefined) {
        throw new VergeError(
          'manifest_invalid',
          `Model "${manifest.model}" version "${manifest.version}" does not say how an image becomes a tensor. Its operator has to add image settings and push it again.`,
        )
      }
      const image = decodeImage(bytes, { maxPixels: limits.imagePixels, maxScans: limits.jpegScans })
      const { samples, shape } = preprocess(image, manifest.image)
      return imageTensors(samples, shape, manifest)
    },

    fromTensors(outputs: Tensors, parameters: ClassificationParameters, manifest: Manifest) {
      return classifications(outputs, parameters, manifest, DEFAULT_TOP_K)[0] ?? []
    },
  }
}

function readBody(body: TaskBody, maxBytes: number): { bytes: Uint8Array; parameters: ClassificationParameters } {
  if (body.kind === 'json') {
    const { inputs, parameters = {} } = validate(requestSchema, body.value, 'The request')
    return { bytes: imageBytes(inputs, maxBytes), parameters }
  }
  if (!MEDIA_TYPES.includes(body.mediaType)) {
    throw new VergeError(
      'unsupported_media_type',
      'This model takes an image. Send image/png or image/jpeg, or application/json with {"inputs": "<base64>"}.',
    )
  }
  const parameters =
    body.parameters === undefined ? {} : validate(classificationParametersSchema, body.parameters, 'The parameters')
  return { bytes: body.bytes, parameters }
}

function imageBytes(inputs: string, maxBytes: number): Uint8Array {
  if (/^\s*https?:/i.test(inputs)) {
    throw new VergeError(
      'invalid_request',
      'No URL is ever fetched. Send the image itself: its bytes, or base64 in "inputs".',
      { details: { field: 'inputs' } },
    )
  }
  const base64 = inputs.startsWith('data:') ? dataUrlContent(inputs) : inputs
  // Four characters stand for three bytes; line breaks are allowed for.
  if (base64.length > Math.ceil(maxBytes / 3) * 4 * 1.05) throw tooLarge(maxBytes)
  const bytes = bytesFromBase64(base64)
  if (bytes === undefined) {
    throw new VergeError('invalid_request', '"inputs" is neither base64 nor a data: URL.', {
      details: { field: 'inputs' },
    })
  }
  return bytes
}

function dataUrlContent(url: string): string {
  const comma = url.indexOf(',')
  if (comma === -1 || !url.slice(0, comma).toLowerCase().endsWith(';base64')) {
    throw new VergeError('invalid_request', '"inputs" is a data: URL without base64 content.', {
      details: { field: 'inputs' },
    })
  }
  return url.slice(comma + 1)
}

function tooLarge(maxBytes: number): VergeError {
  return new VergeError('input_too_large', `An image may have at most ${maxBytes} bytes. Send a smaller one.`, {
    details: { limit_bytes: maxBytes },
  })
}
