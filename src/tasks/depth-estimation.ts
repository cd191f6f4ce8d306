import * as z from 'zod'
import type { Manifest } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { Tensors } from '../core/tensors.ts'
import { StepMeter, type Work } from '../core/work.ts'
import { base64FromBytes } from '../media/base64.ts'
import { axisOf } from '../media/image/axis.ts'
import { interpolating, refuseMap } from '../media/image/planes.ts'
import { encodePng } from '../media/image/png-encode.ts'
import { EXAMPLE_PNG, IMAGE_TYPES, imageRequestSchema, readImageRequest } from './pictures/input.ts'
import { singlePlane } from './pictures/maps/dense-output.ts'
import { type MapFrame, readForMap, targetSize, WITH_TARGET } from './pictures/maps/map.ts'
import { type BoundTask, performed } from './task.ts'

const parametersSchema = z
  .strictObject({
    bits: z
      .union([z.literal(8), z.literal(16)])
      .optional()
      .meta({ description: 'Of a pixel of the answered image, 8 by default' }),
    predicted_depth: z.enum(['none', 'numbers', 'base64']).optional().meta({
      description:
        'The model’s own numbers beside the image: rows of numbers, or their 32-bit floats (little-endian) in base64',
    }),
    target_size: targetSize,
  })
  .meta({ id: 'DepthEstimationParameters' })

const responseSchema = z
  .object({
    depth: z.string().meta({
      contentEncoding: 'base64',
      contentMediaType: 'image/png',
      description: 'Grey PNG: the smallest number of the image is black, the greatest white',
    }),
    predicted_depth: z.union([z.array(z.array(z.number())), z.string()]).optional(),
    width: z.number().int(),
    height: z.number().int(),
    minimum: z.number().meta({ description: 'What black stands for' }),
    maximum: z.number().meta({ description: 'What white stands for' }),
  })
  .meta({ id: 'Depth' })
type Depth = z.infer<typeof responseSchema>

/** Steps (docs/limits.md): of a number whose place is looked for, and of one that is written. */
const LOOKED = 3
const WRITTEN = 4

/** How far away each pixel of a picture is, in the unit and direction of the model. */
export function depthEstimation(limits: Limits): BoundTask {
  return {
    name: 'depth-estimation',
    mediaTypes: IMAGE_TYPES,
    request: imageRequestSchema(parametersSchema, 'DepthEstimationRequest'),
    response: responseSchema,
    example: { inputs: EXAMPLE_PNG },

    async execute(body, model, run): Promise<Depth> {
      const { manifest } = model
      const { bytes, parameters } = readImageRequest(body, parametersSchema, limits)
      const numbers = parameters.predicted_depth ?? 'none'
      const frame = await readForMap(model, bytes, parameters.target_size, limits, (width, height) => {
        if (numbers === 'numbers') checkNumbers(width * height, limits)
        if (numbers === 'base64') checkFloats(width * height, limits)
      })
      const { width, height } = frame
      const outputs = await run(frame.inputs)
      const meter = new StepMeter(limits.decodeSteps)
      const depth = parameters.bits ?? 8
      const work = measuring(outputs, frame, depth, manifest, meter)
      const { exact, levels, minimum, maximum } = await performed(model, work, meter)
      const png = await encodePng({ width, height, channels: 1, depth, data: levels })
      return {
        depth: base64FromBytes(png),
        ...(numbers === 'numbers' && { predicted_depth: rowsOf(exact, width) }),
        ...(numbers === 'base64' && { predicted_depth: base64FromBytes(new Uint8Array(exact.buffer)) }),
        width,
        height,
        minimum,
        maximum,
      }
    },
  }
}

/** @throws input_too_large */
function checkNumbers(count: number, { jsonOutputElements }: Limits): void {
  if (count <= jsonOutputElements) return
  throw new VergeError(
    'input_too_large',
    `"predicted_depth" would have ${count} numbers; the limit is ${jsonOutputElements}. Send a smaller image, set "parameters.target_size", or set "parameters.predicted_depth" to "base64".`,
    { details: { limit_elements: jsonOutputElements } },
  )
}

/** @throws input_too_large */
function checkFloats(count: number, { pixelBytes }: Limits): void {
  const most = Math.floor(pixelBytes / Float32Array.BYTES_PER_ELEMENT)
  if (count <= most) return
  throw new VergeError(
    'input_too_large',
    `"predicted_depth" would have ${count} numbers; the limit is ${most} in base64. ${WITH_TARGET}`,
    { details: { limit_elements: most } },
  )
}

interface Measured {
  readonly exact: Float32Array<ArrayBuffer>
  readonly levels: Uint8Array
  readonly minimum: number
  readonly maximum: number
}

function* measuring(
  outputs: Tensors,
  frame: MapFrame,
  bits: 8 | 16,
  manifest: Manifest,
  meter: StepMeter,
): Work<Measured> {
  const plane = singlePlane(outputs, manifest.depth?.output, 'predicted_depth', manifest)
  const [across, down] = [axisOf(plane.width, frame.across), axisOf(plane.height, frame.down)]
  const exact = yield* interpolating(plane, 0, across, down, meter)
  meter.spend(exact.length * (LOOKED + WRITTEN), refuseMap)
  yield meter.piece()
  let [minimum, maximum] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let i = 0; i < exact.length; i++) {
    const value = exact[i] ?? 0
    minimum = Math.min(minimum, value)
    maximum = Math.max(maximum, value)
  }
  yield meter.piece()
  const most = bits === 8 ? 255 : 65_535
  const scale = maximum > minimum ? most / (maximum - minimum) : 0
  const levels = new Uint8Array((exact.length * bits) / 8)
  for (let i = 0; i < exact.length; i++) {
    const level = Math.floor(((exact[i] ?? 0) - minimum) * scale)
    if (bits === 8) levels[i] = level
    else {
      levels[2 * i] = level >> 8
      levels[2 * i + 1] = level
    }
  }
  return { exact, levels, minimum, maximum }
}

function rowsOf(values: Float32Array, width: number): number[][] {
  return Array.from({ length: values.length / width }, (_, y) => [...values.subarray(y * width, (y + 1) * width)])
}
