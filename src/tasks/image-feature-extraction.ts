import * as z from 'zod'
import type { Manifest } from '../catalog/manifest.ts'
import { type ImageFeaturesSettings, imageFeaturesSettingsSchema } from '../catalog/settings/image-output.ts'
import type { Limits } from '../core/limits.ts'
import type { Tensors } from '../core/tensors.ts'
import { EXAMPLE_PNG, imageRequestSchema, pictureInput } from './pictures/input.ts'
import { type Floats, floatOutputs, wrongOutput } from './shared/outputs.ts'
import type { Task } from './task.ts'

const parametersSchema = z
  .strictObject({
    normalize: z
      .boolean()
      .optional()
      .meta({ description: 'Normalize to length 1; by default as set in the model’s manifest' }),
    pooling: z
      .enum(['cls', 'mean', 'none'])
      .optional()
      .meta({ description: 'How several vectors become one; "none" returns all of them' }),
  })
  .meta({ id: 'ImageFeatureExtractionParameters' })
type Parameters = z.infer<typeof parametersSchema>

const vector = z.array(z.number())
const responseSchema = z.union([vector, z.array(vector)]).meta({ id: 'ImageFeatures' })
type Features = z.infer<typeof responseSchema>

/** A vector that stands for a picture. */
export function imageFeatureExtraction(limits: Limits): Task<Uint8Array, Parameters, Features> {
  return {
    name: 'image-feature-extraction',
    ...pictureInput(parametersSchema, limits),
    request: imageRequestSchema(parametersSchema, 'ImageFeatureExtractionRequest'),
    response: responseSchema,
    example: { inputs: EXAMPLE_PNG },

    fromTensors(outputs: Tensors, parameters: Parameters, manifest: Manifest) {
      const settings = manifest.imageFeatures ?? imageFeaturesSettingsSchema.parse({})
      const vectors = vectorsOf(outputs, settings, manifest)
      const pooled = pool(vectors, parameters.pooling ?? settings.pooling)
      const scaled = (parameters.normalize ?? settings.normalize) ? pooled.map(toLengthOne) : pooled
      const [only, ...others] = scaled
      const one = (parameters.pooling ?? settings.pooling) !== 'none' || vectors.length === 1
      return one && only !== undefined && others.length === 0 ? [...only] : scaled.map((values) => [...values])
    },
  }
}

/** The vectors of one picture: [1, D] is one, [1, T, D] are T, and [1, C, H, W] are H x W of the channels' values. */
function vectorsOf(outputs: Tensors, { output: wanted }: ImageFeaturesSettings, manifest: Manifest): Float64Array[] {
  const all = floatOutputs(outputs).filter(
    ({ name, shape, data }) => data.length > 0 && shape[0] === 1 && (wanted === undefined || name === wanted),
  )
  const rank = (wished: number): Floats | undefined => all.find(({ shape }) => shape.length === wished)
  const found = rank(2) ?? rank(3) ?? rank(4)
  if (found === undefined) throw wrongOutput(manifest, 'no output with a vector for an image')
  const { shape, data } = found
  if (shape.length === 4) {
    const [, channels = 0, height = 0, width = 0] = shape
    const places = height * width
    // What pooling has left of a picture is one place: its channels are the vector.
    return Array.from({ length: places }, (_, place) =>
      Float64Array.from({ length: channels }, (_, channel) => data[channel * places + place] ?? 0),
    )
  }
  const size = shape.at(-1) ?? 0
  return Array.from({ length: data.length / size }, (_, i) =>
    Float64Array.from(data.subarray(i * size, (i + 1) * size)),
  )
}

function pool(vectors: readonly Float64Array[], pooling: 'cls' | 'mean' | 'none'): readonly Float64Array[] {
  const [first] = vectors
  if (first === undefined || pooling === 'none') return vectors
  if (pooling === 'cls') return [first]
  const sum = new Float64Array(first.length)
  for (const values of vectors) for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (values[i] ?? 0)
  return [sum.map((value) => value / vectors.length)]
}

function toLengthOne(values: Float64Array): Float64Array {
  const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0))
  return length === 0 ? values : values.map((value) => value / length)
}
