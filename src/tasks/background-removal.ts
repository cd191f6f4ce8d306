import * as z from 'zod'
import { matteSettingsSchema } from '../catalog/settings/segmentation.ts'
import type { Limits } from '../core/limits.ts'
import { StepMeter, type Work } from '../core/work.ts'
import { encodePng } from '../media/image/png-encode.ts'
import type { Raster } from '../media/image/raster.ts'
import { resizing } from '../media/image/resize.ts'
import { EXAMPLE_PNG, IMAGE_TYPES, imageRequestSchema, pictureWork, readImageRequest } from './pictures/input.ts'
import { ownSizeLimits, readForMap, targetSize } from './pictures/maps/map.ts'
import { matting } from './pictures/maps/matte.ts'
import { type BoundTask, performed, RawAnswer } from './task.ts'

const parametersSchema = z.strictObject({ target_size: targetSize }).meta({ id: 'BackgroundRemovalParameters' })

const responseSchema = z.string().meta({
  id: 'CutOut',
  format: 'binary',
  contentMediaType: 'image/png',
  description: 'A PNG in which the background is transparent',
})

/** A picture without its background. Answers a PNG. */
export function backgroundRemoval(limits: Limits): BoundTask {
  return {
    name: 'background-removal',
    mediaTypes: IMAGE_TYPES,
    request: imageRequestSchema(parametersSchema, 'BackgroundRemovalRequest'),
    response: responseSchema,
    example: { inputs: EXAMPLE_PNG },

    async execute(body, model, run): Promise<RawAnswer> {
      const { manifest } = model
      const { bytes, parameters } = readImageRequest(body, parametersSchema, limits)
      const target = parameters.target_size
      const frame = await readForMap(model, bytes, target, limits)
      const { width, height } = frame
      const outputs = await run(frame.inputs)
      const settings = manifest.matte ?? matteSettingsSchema.parse({})
      const meter = new StepMeter(limits.decodeSteps)
      const alpha = await performed(model, matting(outputs, settings, frame, manifest, meter), meter)
      // Decoded once more, so that the picture is not held while the model runs.
      const again = new StepMeter(limits.decodeSteps)
      const work = pictureWork(
        bytes,
        ownSizeLimits(target, limits),
        function* (image, meter): Work<Uint8Array> {
          return withAlpha(yield* resizing(image, width, height, 'bicubic', meter), alpha)
        },
        again,
      )
      const data = await performed(model, work, again)
      return new RawAnswer('image/png', await encodePng({ width, height, channels: 4, data }))
    },
  }
}

function withAlpha({ channels, data }: Raster, alpha: Uint8Array): Uint8Array {
  const out = new Uint8Array(4 * alpha.length)
  const [green, blue] = channels === 3 ? [1, 2] : [0, 0]
  for (let i = 0, from = 0, to = 0; i < alpha.length; i++, from += channels, to += 4) {
    out[to] = data[from] ?? 0
    out[to + 1] = data[from + green] ?? 0
    out[to + 2] = data[from + blue] ?? 0
    out[to + 3] = alpha[i] ?? 0
  }
  return out
}
