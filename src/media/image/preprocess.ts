import type { ImageSettings } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import type { StepMeter, Work } from '../../core/work.ts'
import { normalizingGlyph } from './glyph.ts'
import { paste, type Raster, toGrey, toRgb } from './raster.ts'
import { resizing } from './resize.ts'

export interface ImageSamples {
  readonly samples: Float32Array
  /** With a batch of one in front. */
  readonly shape: readonly number[]
}

/** Where a model's input lies in a picture that has been scaled: beyond its edges is padding. */
export interface Framing {
  readonly scaledWidth: number
  readonly scaledHeight: number
  readonly left: number
  readonly top: number
}

/** A picture to a model's input, by its manifest's settings. @throws invalid_image, input_too_large */
export function* preprocessing(image: Raster, settings: ImageSettings, meter: StepMeter): Work<ImageSamples> {
  return normalizeImage(yield* fitting(image, settings, meter), settings)
}

/** A picture in a model's mode and size, still in samples of 0 to 255. @throws invalid_image, input_too_large */
export function* fitting(image: Raster, settings: ImageSettings, meter: StepMeter): Work<Raster> {
  const [height, width] = settings.size
  const convert = settings.mode === 'L' ? toGrey : toRgb
  const own = convert(image)
  if (settings.fit === 'mnist') {
    return convert(yield* normalizingGlyph(own, width, height, settings.box ?? Math.min(width, height), meter))
  }
  const { scaledWidth, scaledHeight, left, top } = framing(image, settings)
  if (settings.fit === 'proportional') assertFits(scaledWidth, scaledHeight)
  if (settings.fit === 'shortest' || settings.fit === 'proportional')
    return yield* resizing(own, scaledWidth, scaledHeight, settings.resample, meter)
  const inner = {
    left: Math.max(0, left),
    top: Math.max(0, top),
    width: Math.min(scaledWidth, left + width) - Math.max(0, left),
    height: Math.min(scaledHeight, top + height) - Math.max(0, top),
  }
  const scaled = yield* resizing(own, scaledWidth, scaledHeight, settings.resample, meter, inner)
  if (scaled.width === width && scaled.height === height) return scaled
  return paste(scaled, Math.max(0, -left), Math.max(0, -top), width, height, settings.pad ?? 0)
}

/** How a picture of a size is scaled and cut; for `mnist`, which looks at the picture, as if it were stretched. */
export function framing({ width, height }: Pick<Raster, 'width' | 'height'>, settings: ImageSettings): Framing {
  const [toHeight, toWidth] = settings.size
  switch (settings.fit) {
    case 'crop':
      return centreCrop(width, height, settings.resize ?? Math.max(toWidth, toHeight), toWidth, toHeight)
    case 'letterbox':
      return letterbox(width, height, toWidth, toHeight, settings.anchor)
    case 'shortest':
      return shortest(width, height, settings)
    case 'proportional':
      return proportional(width, height, settings)
    default:
      return { scaledWidth: toWidth, scaledHeight: toHeight, left: 0, top: 0 }
  }
}

/**
 * The shorter side to `side`, or both to [height, width], then the middle. Where the middle does not begin on a whole
 * pixel, the crop begins at the one before, as transformers' processors have it; torchvision's own rounds halves to even
 * numbers.
 */
function centreCrop(
  width: number,
  height: number,
  side: NonNullable<ImageSettings['resize']>,
  toWidth: number,
  toHeight: number,
): Framing {
  const shorter = Math.min(width, height)
  const along = (length: number, side: number): number =>
    length === shorter ? side : Math.trunc((side * length) / shorter)
  const [scaledHeight, scaledWidth] = typeof side === 'number' ? [along(height, side), along(width, side)] : side
  return {
    scaledWidth,
    scaledHeight,
    left: Math.floor((scaledWidth - toWidth) / 2),
    top: Math.floor((scaledHeight - toHeight) / 2),
  }
}

/**
 * The size of a model's input for a picture, [height, width]: its own, or what the picture's proportions make of it.
 */
export function inputSize(image: Pick<Raster, 'width' | 'height'>, settings: ImageSettings): readonly [number, number] {
  if (settings.fit !== 'shortest' && settings.fit !== 'proportional') return settings.size
  const { scaledHeight, scaledWidth } = framing(image, settings)
  return [scaledHeight, scaledWidth]
}

