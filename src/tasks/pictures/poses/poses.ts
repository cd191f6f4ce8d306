import type { Manifest } from '../../../catalog/manifest.ts'
import type { KeypointSettings } from '../../../catalog/settings/keypoints.ts'
import { type Floats, wrongOutput } from '../../shared/outputs.ts'
import type { Box } from '../findings.ts'
import { refinedPeak } from './heatmaps.ts'

/** A point in pixels of the model's input. */
export interface Point {
  readonly x: number
  readonly y: number
  /** Undefined where the model gives none. */
  readonly score: number | undefined
}

/** A person or thing with its points, in pixels of the model's input. */
export interface Pose {
  readonly score: number
  readonly label: number | undefined
  readonly box: Box | undefined
  readonly points: readonly Point[]
}

type Size = readonly [number, number]

/**
 * The poses of a head that looks for one person, or that has chosen its persons itself. The score of a person without one of
 * its own is the mean of its points' scores.
 * @param size of the model's input, [height, width]
 * @throws manifest_invalid
 */
export function posesOf(
  outputs: readonly Floats[],
  manifest: Manifest,
  settings: KeypointSettings,
  size: Size,
): Pose[] {
  switch (settings.head) {
    case 'heatmaps':
      return [alone(heatmapPoints(outputs, manifest, settings, size))]
    case 'simcc':
      return [alone(simccPoints(outputs, manifest, settings, size))]
    case 'movenet':
      return [alone(moveNetPoints(outputs, manifest, settings, size))]
    case 'movenet-multipose':
      return multiPoses(outputs, manifest, settings, size)
    default:
      throw wrongOutput(manifest, `no head "${settings.head}" of single persons`)
  }
}

function alone(points: readonly Point[]): Pose {
  const score = points.reduce((sum, point) => sum + (point.score ?? 0), 0) / points.length
  return { score, label: undefined, box: undefined, points }
}

/** The output that is named, or the first that fits. */
function outputOf(
  outputs: readonly Floats[],
  { output }: KeypointSettings,
  fits: (shape: readonly number[]) => boolean,
): Floats | undefined {
  return outputs.find(({ name, shape }) => (output === undefined || name === output) && fits(shape))
}

function heatmapPoints(
  outputs: readonly Floats[],
  manifest: Manifest,
  settings: KeypointSettings,
  size: Size,
): Point[] {
  const { names, refine } = settings
  const maps = outputOf(outputs, settings, (shape) => shape.length === 4 && shape[0] === 1 && shape[1] === names.length)
  const [, , height = 0, width = 0] = maps?.shape ?? []
  if (maps === undefined || height < 2 || width < 2) {
    throw wrongOutput(manifest, `no output [1, ${names.length}, H, W] with a map for each point`)
  }
  const [inputHeight, inputWidth] = size
  return names.map((_, index) => {
    const map = maps.data.subarray(index * width * height, (index + 1) * width * height)
    const peak = refinedPeak(map, width, height, refine)
    // transformers maps the first and the last place of a refined map to the edges; others begin at the edge.
    const last = refine === 'dark' ? 1 : 0
    return {
      x: (peak.x * inputWidth) / (width - last),
      y: (peak.y * inputHeight) / (height - last),
      score: peak.score,
    }
  })
}

function simccPoints(
  outputs: readonly Floats[],
  manifest: Manifest,
  { names }: KeypointSettings,
  [height, width]: Size,
): Point[] {
  const along = outputs.filter(({ shape }) => shape.length === 3 && shape[0] === 1 && shape[1] === names.length)
  const named = (axis: RegExp): Floats | undefined => along.find(({ name }) => axis.test(name))
  const [xs, ys] = [named(/x$/i) ?? along[0], named(/y$/i) ?? along[1]]
  const [across, down] = [xs?.shape[2] ?? 0, ys?.shape[2] ?? 0]
  if (xs === undefined || ys === undefined || xs === ys || across === 0 || down === 0) {
    throw wrongOutput(manifest, `no outputs [1, ${names.length}, N] for the places along x and y`)
  }
  return names.map((_, index) => {
    const [x, y] = [greatest(xs.data, index * across, across), greatest(ys.data, index * down, down)]
    return { x: (x.at * width) / across, y: (y.at * height) / down, score: Math.min(x.value, y.value) }
  })
}

function greatest(data: Floats['data'], from: number, count: number): { readonly at: number; readonly value: number } {
  let at = 0
  for (let i = 1; i < count; i++) if ((data[from + i] ?? 0) > (data[from + at] ?? 0)) at = i
  return { at, value: data[from + at] ?? Number.NaN }
}

function moveNetPoints(
  outputs: readonly Floats[],
  manifest: Manifest,
  settings: KeypointSettings,
  [height, width]: Size,
): Point[] {
  const { names } = settings
  const output = outputOf(outputs, settings, (shape) => shape.at(-1) === 3 && shape.at(-2) === names.length)
  if (output?.data.length !== names.length * 3) throw wrongOutput(manifest, `no output [1, 1, ${names.length}, 3]`)
  return triples(output.data, 0, names.length, height, width)
}

/** Points of y, x and score, relative to the input. */
function triples(data: Floats['data'], from: number, count: number, height: number, width: number): Point[] {
  return Array.from({ length: count }, (_, index) => {
    const [y, x, score] = [0, 1, 2].map((k) => data[from + index * 3 + k] ?? Number.NaN) as [number, number, number]
    return { x: x * width, y: y * height, score }
  })
}

function multiPoses(
  outputs: readonly Floats[],
  manifest: Manifest,
  settings: KeypointSettings,
  [height, width]: Size,
): Pose[] {
  const { names } = settings
  const numbers = names.length * 3 + 5
  const output = outputOf(outputs, settings, (shape) => shape.length === 3 && shape[0] === 1 && shape[2] === numbers)
  const count = output?.shape[1]
  if (output === undefined || count === undefined) throw wrongOutput(manifest, `no output [1, N, ${numbers}]`)
  return Array.from({ length: count }, (_, row) => {
    const from = row * numbers
    const [ymin, xmin, ymax, xmax, score] = [0, 1, 2, 3, 4].map(
      (k) => output.data[from + names.length * 3 + k] ?? Number.NaN,
    ) as [number, number, number, number, number]
    return {
      score,
      label: undefined,
      box: { xmin: xmin * width, ymin: ymin * height, xmax: xmax * width, ymax: ymax * height },
      points: triples(output.data, from, names.length, height, width),
    }
  })
}
