import * as z from 'zod'
import type { Manifest } from '../catalog/manifest.ts'
import type { ImageOutputSettings } from '../catalog/settings/image-output.ts'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { StepMeter, type Work } from '../core/work.ts'
import { withLuma } from '../media/image/luma.ts'
import { encodePng } from '../media/image/png-encode.ts'
import { fitting, normalizeImage } from '../media/image/preprocess.ts'
import { type Raster, toGrey } from '../media/image/raster.ts'
import { resizing } from '../media/image/resize.ts'
import {
  EXAMPLE_PNG,
  IMAGE_TYPES,
  imageRequestSchema,
  imageSettingsOf,
  imageTensors,
  readImageRequest,
  readPicture,
} from './pictures/input.ts'
import { type Floats, floatOutputs, wrongOutput } from './shared/outputs.ts'
import { type BoundTask, performed, RawAnswer } from './task.ts'

const side = z.number().int().positive().max(16_384)

const parametersSchema = z
  .strictObject({
    target_size: z
      .strictObject({ width: side, height: side })
      .optional()
      .meta({ description: 'Size of the answered image; by default the size of the model’s output' }),
  })
  .meta({ id: 'ImageToImageParameters' })

const responseSchema = z
  .string()
  .meta({ id: 'Picture', format: 'binary', contentMediaType: 'image/png', description: 'A PNG' })

/** A picture made of a picture: larger, cleaner, in another style. Answers a PNG. */
export function imageToImage(limits: Limits): BoundTask {
  return {
    name: 'image-to-image',
    mediaTypes: IMAGE_TYPES,
    request: imageRequestSchema(parametersSchema, 'ImageToImageRequest'),
    response: responseSchema,
    example: { inputs: EXAMPLE_PNG },

    async execute(body, model, run): Promise<RawAnswer> {
      const { manifest } = model
      const { bytes, parameters } = readImageRequest(body, parametersSchema, limits)
      const target = parameters.target_size
      if (target !== undefined && target.width * target.height > limits.imagePixels) {
        throw new VergeError(
          'input_too_large',
          `"parameters.target_size" may be ${limits.imagePixels} pixels at most.`,
          {
            details: { field: 'parameters.target_size', limit_pixels: limits.imagePixels },
          },
        )
      }
      const settings = imageSettingsOf(manifest)
      const { imageOutput } = manifest
      if (imageOutput === undefined) {
        throw new VergeError(
          'manifest_invalid',
          `Model "${manifest.model}" version "${manifest.version}" has no imageOutput settings. Set "postprocess.imageOutput" in its verge.json and push it again.`,
        )
      }
      // In the model's size already, so that the picture itself is not held while the model runs.
      const coloured = imageOutput.colour === 'luma'
      const wanted = coloured ? { ...settings, mode: 'RGB' as const } : settings
      const sent = await readPicture(model, bytes, limits, (image, meter) => fitting(image, wanted, meter))
      const { samples, shape } = normalizeImage(coloured ? toGrey(sent) : sent, settings)
      const outputs = floatOutputs(await run(imageTensors(samples, shape, manifest)))
      const made = pictureOf(outputs, imageOutput, manifest, limits.imagePixels)
      const whole = coloured ? withLuma(sent, made) : made
      const answer = target === undefined ? whole : await performed(model, enlarged(whole, target, limits))
      return new RawAnswer('image/png', await encodePng(answer))
    },
  }
}

function enlarged(picture: Raster, { width, height }: Size, { decodeSteps }: Limits): Work<Raster> {
  return resizing(picture, width, height, 'bicubic', new StepMeter(decodeSteps))
}

type Size = { readonly width: number; readonly height: number }

/** @throws manifest_invalid if the output is not a picture as the settings describe it */
function pictureOf(
  outputs: readonly Floats[],
  settings: ImageOutputSettings,
  manifest: Manifest,
  maxPixels: number,
): Raster {
  const channels = settings.colour === 'RGB' ? 3 : 1
  const output = settings.output === undefined ? outputs[0] : outputs.find(({ name }) => name === settings.output)
  const shape = output?.shape ?? []
  const [first, second, third] = shape.slice(-3)
  const [depth, height, width] = settings.layout === 'NCHW' ? [first, second, third] : [third, first, second]
  if (output === undefined || depth !== channels || height === undefined || width === undefined) {
    throw wrongOutput(manifest, `no output of ${channels === 1 ? 'one channel' : 'three channels'} that is an image`)
  }
  const pixels = width * height
  if (pixels === 0 || pixels > maxPixels || pixels * channels !== output.data.length) {
    throw wrongOutput(
      manifest,
      `an output [${shape.join(', ')}], which is not one image of at most ${maxPixels} pixels`,
    )
  }
  const { rescale, offset, layout } = settings
  const data = new Uint8ClampedArray(pixels * channels)
  for (let i = 0; i < pixels; i++) {
    for (let channel = 0; channel < channels; channel++) {
      const from = layout === 'NCHW' ? channel * pixels + i : i * channels + channel
      data[i * channels + channel] = (output.data[from] ?? 0) * rescale + offset
    }
  }
  return { width, height, channels, data: new Uint8Array(data.buffer) }
}
