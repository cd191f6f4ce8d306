import * as z from 'zod'
import type { ImageSettings } from '../../../catalog/manifest.ts'
import { VergeError } from '../../../core/errors.ts'
import type { Limits } from '../../../core/limits.ts'
import type { Tensors } from '../../../core/tensors.ts'
import { StepMeter } from '../../../core/work.ts'
import type { Span } from '../../../media/image/axis.ts'
import type { DecodedImage } from '../../../media/image/decode.ts'
import { framing, inputSize, preprocessing } from '../../../media/image/preprocess.ts'
import { performed, type TaskModel } from '../../task.ts'
import { imageSettingsOf, imageTensors, pictureWork } from '../input.ts'

/** Tasks that answer a number for each pixel of the picture: how the picture is read, and where its pixels lie in the model's. */

const side = z.number().int().positive().max(65_535)

/** The parameter of all of them. */
export const targetSize = z
  .strictObject({ width: side, height: side })
  .optional()
  .meta({ description: 'Size of the answered image; by default the size of the image that was sent' })
export type TargetSize = z.infer<typeof targetSize>

/** A picture that has been read for such a task. Nothing of the picture itself is kept. */
export interface MapFrame {
  readonly inputs: Tensors
  /** Size of the answer. */
  readonly width: number
  readonly height: number
  readonly across: Span
  readonly down: Span
}

/**
 * Decodes a picture to the model's input. A picture whose own size is more than an answer may have is refused by its
 * header, unless the caller wants another size.
 * @param check is asked with the answer's size before the picture is decoded any further
 * @throws invalid_image, input_too_large, manifest_invalid, and what `check` throws
 */
export async function readForMap(
  model: TaskModel,
  bytes: Uint8Array,
  target: TargetSize,
  limits: Limits,
  check: (width: number, height: number) => void = () => {},
): Promise<MapFrame> {
  const { manifest } = model
  const settings = imageSettingsOf(manifest)
  if (settings.fit === 'crop' || settings.fit === 'mnist') {
    throw new VergeError(
      'manifest_invalid',
      `Model "${manifest.model}" version "${manifest.version}" crops images, but its task answers for all pixels. Set "preprocess.image.fit" to "stretch" or "letterbox" in its verge.json and push it again.`,
    )
  }
  if (target !== undefined) {
    assertTarget(target, limits)
    check(target.width, target.height)
  }
  const meter = new StepMeter(limits.decodeSteps)
  const work = pictureWork(
    bytes,
    ownSizeLimits(target, limits),
    function* (image, meter) {
      const { width, height } = target ?? sizeOf(image)
      if (target === undefined) check(width, height)
      const { samples, shape } = yield* preprocessing(image, settings, meter)
      return { samples, shape, width, height, ...spansOf(image, settings, width, height) }
    },
    meter,
    WITH_TARGET,
  )
  const { samples, shape, ...frame } = await performed(model, work, meter)
  return { inputs: imageTensors(samples, shape, manifest), ...frame }
}

/** What to do about a picture with too many pixels for an answer. */
export const WITH_TARGET = 'Send a smaller image, or set "parameters.target_size".'

/** An answer of a picture's own size has no more pixels than a picture that is decoded whole. */
export function ownSizeLimits(target: TargetSize, limits: Limits): Limits {
  if (target !== undefined) return limits
  return { ...limits, fullImagePixels: Math.min(limits.fullImagePixels, limits.imagePixels) }
}

/** @throws input_too_large */
function assertTarget({ width, height }: NonNullable<TargetSize>, { imagePixels }: Limits): void {
  if (width * height <= imagePixels) return
  throw new VergeError('input_too_large', `"parameters.target_size" may be ${imagePixels} pixels at most.`, {
    details: { field: 'parameters.target_size', limit_pixels: imagePixels },
  })
}

function sizeOf({ fullWidth, fullHeight }: DecodedImage): { readonly width: number; readonly height: number } {
  return { width: fullWidth, height: fullHeight }
}

function spansOf(
  image: DecodedImage,
  settings: ImageSettings,
  width: number,
  height: number,
): Pick<MapFrame, 'across' | 'down'> {
  const { scaledWidth, scaledHeight, left, top } = framing(image, settings)
  const [wholeHeight, wholeWidth] = inputSize(image, settings)
  return {
    across: { to: width, inner: scaledWidth, start: -left, whole: wholeWidth },
    down: { to: height, inner: scaledHeight, start: -top, whole: wholeHeight },
  }
}