/** Whole, in its own proportions, as `get_size_with_aspect_ratio` of transformers' DETR has it. */
function shortest(width: number, height: number, { size, resize, multiple = 1 }: ImageSettings): Framing {
  const longest = Math.max(...size)
  const [small, large] = [Math.min(width, height), Math.max(width, height)]
  const wanted = typeof resize === 'number' ? resize : Math.min(...size)
  const exact = Math.min(wanted, (longest * small) / large)
  const short = exact === wanted ? wanted : Math.round(exact)
  // Not above the bound: with an exact bound a product of fractions may end a little below or above it.
  const long = Math.min(longest, Math.trunc((exact * large) / small + 1e-9))
  const side = (length: number): number => Math.max(multiple, length - (length % multiple))
  const [scaledHeight, scaledWidth] = width < height ? [long, short] : [short, long]
  return { scaledWidth: side(scaledWidth), scaledHeight: side(scaledHeight), left: 0, top: 0 }
}

/** Scaled as little as possible so that one side is that of `size`, as transformers' DPT has it (`keep_aspect_ratio`). */
function proportional(width: number, height: number, { size, multiple = 1 }: ImageSettings): Framing {
  const [byHeight, byWidth] = [size[0] / height, size[1] / width]
  const scale = Math.abs(1 - byWidth) < Math.abs(1 - byHeight) ? byWidth : byHeight
  const side = (length: number): number => Math.max(1, halfToEven((scale * length) / multiple)) * multiple
  return { scaledWidth: side(width), scaledHeight: side(height), left: 0, top: 0 }
}

/** Python's rounding. */
function halfToEven(value: number): number {
  const rounded = Math.round(value)
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}

/** A picture of a model's input size at most: a narrow one in its own proportions could be any length. */
const MOST_PIXELS = 4 * 1024 * 1024

/** @throws input_too_large */
function assertFits(width: number, height: number): void {
  if (width * height <= MOST_PIXELS) return
  throw new VergeError(
    'input_too_large',
    `The image would have ${width} x ${height} pixels for this model; the limit is ${MOST_PIXELS}. Send one that is less narrow.`,
    { details: { limit_pixels: MOST_PIXELS } },
  )
}

/** All of the picture in the middle, with the roundings of the YOLO family's own tools, or at the top left. */
function letterbox(
  width: number,
  height: number,
  toWidth: number,
  toHeight: number,
  anchor: ImageSettings['anchor'] = 'centre',
): Framing {
  const scale = Math.min(toWidth / width, toHeight / height)
  if (anchor === 'start') {
    // YOLOX's own tool cuts fractions off.
    const [scaledWidth, scaledHeight] = [width, height].map((side) => Math.max(1, Math.trunc(side * scale + 1e-9)))
    return { scaledWidth: scaledWidth ?? 1, scaledHeight: scaledHeight ?? 1, left: 0, top: 0 }
  }
  const scaledWidth = Math.max(1, Math.min(toWidth, Math.round(width * scale)))
  const scaledHeight = Math.max(1, Math.min(toHeight, Math.round(height * scale)))
  const margin = (space: number): number => Math.max(0, Math.round(space / 2 - 0.1))
  return { scaledWidth, scaledHeight, left: -margin(toWidth - scaledWidth), top: -margin(toHeight - scaledHeight) }
}

/** Samples of 0 to 255 to what a model takes. */
export function normalizeImage(image: Raster, settings: ImageSettings): ImageSamples {
  const { width, height, channels, data } = image
  const { mode, rescale, mean, std, layout } = settings
  const samples = new Float32Array(data.length)
  const pixels = width * height
  for (let channel = 0; channel < channels; channel++) {
    const shift = mean?.[channel] ?? mean?.[0] ?? 0
    const divisor = std?.[channel] ?? std?.[0] ?? 1
    const from = mode === 'BGR' ? channels - 1 - channel : channel
    for (let i = 0; i < pixels; i++) {
      const value = ((data[i * channels + from] ?? 0) * rescale - shift) / divisor
      samples[layout === 'NCHW' ? channel * pixels + i : i * channels + channel] = value
    }
  }
  const shape = layout === 'NCHW' ? [1, channels, height, width] : [1, height, width, channels]
  return { samples, shape }
}
