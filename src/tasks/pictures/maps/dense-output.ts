import type { Manifest } from '../../../catalog/manifest.ts'
import type { Tensor, Tensors } from '../../../core/tensors.ts'
import type { Planes } from '../../../media/image/planes.ts'
import { type Floats, floatOutputs, wrongOutput } from '../../shared/outputs.ts'
import { notFinite } from '../../task.ts'

/** Outputs that hold numbers for the pixels of a picture. */

/** Planes of no more classes than a label map can name. */
const MOST_PLANES = 65_534

/**
 * Several planes of one size.
 * @param channelsLast whether the numbers of a pixel lie together, [1, h, w, C]
 */
function planesOf({ data, shape }: Floats, channelsLast: boolean): Planes | undefined {
  if (shape.length !== 4 || shape[0] !== 1) return undefined
  const [, first = 0, second = 0, third = 0] = shape
  const [count, height, width] = channelsLast ? [third, first, second] : [first, second, third]
  if (count < 1 || count > MOST_PLANES || width < 1 || height < 1 || count * width * height !== data.length) {
    return undefined
  }
  return { data, count, width, height, ...stepsOf(channelsLast, count, width * height) }
}

function stepsOf(channelsLast: boolean, count: number, pixels: number): Pick<Planes, 'planeStep' | 'pixelStep'> {
  return channelsLast ? { planeStep: 1, pixelStep: count } : { planeStep: pixels, pixelStep: 1 }
}

/**
 * One number for each pixel, as [1, h, w], [1, 1, h, w] or [1, h, w, 1].
 * @param wanted an output's name
 * @param usual the output's name where it is not said
 * @throws manifest_invalid, run_rejected
 */
export function singlePlane(outputs: Tensors, wanted: string | undefined, usual: string, manifest: Manifest): Planes {
  const floats = floatOutputs(outputs)
  const named =
    wanted === undefined ? floats.filter(({ name }) => name === usual) : floats.filter(({ name }) => name === wanted)
  const candidates = wanted === undefined ? [...named, ...floats] : named
  for (const output of candidates) {
    const plane = onePlane(output)
    if (plane !== undefined) return finite(plane)
  }
  const name = wanted === undefined ? '' : ` "${wanted}"`
  throw wrongOutput(manifest, `no output${name} of one number a pixel, [1, h, w] or [1, 1, h, w]`)
}

function onePlane({ data, shape }: Floats): Planes | undefined {
  const [height = 0, width = 0] = sidesOf(shape)
  if (height < 1 || width < 1 || height * width !== data.length) return undefined
  return { data, count: 1, width, height, planeStep: data.length, pixelStep: 1 }
}

function sidesOf(shape: readonly number[]): readonly number[] {
  if (shape.length === 3) return shape.slice(1)
  if (shape.length !== 4) return []
  return shape[1] === 1 ? shape.slice(2) : shape[3] === 1 ? shape.slice(1, 3) : []
}

/**
 * Scores of each class for each pixel, or the class of each pixel where the model has chosen it.
 * @throws manifest_invalid, run_rejected
 */
export function classPlanes(
  outputs: Tensors,
  wanted: string | undefined,
  manifest: Manifest,
): { readonly planes: Planes } | ChosenClasses {
  const labels = manifest.labels?.length
  const floats = floatOutputs(outputs).filter(({ name }) => wanted === undefined || name === wanted)
  const fits = (planes: Planes | undefined): planes is Planes =>
    planes !== undefined && (labels === undefined || planes.count === labels)
  for (const output of floats) {
    const [first, last] = [planesOf(output, false), planesOf(output, true)]
    const planes = fits(first) ? first : fits(last) ? last : undefined
    if (planes !== undefined) return { planes: finite(planes) }
  }
  for (const [name, output] of outputs) {
    const chosen = wanted === undefined || name === wanted ? chosenClasses(output) : undefined
    if (chosen !== undefined) return chosen
  }
  const shapes = floats.map(({ shape }) => `[${shape.join(', ')}]`).join(', ')
  throw wrongOutput(
    manifest,
    `no output of scores [1, C, h, w] for its ${labels ?? 0} labels${shapes === '' ? '' : `, but ${shapes.slice(0, 200)}`}`,
  )
}

/** The number of a class for each pixel. */
export interface ChosenClasses {
  readonly classes: Uint8Array | Int32Array | BigInt64Array
  readonly width: number
  readonly height: number
}

function chosenClasses({ datatype, shape, data }: Tensor): ChosenClasses | undefined {
  if (datatype !== 'UINT8' && datatype !== 'INT32' && datatype !== 'INT64') return undefined
  const sides = shape.slice(-2)
  const [height = 0, width = 0] = sides
  if (shape.length < 3 || shape.length > 4 || height < 1 || width < 1 || height * width !== data.length)
    return undefined
  return { classes: data, width, height }
}

/**
 * Scores of things and their masks.
 * @throws manifest_invalid, run_rejected
 */
export function queryOutputs(
  outputs: Tensors,
  wanted: { readonly scoresOutput?: string | undefined; readonly masksOutput?: string | undefined },
  manifest: Manifest,
): { readonly scores: Floats; readonly classes: number; readonly masks: Planes } {
  const floats = floatOutputs(outputs)
  const named = (name: string | undefined, usual: RegExp): Floats | undefined =>
    name === undefined
      ? floats.find((output) => usual.test(output.name))
      : floats.find((output) => output.name === name)
  const masksOutput = named(wanted.masksOutput, /^(?:masks_queries_logits|pred_masks)$/)
  const masks = masksOutput && planesOf(masksOutput, false)
  const scores = named(wanted.scoresOutput, /^(?:class_queries_logits|logits|pred_logits)$/)
  const classes = scores?.shape.at(-1) ?? 0
  if (masks === undefined) throw wrongOutput(manifest, 'no output of masks [1, Q, h, w]; set segmentation.masksOutput')
  if (scores === undefined || classes < 2 || scores.data.length !== masks.count * classes) {
    throw wrongOutput(
      manifest,
      `no output of scores [1, ${masks.count}, C + 1] for its masks; set segmentation.scoresOutput`,
    )
  }
  const labels = manifest.labels?.length
  if (labels !== undefined && labels < classes - 1) {
    throw wrongOutput(manifest, `scores of ${classes - 1} classes and one for nothing, but ${labels} labels`)
  }
  finite({ ...masks, data: scores.data })
  return { scores, classes, masks: finite(masks) }
}

/** @throws run_rejected */
function finite(planes: Planes): Planes {
  const { data } = planes
  let sum = 0
  // By index: iterating over a typed array takes several times as long.
  for (let i = 0; i < data.length; i++) sum += (data[i] ?? 0) * 0
  if (!Number.isFinite(sum)) throw notFinite()
  return planes
}
